"""What a stack says of itself in its FITS header: sky, camera, exposure, recipe, inputs and coordinates.

Only facts named here are carried over, so that site coordinates and serial numbers stay at home.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from numbers import Integral, Real
from pathlib import PurePath
from statistics import median

from astrotui import __version__
from astrotui.stacking.plan import Calibration, PlanFrame, StackPlan
from astrotui.text import clean

CardValue = str | int | float | bool
Card = tuple[str, CardValue, str]

_LISTED_INPUTS = 50
_VALUE_LENGTH = 68  # of a string in one card

# Key and comment of what is carried over from the plan's header, or where it is silent from the reference's.
_CARRIED: dict[str, str] = {
    "OBJECT": "target",
    "TELESCOP": "telescope",
    "INSTRUME": "camera",
    "FILTER": "filter",
    "FOCALLEN": "[mm] focal length",
    "APERTURE": "[mm] aperture",
    "XPIXSZ": "[um] pixel size of this image",
    "YPIXSZ": "[um] pixel size of this image",
    "XBINNING": "binning of the camera",
    "YBINNING": "binning of the camera",
    "GAIN": "gain setting of the camera",
    "OFFSET": "offset setting of the camera",
    "EGAIN": "[e-/ADU] of one sub-exposure",
    "READOUTM": "readout mode of the camera",
    "CCD-TEMP": "[degC] sensor",
    "RA": "[deg] pointing",
    "DEC": "[deg] pointing",
}
_FROM_REFERENCE = ("APERTURE", "EGAIN", "READOUTM", "ROWORDER")  # same unit and meaning in every program
_PRIVATE: dict[str, str] = {
    "SITELAT": "[deg] latitude of the site",
    "SITELONG": "[deg] longitude of the site",
    "SITEELEV": "[m] elevation of the site",
    "OBSERVER": "observer",
}
_TEXT_KEYS = {"OBJECT", "TELESCOP", "INSTRUME", "FILTER", "READOUTM", "OBSERVER"}
_SERIAL = re.compile(r"[ _-](?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{6,}$")  # S50_153dd4e2


@dataclass(frozen=True)
class ResultFacts:
    """What the engine knows of a result beyond its plan.

    Attributes
    ----------
    used : indices into the plan's frames of those that are in the stack
    planes : 1, or 3 for colour
    dx, dy : reference pixel whose outer corner is the outer corner of the result's first pixel
    scale : result pixels per reference pixel (2 for a drizzle at scale 2, 0.5 for super-pixels)
    normalize, reject : what was applied where the recipe said `auto`; empty repeats the recipe
    masters : file name of the master by kind
    notes : what was decided while it ran; for HISTORY
    rejected_fraction, noise_adu, fwhm_px : measured on the result
    """

    used: tuple[int, ...]
    planes: int
    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0
    normalize: str = ""
    reject: str = ""
    masters: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    rejected_fraction: float | None = None
    noise_adu: float | None = None
    fwhm_px: float | None = None


def result_header(
    plan: StackPlan, facts: ResultFacts, reference: Mapping[str, object] | None = None
) -> list[Card]:
    """Cards of a result, without those that describe its array.

    Parameters
    ----------
    plan : what was asked; its `header` holds facts by FITS key, angles in degrees
    facts : what came out
    reference : header of the reference frame by key, for a few facts that the plan is silent on

    Returns
    -------
    list of (key, value, comment)
        Printable ASCII, each of which fits one card of 80 characters. HISTORY comes last.
    """
    frames = [plan.frames[i] for i in facts.used]
    known: dict[str, object] = {k: (reference or {})[k] for k in _FROM_REFERENCE if k in (reference or {})}
    known.update({key.upper(): value for key, value in plan.header.items() if value is not None})
    cards = _Cards()
    for key, comment in _CARRIED.items():
        if key in ("XPIXSZ", "YPIXSZ"):
            pitch = known.get(key, known.get("XPIXSZ"))
            cards.add(key, pitch / facts.scale if isinstance(pitch, (int, float)) else None, comment)
        else:
            cards.add(key, _public(key, known.get(key), plan.private), comment)
    for key, comment in _PRIVATE.items():
        if not plan.private:
            cards.add(key, known.get(key), comment)
    row_order = str(known.get("ROWORDER", "")).strip().upper()
    if row_order in ("TOP-DOWN", "BOTTOM-UP"):
        # rows keep the order of the raw frames, so what was said of those holds for the result
        cards.add("ROWORDER", row_order, "order of the rows, as in the raw frames")
    if facts.planes == 1 and plan.cfa:
        cards.add("BAYERPAT", plan.cfa, "the mosaic was kept")
    cards.add("IMAGETYP", "STACK", "type of image")
    _exposure_cards(cards, frames)
    cards.add("SATURATE", plan.full_scale_adu, "[adu] full scale of the camera")
    cards.add("BUNIT", "adu", "unit of the pixels")
    cards.add("CALSTAT", calibration_letters(plan, facts.used), "calibrated for bias (B), dark (D), flat (F)")
    _recipe_cards(cards, plan, facts)
    cards.add("REJFRAC", facts.rejected_fraction, "share of the samples that was rejected")
    cards.add("NOISE", facts.noise_adu, "[adu] noise of a pixel")
    cards.add("FWHM", facts.fwhm_px, "[pix] median full width at half maximum of stars")
    cards.add("SWCREATE", f"astrotui {__version__}", "program that made this image")
    cards.add("PLANDGST", plan.content_digest()[:32], "digest of frames, masters and recipe")
    placed = shift_wcs(plan.wcs, facts.dx, facts.dy, facts.scale)
    if placed:
        taken = {key for key, _, _ in placed}
        cards.cards = [card for card in cards.cards if card[0] not in taken] + placed
    return cards.cards + [("HISTORY", line, "") for line in _history(plan, facts, frames)]


def calibration_letters(plan: StackPlan, used: Sequence[int]) -> str:
    """Letters of CALSTAT: what was done to every frame that was used. A dark takes the bias with it."""
    groups = {plan.frames[i].calibration for i in used}

    def letters(group: Calibration) -> set[str]:
        done = {"B", "D"} if group.dark else set()
        return done | ({"B"} if group.bias else set()) | ({"F"} if group.flat else set())

    done = [letters(plan.calibrations[g]) for g in groups]
    return "".join(sorted(set.intersection(*done))) if done else ""


def fits_text(value: object, limit: int = _VALUE_LENGTH) -> str:
    """`value` as printable ASCII that fits one card: accents are dropped, other letters become `?`."""
    plain = unicodedata.normalize("NFKD", clean(value))
    ascii_only = "".join(ch if " " <= ch <= "~" else "" if unicodedata.combining(ch) else "?" for ch in plain)
    while len(ascii_only.replace("'", "''")) > limit:  # a quote takes two places
        ascii_only = ascii_only[:-1]
    return ascii_only.strip()


class _Cards:
    """Collects cards that are known, clean and fit."""

    def __init__(self) -> None:
        self.cards: list[Card] = []

    def add(self, key: str, value: object, comment: str) -> None:
        """Append a card unless its value is unknown, empty or not a finite number."""
        kept: CardValue
        if isinstance(value, bool):
            kept, width = value, 20
        elif isinstance(value, Integral):  # numpy's numbers too
            kept, width = int(value), 20
        elif isinstance(value, Real):
            if not isfinite(value) or abs(float(value)) > 1e300:
                return
            kept = float(f"{float(value):.10g}")
            width = max(20, len(repr(kept)))
        else:
            kept = fits_text(value) if value is not None else ""
            if not kept:
                return
            width = max(20, len(kept.replace("'", "''")) + 2)
        self.cards.append((key, kept, comment[: max(0, 80 - 10 - width - 3)]))


def _public(key: str, value: object, private: bool) -> object:
    if key in ("RA", "DEC", "FOCALLEN", "GAIN", "OFFSET", "EGAIN", "CCD-TEMP", "APERTURE"):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        try:
            return float(str(value))
        except ValueError:
            return None
    if private and key in _TEXT_KEYS and isinstance(value, str):
        return _SERIAL.sub("", value.strip())
    return value


def _exposure_cards(cards: _Cards, frames: Sequence[PlanFrame]) -> None:
    exposures = [f.exposure_s for f in frames if f.exposure_s is not None]
    total = sum(exposures)
    if exposures:
        cards.add("EXPTIME", float(median(exposures)), "[s] exposure of one sub-exposure")
        cards.add("TOTALEXP", float(total), "[s] sum of the exposures")
        cards.add("LIVETIME", float(total), "[s] sum of the exposures")
    cards.add("STACKCNT", len(frames), "sub-exposures that were combined")
    cards.add("NCOMBINE", len(frames), "sub-exposures that were combined")
    spans = []
    for frame in frames:
        if frame.date_obs and (start := parse_utc(frame.date_obs)):
            length = timedelta(seconds=frame.exposure_s or 0.0)
            spans.append((start, start + length, max(frame.exposure_s or 0.0, 1e-9)))
    if not spans:
        return
    first = min(start for start, _, _ in spans)
    last = max(end for _, end, _ in spans)
    weight = sum(w for _, _, w in spans)
    middle = sum(((s - first) + (e - first)).total_seconds() / 2 * w for s, e, w in spans) / weight
    cards.add("TIMESYS", "UTC", "time system of the dates")
    cards.add("DATE-OBS", _stamp(first), "start of the first sub-exposure")
    cards.add("DATE-END", _stamp(last), "end of the last sub-exposure")
    cards.add("DATE-AVG", _stamp(first + timedelta(seconds=middle)), "mean of the exposures' middles")


def parse_utc(text: str) -> datetime | None:
    """An ISO 8601 time as aware UTC, which it is taken for without an offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _recipe_cards(cards: _Cards, plan: StackPlan, facts: ResultFacts) -> None:
    recipe = plan.recipe
    low, high = recipe.limits
    cards.add("COMBINE", recipe.combine, "combination of the samples")
    cards.add("REJECT", facts.reject or recipe.reject, "rejection of outlying samples")
    if recipe.reject != "none" and recipe.combine != "median":
        cards.add("REJLOW", low, "limit of the rejection, low side")
        cards.add("REJHIGH", high, "limit of the rejection, high side")
    cards.add("NORMALIZ", facts.normalize or recipe.normalize, "normalization of the frames")
    cards.add("WEIGHT", recipe.weight, "weights of the frames")
    cards.add("ALIGN", recipe.align, "geometric model of the alignment")
    if recipe.drizzle is None:
        cards.add("RESAMPLE", recipe.kernel(bool(plan.cfa)), "interpolation")
    else:
        cards.add("DRIZZLE", recipe.drizzle, "scale of the drizzle")
        cards.add("PIXFRAC", recipe.pixfrac, "drop size of the drizzle")
    cards.add("FRAMING", recipe.frame, "field of the result")
    cards.add("COSMETIC", recipe.cosmetic, "defect pixels filled from neighbors")
    if plan.cfa and recipe.drizzle is None:
        cards.add("DEBAYER", recipe.debayer, "demosaicing")
    for kind, name in facts.masters:
        key = {"dark": "DARKFRAM", "bias": "BIASFRAM", "flat": "FLATFRAM"}.get(kind)
        if key:
            cards.add(key, name, f"master {kind}")
    if facts.masters:
        cards.add("MASTERS", recipe.master, "combination of calibration frames")


