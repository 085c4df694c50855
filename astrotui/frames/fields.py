"""The settings of an exposure from all that tells of them: header over sidecar over file name over folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from astrotui.frames.cards import Keywords
from astrotui.frames.devices import DWARF_II, NameFacts, target_name
from astrotui.frames.model import FrameType
from astrotui.frames.sidecar import Sidecar
from astrotui.frames.values import binning, clean, number, rounded, sexagesimal, whole

T = TypeVar("T")
HEADER, FILE, FOLDER = "header", "file name", "folder name"

_TEMPERATURES = ("CCD-TEMP", "CCD_TEMP", "CCDTEMP", "DET-TEMP", "TEMPERAT", "CAMTCCD", "CAMTEMP", "SET-TEMP")
_NO_FILTER = frozenset(("", "n/a", "na", "none", "dark", "no filter", "nofilter", "unknown"))


@dataclass(frozen=True, slots=True)
class Merged:
    """Settings of an exposure, as all frames of a night share them; None where nothing tells."""

    exposure_s: float | None
    gain: float | None
    offset: float | None
    binning: str | None
    filter: str | None
    target: str | None
    focal_mm: float | None
    pixel_um: float | None
    rotator_deg: float | None
    roi_x: int | None
    roi_y: int | None


def merge_fields(
    header: Keywords,
    sidecar: Sidecar | None,
    in_file: NameFacts,
    in_folders: NameFacts,
    device: str | None,
    kind: FrameType,
    warnings: list[str],
) -> Merged:
    """Merge the sources; disagreements are added to `warnings`, one line each.

    A stack's own header alone tells of it: names and sidecar beside it speak of single exposures.
    """
    single = kind is not FrameType.STACK
    side = sidecar.name if sidecar else ""

    def choose(
        field: str, said: T | None, attribute: str, same: Callable[[T, T], bool], unit: str = ""
    ) -> T | None:
        sources: list[tuple[str, T | None]] = [(HEADER, said)]
        if single and sidecar is not None:
            sources.append((side, getattr(sidecar, attribute, None)))
        sources.append((FILE, getattr(in_file, attribute)))
        sources.append((FOLDER, getattr(in_folders, attribute)))
        return _choose(field, sources, same, unit, warnings if single else [])

    bins = choose("binning", _binning(header), "binning", _equal)
    target = None
    if kind in (FrameType.LIGHT, FrameType.STACK):
        target = choose("target", target_name(header.text("OBJECT")), "target", _same_name)
    angle = header.number("ROTATOR", "ROTATANG")
    return Merged(
        exposure_s=choose("exposure", _exposure(header, device), "exposure_s", _close, " s"),
        gain=choose("gain", _gain(header), "gain", _close),
        offset=_not_negative(header.number("OFFSET", "BLKLEVEL")),
        binning=bins,
        filter=choose("filter", _filter(header), "filter", _same_name),
        target=target,
        focal_mm=_focal(header),
        pixel_um=_pixel(header, bins),
        rotator_deg=angle if angle is not None and -360 <= angle <= 720 else in_file.rotator_deg,
        roi_x=_origin(header, "XORGSUBF"),
        roi_y=_origin(header, "YORGSUBF"),
    )


def temperature(
    header: Keywords, sidecar: Sidecar | None, in_file: NameFacts, in_folders: NameFacts, device: str | None
) -> float | None:
    """The sensor's temperature in degrees Celsius, from what tells of this very exposure first."""
    told = (
        _temperature(header, device),
        in_file.temperature_c,
        sidecar.temperature_c if sidecar else None,
        in_folders.temperature_c,
    )
    return next((known for known in told if known is not None), None)


def pointing(
    header: Keywords, sidecar: Sidecar | None, device: str | None
) -> tuple[float | None, float | None]:
    """Right ascension and declination in degrees; (None, None) when nothing tells."""
    ra, dec = _pointing(header, device)
    return (sidecar.ra_deg, sidecar.dec_deg) if ra is None and sidecar is not None else (ra, dec)


def _choose(
    field: str,
    sources: Sequence[tuple[str, T | None]],
    same: Callable[[T, T], bool],
    unit: str,
    warnings: list[str],
) -> T | None:
    told = [(name, value) for name, value in sources if value is not None]
    if not told:
        return None
    first, chosen = told[0]
    others = [(name, value) for name, value in told[1:] if not same(chosen, value)]
    if others:
        words = ", ".join(f"{name} says {_show(value)}{unit}" for name, value in [told[0], *others])
        warnings.append(f"{field}: {words}; the {first} counts" if first != FILE else f"{field}: {words}")
    return chosen


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else clean(value, 60)


def _equal(a: object, b: object) -> bool:
    return a == b


