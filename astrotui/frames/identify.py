"""What is known of a frame: its header first, then its sidecar, then the names of file and folders."""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path, PurePath

from astrotui.errors import FrameError
from astrotui.frames import devices, instruments, kinds, mosaic
from astrotui.frames.cards import Header, Keywords
from astrotui.frames.dates import exposure_start, night_of
from astrotui.frames.devices import NameFacts, folders_of, parse_file_name, parse_folders
from astrotui.frames.fields import Merged, merge_fields, pointing, temperature
from astrotui.frames.headers import read_fits
from astrotui.frames.instruments import by_indi
from astrotui.frames.model import FrameMetadata, FrameType
from astrotui.frames.names import FileFormat, file_format, is_frame_name
from astrotui.frames.sidecar import Sidecar, clear_sidecar_cache, read_sidecar
from astrotui.frames.stored import Stored
from astrotui.frames.values import rounded

__all__ = ["clear_sidecar_cache", "content_id", "is_frame_name", "read_metadata"]


@lru_cache(maxsize=512)
def _folder_facts(folder: str, inside: str | None) -> NameFacts:
    """What the folders above a file tell; `inside` is the part of `folder` below the library root."""
    relative = None if inside is None else f"{inside}/-" if inside else "-"
    return parse_folders(folders_of(PurePath(folder, "-"), relative))


def content_id(size: int, date_obs: datetime | None, header_digest: str) -> str:
    """What makes a file the same frame wherever it lies: 40 hex characters of size, date and header digest."""
    moment = date_obs.isoformat() if date_obs is not None else ""
    return hashlib.sha1(f"{size}|{moment}|{header_digest}".encode(), usedforsecurity=False).hexdigest()


def read_metadata(path: Path, *, relative: str | None = None) -> FrameMetadata:
    """Read what a file, its sidecar and its names tell, without reading its pixels.

    Parameters
    ----------
    path : the file
    relative : its path below the library root, "/" between parts; folders above the root are looked at only
        for a telescope's own names

    Raises
    ------
    FrameError
        The file cannot be used as a frame; the reason is one clean line.
    """
    stored = _read_stored(path)
    in_file = parse_file_name(path.name)
    inside = None if relative is None else relative.rpartition("/")[0]
    in_folders = _folder_facts(os.path.dirname(path), inside)  # noqa: PTH120 - a string is wanted
    return _identify(path, stored, in_file, in_folders)


def _read_stored(path: Path) -> Stored:
    found = file_format(path.name)
    if found is FileFormat.FITS:
        image = read_fits(path)
        return Stored(
            header=image.header,
            width=image.width,
            height=image.height,
            planes=image.planes,
            bitpix=image.bitpix,
            digest=image.digest,
            full_scale_adu=_full_scale(image.bitpix, image.bscale, image.bzero),
            hdu=image.hdu,
        )
    if found is None:
        raise FrameError(path, "not a format that holds frames")
    from astrotui.frames import rasters

    return rasters.read_stored(path, found)