def _history(plan: StackPlan, facts: ResultFacts, frames: Sequence[PlanFrame]) -> list[str]:
    lines = [f"astrotui {__version__}: {len(frames)} of {len(plan.frames) + len(plan.skipped)} frames"]
    lines.append(f"reference {PurePath(plan.base.file.path).name}")
    lines += facts.notes
    # names only: folders tell who and where somebody is
    lines += [f"input {PurePath(frame.file.path).name}" for frame in frames[:_LISTED_INPUTS]]
    if len(frames) > _LISTED_INPUTS:
        lines.append(f"and {len(frames) - _LISTED_INPUTS} more, listed in the manifest")
    return [fits_text(line, 70) for line in lines]


_WCS_KEY = re.compile(
    r"WCSAXES|WCSNAME|RADESYS|EQUINOX|LONPOLE|LATPOLE|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[12]"
    r"|(CD|PC)[12]_[12]|PV[12]_\d+|(A|B|AP|BP)_(ORDER|DMAX|\d_\d)"
)
_SIP_TERM = re.compile(r"(?:A|B|AP|BP)_(\d)_(\d)")


def _celestial(cards: Iterable[str]) -> tuple[str, ...]:
    """Those of a header's cards (text of 80 characters) that make up its celestial WCS; empty without one."""
    kept = {card[:8].strip(): card for card in cards if _WCS_KEY.fullmatch(card[:8].strip())}
    return tuple(kept.values()) if {"CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2"} <= kept.keys() else ()