def _close(a: float, b: float) -> bool:
    """Equal but for the rounding of names and single precision: 1/400 is 0.0025, 0.00999999977648258 is 0.01."""
    return abs(a - b) <= 0.01 * max(abs(a), abs(b))


def _same_name(a: str, b: str) -> bool:
    """Names that differ in case, blanks and punctuation only: `IC 434` is `IC434`."""
    return _letters(a) == _letters(b)


def _letters(name: str) -> str:
    return "".join(ch for ch in name.casefold() if ch.isalnum())


def _not_negative(value: float | None) -> float | None:
    return value if value is not None and value >= 0 else None  # drivers write -1 for "unknown"


def _exposure(header: Keywords, device: str | None) -> float | None:
    seconds = header.number("EXPTIME", "EXPOSURE", "EXP")
    if device == "Stellina" and header.get("EXPTIME") is None and seconds is not None:
        seconds /= 1000  # Stellina's EXPOSURE is in milliseconds
    return rounded(seconds) if seconds is not None and 0 <= seconds < 1e6 else None


def _gain(header: Keywords) -> float | None:
    """The camera's gain setting, or its ISO. A fraction below 10 is a conversion factor in e-/ADU, as
    EGAIN is, and no setting."""
    gain = header.number("GAIN")
    if gain is not None and gain != int(gain) and gain < 10:
        gain = None
    if gain is None:
        gain = header.number("ISOSPEED", "ISO")
    return _not_negative(gain)


def _temperature(header: Keywords, device: str | None) -> float | None:
    for key in _TEMPERATURES:
        degrees = header.number(key)
        if degrees is None:
            continue
        if device == "MicroObservatory" and key == "CAMTEMP":
            degrees -= 273.15  # in kelvin
        if -120 < degrees < 120:
            return rounded(degrees)
    return None


def _binning(header: Keywords) -> str | None:
    for x_key, y_key in (
        ("XBINNING", "YBINNING"),
        ("BINX", "BINY"),
        ("CCDXBIN", "CCDYBIN"),
        ("XBIN", "YBIN"),
    ):
        x = whole(header.get(x_key))
        if x is not None and 0 < x <= 16:
            y = whole(header.get(y_key))
            return f"{x}x{y if y is not None and 0 < y <= 16 else x}"
    said = header.get("BINNING")
    return binning(said) if said is not None else None


def _filter(header: Keywords) -> str | None:
    word = header.text("FILTER", "FILT-1", "FILTNAME")
    return None if word is None or word.lower() in _NO_FILTER else word


def _focal(header: Keywords) -> float | None:
    length = header.number("FOCALLEN", "FOCAL")
    if not length:
        metres = header.number("FLENGTH")
        length = metres * 1000 if metres else None
    return rounded(length, 6) if length is not None and 0 < length < 1e5 else None


def _pixel(header: Keywords, bins: str | None) -> float | None:
    """Pitch after binning. XPIXSZ has it so; INDI's PIXSIZE1 is the sensor's own."""
    size = header.number("XPIXSZ", "XPIXELSZ", "XPIXSIZE", "PIXSIZEX", "PIXSIZE")
    if not size:
        size = header.number("PIXSIZE1")
        if size and bins:
            size *= int(bins.partition("x")[0])
    return rounded(size, 6) if size is not None and 0 < size < 1000 else None


def _origin(header: Keywords, key: str) -> int | None:
    found = whole(header.get(key))
    return found if found is not None and 0 <= found < 2**31 else None


def _pointing(header: Keywords, device: str | None) -> tuple[float | None, float | None]:
    """Right ascension and declination in degrees; 0/0 stands for "none".

    Text with several parts is in hours and degrees. Of plain numbers the origin tells, never the magnitude:
    a unit in the card's comment, else the DWARF II, write hours; all others degrees.
    """
    for ra_key, dec_key in (("RA", "DEC"), ("OBJCTRA", "OBJCTDEC")):
        ra_value, dec_value = header.get(ra_key), header.get(dec_key)
        ra, dec = number(ra_value), number(dec_value)
        if ra is None and isinstance(ra_value, str):
            hours = sexagesimal(ra_value)
            ra = None if hours is None else hours * 15
        elif ra is not None and (ra_key == "OBJCTRA" or _in_hours(header.comment(ra_key), device)):
            ra *= 15
        if dec is None and isinstance(dec_value, str):
            dec = sexagesimal(dec_value)
        if ra is None or dec is None or (ra == 0 and dec == 0):
            continue
        if 0 <= ra <= 360 and -90 <= dec <= 90:
            return rounded(ra % 360, 10), rounded(dec, 10)
    return None, None


def _in_hours(comment: str, device: str | None) -> bool:
    unit = comment.strip().lower()
    if unit.startswith(("[h]", "[hours]", "[hour]", "(h)")):
        return True
    if unit.startswith("[deg") or "degree" in unit:
        return False
    return device == DWARF_II