def _full_scale(bitpix: int, bscale: float, bzero: float) -> float | None:
    """The highest value that 8- and 16-bit samples can have; wider or scaled ones do not tell."""
    if bscale != 1 or bzero < 0:
        return None
    return {8: 255.0, 16: 32767.0}[bitpix] + bzero if bitpix in (8, 16) else None


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the frames of one night and filter have in common; most of identifying is to find this out."""

    device: str | None
    frame_type: FrameType
    is_master: bool
    stack: bool
    stack_count: int | None
    pattern: str | None
    phase: str | None
    full_scale_adu: float | None
    camera: str | None
    settings: Merged
    binning: str | None
    focal_mm: float | None
    pixel_um: float | None
    readout_mode: str | None
    calstat: str
    rejected: bool
    folders_up: int  # where its sidecar would be: -1 nowhere, 0 in its folder, 1 perhaps above
    sidecar: Sidecar | None
    warnings: tuple[str, ...]


def _identify(path: Path, stored: Stored, in_file: NameFacts, in_folders: NameFacts) -> FrameMetadata:
    header = stored.header
    shared = _shared(path, stored, in_file, in_folders)
    settings, device = shared.settings, shared.device
    exposure = settings.exposure_s
    start, written = exposure_start(header, device, None if shared.stack else exposure)
    ra, dec = pointing(header, shared.sidecar, device)
    return FrameMetadata(
        frame_type=shared.frame_type,
        width=stored.width,
        height=stored.height,
        header_digest=stored.digest,
        is_master=shared.is_master,
        stack_count=shared.stack_count,
        planes=stored.planes,
        bitpix=stored.bitpix,
        cfa=shared.pattern,
        cfa_phase=shared.phase,
        full_scale_adu=shared.full_scale_adu,
        device=device,
        camera=shared.camera,
        target=settings.target,
        date_obs=start,
        night=night_of(header, start, written, exposure, in_file, in_folders),
        sequence=in_file.sequence,
        exposure_s=exposure,
        gain=settings.gain,
        offset=settings.offset,
        temperature_c=temperature(header, shared.sidecar, in_file, in_folders, device),
        binning=shared.binning,
        filter=settings.filter,
        readout_mode=shared.readout_mode,
        focal_mm=shared.focal_mm,
        pixel_um=shared.pixel_um,
        ra_deg=ra,
        dec_deg=dec,
        rotator_deg=settings.rotator_deg,
        roi_x=settings.roi_x,
        roi_y=settings.roi_y,
        calstat=shared.calstat,
        device_rejected=shared.rejected,
        hdu=stored.hdu,
        warnings=shared.warnings,
    )


# Keywords that decide what is shared. Finding it sees no others, so that equal cards give equal findings.
_DECIDING = frozenset(
    "IMAGETYP FRAMETYP FRAME OBSTYPE CALFRAME PICTTYPE STACKCNT NCOMBINE TOTALEXP EXPTIME EXPOSURE EXP SWCREATE CREATOR "
    "PROGRAM SOFTWARE ORIGIN TELESCOP INSTRUME OBSERVAT CAMERA DETECTOR CCDNAME BINNING XBINNING YBINNING BINX BINY "
    "CCDXBIN CCDYBIN XBIN YBIN BAYERPAT COLORTYP CFATYPE CFAIMAGE XBAYROFF YBAYROFF ROWORDER OBJECT FILTER FILT-1 "
    "FILTNAME GAIN ISOSPEED ISO OFFSET BLKLEVEL READOUTM READMODE CAMMODE FOCALLEN FOCAL FLENGTH XPIXSZ XPIXELSZ "
    "XPIXSIZE PIXSIZEX PIXSIZE PIXSIZE1 ROTATOR ROTATANG XORGSUBF YORGSUBF SATURATE SATLEVEL CALSTAT".split()
)
_KEPT = 512  # findings that are remembered
_FOUND: dict[tuple[object, ...], _Shared] = {}


def _shared(path: Path, stored: Stored, in_file: NameFacts, in_folders: NameFacts) -> _Shared:
    """`_find_shared`, remembered: frames of a night differ in date, temperature and pointing only."""
    doubt = kinds.calibration_prefix(path.name)
    header = stored.header
    deciding = header.only(_DECIDING) if isinstance(header, Header) else None
    if deciding is None:
        return _find_shared(path, stored, header, in_file, in_folders, doubt)
    cards, view = deciding
    names = in_file._replace(sequence=None, local_time=None, temperature_c=None)
    shape = (stored.width, stored.height, stored.planes, stored.bitpix, stored.full_scale_adu)
    key = (cards, by_indi(view), shape, stored.warnings, names, in_folders, doubt)
    known = _FOUND.get(key)
    if known is not None and _sidecar(path, known.folders_up) == known.sidecar:
        return known
    found = _find_shared(path, stored, view, in_file, in_folders, doubt)
    if len(_FOUND) >= _KEPT:
        _FOUND.clear()
    _FOUND[key] = found
    return found


def _find_shared(
    path: Path,
    stored: Stored,
    header: Keywords,
    in_file: NameFacts,
    in_folders: NameFacts,
    doubt: FrameType | None,
) -> _Shared:
    warnings = list(stored.warnings)
    pattern, complaint = (None, None) if stored.planes == 3 else mosaic.written_pattern(header)
    if complaint:
        warnings.append(complaint)
    names = devices.merge(in_file, in_folders)
    device = instruments.device_of(header, stored.width, stored.height, pattern)
    device = _device(device, names, stored, pattern)
    frame_type, is_master, stack = _frame_type(doubt, header, stored, device, in_file, in_folders, warnings)
    folders_up = _folders_up(device, frame_type, names)
    sidecar = told = _sidecar(path, folders_up)
    if told is not None and told.problem:
        warnings.append(told.problem)
        told = None
    settings = merge_fields(header, told, in_file, in_folders, device, frame_type, warnings)
    unit = _unit(header, names)
    facts = instruments.facts_of(device, unit)
    if pattern is None and stored.mosaic_test is not None and facts is not None and stored.planes == 1:
        pattern = facts.cfa if stored.mosaic_test() else None
        if pattern:
            warnings.append(f"the file names no color pattern; {pattern} is the {device}'s")
    return _Shared(
        device=device,
        frame_type=frame_type,
        is_master=is_master,
        stack=stack,
        stack_count=_stack_count(header, is_master or stack),
        pattern=pattern,
        phase=mosaic.phase_from_header(pattern, header, stored.height) if pattern else None,
        full_scale_adu=_saturation(header, stored, facts),
        camera=_camera(header, device, unit),
        settings=settings,
        binning=settings.binning or (facts.sizes.get((stored.width, stored.height)) if facts else None),
        focal_mm=settings.focal_mm or (facts.focal_mm if facts else None),
        pixel_um=settings.pixel_um or _pixel(facts, settings, stored),
        readout_mode=header.text("READOUTM", "READMODE", "CAMMODE"),
        calstat=_calstat(header, names),
        rejected=names.rejected,
        folders_up=folders_up,
        sidecar=sidecar,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _device(said: str | None, names: NameFacts, stored: Stored, pattern: str | None) -> str | None:
    """The header's device; where it does not know the model, or is silent, the names' one."""
    if said is not None and said != devices.DWARF:
        return said
    if names.device is None or (said == devices.DWARF and not instruments.is_dwarf(names.device)):
        return said
    small_tele = names.unit != "WIDE" and (stored.width, stored.height) == (
        1920,
        1080,
    )  # the mini's, unbinned
    if names.device == devices.DWARF or (names.device == devices.DWARF_3 and small_tele):
        return instruments.dwarf_model("", stored.width, stored.height, names.binning, pattern)
    return names.device


def _frame_type(
    doubt: FrameType | None,
    header: Keywords,
    stored: Stored,
    device: str | None,
    in_file: NameFacts,
    in_folders: NameFacts,
    warnings: list[str],
) -> tuple[FrameType, bool, bool]:
    """Frame type, whether it is a ready master, whether it is a stack of lights."""
    said, master = kinds.type_in_header(header)
    named = in_file.frame_type or in_folders.frame_type
    if in_file.weak_type and in_folders.frame_type and not in_folders.weak_type:
        named = in_folders.frame_type
    own = (header.text("SWCREATE") or "").lower().startswith("astrotui")
    if said is None and own:
        said = FrameType.STACK
    frame_type = said or named or FrameType.LIGHT
    if said is not None and named is not None and said is not named:
        source = "file name" if in_file.frame_type is named else "folder name"
        warnings.append(f"type: header says {said}, {source} says {named}; the header counts")
    elif said is not None and said.is_calibration and named is None and doubt not in (None, said):
        warnings.append(f"type: header says {said}, file name says {doubt}; the header counts")
    count = header.number("STACKCNT", "NCOMBINE") or 1
    if frame_type.is_calibration:
        is_master = master or count > 1 or in_file.is_master or (in_folders.is_master and said is None)
        return frame_type, is_master or own, False
    stack = (
        own
        or master
        or frame_type is FrameType.STACK
        or count > 1
        or in_file.stack
        or in_folders.stack
        or _total_exposure(header)
        or (stored.planes == 3 and (instruments.is_dwarf(device) or (device or "").startswith("Seestar")))
    )
    return (FrameType.STACK if stack else frame_type), False, stack


def _total_exposure(header: Keywords) -> bool:
    """Whether a header tells of more light than one exposure holds (Seestar writes TOTALEXP into all files)."""
    total, single = header.number("TOTALEXP"), header.number("EXPTIME", "EXPOSURE")
    return total is not None and single is not None and total > 1.5 * single > 0


def _stack_count(header: Keywords, combined: bool) -> int | None:
    count = header.number("STACKCNT", "NCOMBINE")
    if count is not None and 1 <= count < 1e7:
        return int(count)
    return None if combined else 1


def _folders_up(device: str | None, kind: FrameType, names: NameFacts) -> int:
    """Where the sidecar of a frame would be: of a DWARF's lights, in their folder or, for panels, above it."""
    if kind is not FrameType.LIGHT or not (device is None or instruments.is_dwarf(device)):
        return -1
    return int(names.mosaic)


