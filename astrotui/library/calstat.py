"""What lights are like, as their session tells it: calibrated already, or not linear."""

from collections.abc import Iterable

from astrotui.frames.model import GAMMA

_CALIBRATED = "already calibrated: "
_DONE = {"B": "bias", "D": "dark", "F": "flat"}


def calibrated_warning(calstat: str) -> str:
    """The warning of lights with this CALSTAT (letters B, D, F)."""
    return f"{_CALIBRATED}{', '.join(_DONE[letter] for letter in calstat if letter in _DONE)}"


def calibrated_for(warnings: Iterable[str]) -> set[str]:
    """Kinds of calibration that all lights of a session had already, by the session's warnings."""
    told = next((w for w in warnings if w.startswith(_CALIBRATED) and not w.endswith(" frames)")), "")
    return {kind for kind in _DONE.values() if kind in told}


def gamma_encoded(warnings: Iterable[str]) -> bool:
    """Whether lights are not linear, as it seems: nothing can be subtracted from them before a person says otherwise."""
    return any(warning.startswith(GAMMA) for warning in warnings)