def shift_wcs(cards: Sequence[str], dx: float, dy: float, scale: float = 1.0) -> list[Card]:
    """The celestial WCS of a reference, for a result that shows another part of it at another scale.

    A pixel (x, y) of the reference, centers of pixels at whole numbers from 0, is at
    X + 0.5 = scale (x - dx + 0.5) of the result; likewise Y. So CRPIX' = scale (CRPIX - dx - 0.5) + 0.5,
    CD' = CD / scale (or CDELT), and a SIP term of order p, q is multiplied by scale^(1-p-q)
    (Shupe et al. 2005, ASP Conf. Ser. 347, 491).

    Parameters
    ----------
    cards : text of 80 characters each; cards that do not belong to a celestial WCS are left out
    dx, dy : pixel of the reference whose outer corner is that of the result's first pixel; negative when
        the result begins before it
    scale : result pixels per reference pixel

    Returns
    -------
    list of (key, value, comment)
        Empty without a celestial WCS.
    """
    from astropy.io.fits import Card as FitsCard
    from astropy.io.fits.verify import VerifyError

    table: dict[str, Card] = {}
    for text in _celestial(cards):
        try:
            card = FitsCard.fromstring(text.encode("ascii", "replace"))
            key, value = str(card.keyword), card.value
        except (ValueError, VerifyError):
            continue  # a card that says nothing readable
        if isinstance(value, str):
            table[key] = (key, fits_text(value), "")
        elif isinstance(value, (bool, int, float)) and isfinite(value) and abs(value) < 1e30:
            table[key] = (key, value, fits_text(card.comment, 30))
    types = [str(table.get(f"CTYPE{axis}", ("", "", ""))[1]) for axis in (1, 2)]
    if not all(re.match(r"(RA|DEC|[A-Z]LON|[A-Z]LAT)-", kind) for kind in types):
        return []
    _complete(table)
    for axis, shift in ((1, dx), (2, dy)):
        table[f"CRPIX{axis}"] = _scaled(table[f"CRPIX{axis}"], 1.0, -shift - 0.5)
        table[f"CRPIX{axis}"] = _scaled(table[f"CRPIX{axis}"], scale, 0.5)
    for key, card in table.items():
        if re.match(r"CD[12]_|CDELT", key):
            table[key] = _scaled(card, 1 / scale, 0.0)
        elif term := _SIP_TERM.fullmatch(key):
            table[key] = _scaled(card, scale ** (1 - int(term[1]) - int(term[2])), 0.0)
        elif key.endswith("_DMAX"):
            table[key] = _scaled(card, scale, 0.0)
    table.pop("WCSAXES", None)
    return [("WCSAXES", 2, "axes of the coordinate system"), *table.values()]


def _complete(table: dict[str, Card]) -> None:
    """Write out what the standard assumes where a card is absent, so that it can be scaled."""
    has_cd = any(key.startswith("CD") and key[2:3].isdigit() for key in table)
    for axis in (1, 2):
        table.setdefault(f"CRPIX{axis}", (f"CRPIX{axis}", 0.0, ""))
        if not has_cd:
            table.setdefault(f"CDELT{axis}", (f"CDELT{axis}", 1.0, ""))


def _scaled(card: Card, factor: float, offset: float) -> Card:
    key, value, comment = card
    return key, (float(value) * factor + offset), comment