def _sidecar(path: Path, folders_up: int) -> Sidecar | None:
    if folders_up < 0:
        return None
    folder = os.path.dirname(path)  # noqa: PTH120 - a string is wanted
    found = read_sidecar(folder)
    if found is None and folders_up:
        found = read_sidecar(os.path.dirname(folder))  # noqa: PTH120
    return found


def _unit(header: Keywords, names: NameFacts) -> str | None:
    said = (header.text("CAMERA") or "").upper()
    return said if said in ("TELE", "WIDE") else names.unit


def _camera(header: Keywords, device: str | None, unit: str | None) -> str | None:
    """The camera as the file names it. The DWARFs' name changed with their firmware, and two cameras share
    it: theirs is the model and the unit, so that darks of another firmware still fit."""
    if device == devices.DWARF:
        return None  # of an unknown model
    if device == devices.DWARF_II:
        return f"{device} WIDE" if unit == "WIDE" else device
    if instruments.is_dwarf(device):
        return f"{device} {unit or 'TELE'}"
    return header.text("INSTRUME", "CAMERA", "DETECTOR", "CCDNAME")


def _saturation(header: Keywords, stored: Stored, facts: instruments.Facts | None) -> float | None:
    said = header.number("SATURATE", "SATLEVEL")
    if said is not None and said > 1:
        return said
    if facts is not None and isinstance(header, Header) and stored.bitpix == 16:
        return facts.full_scale_adu
    return stored.full_scale_adu


def _pixel(facts: instruments.Facts | None, merged: Merged, stored: Stored) -> float | None:
    """Pitch as stored, from the device's and the binning."""
    if facts is None:
        return None
    bins = merged.binning or facts.sizes.get((stored.width, stored.height))
    return rounded(facts.pixel_um * int(bins[0])) if bins and len(bins) == 3 else None


def _calstat(header: Keywords, names: NameFacts) -> str:
    """What was done to the frame already. A program's prefix says that it was, not what: all is assumed."""
    said = (header.text("CALSTAT") or "").upper()
    letters = "".join(letter for letter in "BDF" if letter in said)
    return letters or ("BDF" if names.calibrated else "")
