"""Master frames in a cache folder: made when absent, named by the digest of their inputs and settings.

Nothing here loads an astronomy library until a master is made, so that lists stay quick.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from astrotui import __version__
from astrotui.errors import AstrotuiError, FrameError, OutputError, UsageError
from astrotui.frames.atomic import PartFile, remove_leftovers
from astrotui.imaging.types import Float32Array
from astrotui.stacking.master_frames import MasterImage, Progress, make_master
from astrotui.stacking.plan import MasterSpec, SkippedFrame
from astrotui.stacking.provenance import Card, fits_text, parse_utc
from astrotui.stacking.ready import BiasVerdict, dark_factor, detect_ready_master_bias, ready_master_lost_bias

_SHORT = 24  # hex digits of the digest in a file name


@dataclass(frozen=True)
class MasterInfo:
    """One master of the cache.

    Attributes
    ----------
    inputs : frames it combines; for a ready master what its file is known to combine, at least 1
    size : bytes on disk
    created, last_used : aware UTC
    warnings : said when it was made
    """

    path: Path
    kind: str
    digest: str
    inputs: int
    size: int
    created: datetime | None
    last_used: datetime
    width: int
    height: int
    method: str = ""
    warnings: tuple[str, ...] = ()


def master_path(spec: MasterSpec, folder: Path) -> Path:
    """Where the master of `spec` lies in the cache `folder`, made or not."""
    return folder / f"{spec.kind}-{spec.digest()[:_SHORT]}.fits"


def is_made(spec: MasterSpec, folder: Path) -> bool:
    """Whether the master of `spec` is in the cache `folder`, whole."""
    return _is_whole(master_path(spec, folder), spec.digest())


def ensure_master(
    spec: MasterSpec, folder: Path, *, workers: int = 0, progress: Progress | None = None
) -> Path:
    """The master of `spec` in the cache `folder`, made now if it is not there.

    Two processes that want the same master at once make it once: the second waits. The file appears whole
    or not at all. A master that is there is used even when its inputs have gone since. See `make_master`
    for how it is combined and `without_unusable` for sets with damaged frames.

    Parameters
    ----------
    spec : what to make; the master it subtracts is ensured first
    folder : made when absent
    workers : threads; 0 for as many as there are processors
    progress : called as progress("masters", rows done, rows); may raise to cancel

    Returns
    -------
    Path
        A FITS file of float32, (H, W) or (3, H, W).

    Raises
    ------
    FrameError
        An input cannot be used; the error names it.
    OutputError
        The folder cannot be written.
    """
    path = master_path(spec, folder)
    if _is_whole(path, spec.digest()):
        _touch(path)
        return path
    below = None
    if spec.subtract is not None:
        below = load_master(ensure_master(spec.subtract, folder, workers=workers, progress=progress))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            if _is_whole(path, spec.digest()):  # another process made it while this one waited
                _touch(path)
                return path
            remove_leftovers(folder, _is_alive)
            made = make_master(spec, below, workers=workers, progress=progress)
            _write(path, made, _header(spec, made))
    except OSError as error:
        raise OutputError(f"{path}: the master cannot be written: {error.strerror or error}") from error
    return path


def load_master(path: Path) -> Float32Array:
    """The pixels of a master: float32 (H, W) or (3, H, W). FrameError when it cannot be read."""
    from astrotui.frames.pixels import read_image

    pixels: Float32Array = read_image(path)
    return pixels


def without_unusable(spec: MasterSpec) -> tuple[MasterSpec, tuple[SkippedFrame, ...]]:
    """`spec` without inputs that have vanished, changed, are damaged or of another size, and why they go.

    The digest of a master names its inputs, so leaving one out makes another master: who makes the plan
    decides, and says so.

    Raises
    ------
    FrameError
        Fewer than 2 usable frames are left of several, or the only one is unusable.
    """
    from astrotui.frames.pixels import open_frame

    kept, skipped = [], []
    last: FrameError | None = None
    for file in spec.inputs:
        try:
            file.verify()
            with open_frame(file.path, file.hdu) as reader:
                if (reader.width, reader.height) != (spec.width, spec.height):
                    raise FrameError(file.path, f"is {reader.width}x{reader.height} pixels")
                reader.read(spec.height - 1, spec.height)
        except FrameError as error:
            last = error
            skipped.append(SkippedFrame(file.path, error.reason))
        else:
            kept.append(file)
    if last is not None and len(kept) < 2:
        raise last
    return (replace(spec, inputs=tuple(kept)) if skipped else spec), tuple(skipped)


def list_masters(folder: Path) -> list[MasterInfo]:
    """All masters of the cache, last used first. Other files in the folder are ignored."""
    found = [info for path in _masters(folder) if (info := _info(path)) is not None]
    return sorted(found, key=lambda info: (info.last_used, info.digest), reverse=True)


def prune_masters(folder: Path, cap_bytes: int, keep: set[str] | None = None) -> list[MasterInfo]:
    """Remove masters, least recently used first, until the cache holds at most `cap_bytes`.

    Parameters
    ----------
    keep : digests of masters that stay whatever the cap, such as those of running jobs

    Returns
    -------
    list of MasterInfo
        What was removed.
    """
    remove_leftovers(folder, _is_alive)
    masters = list_masters(folder)
    total = sum(info.size for info in masters)
    removed = []
    for info in reversed(masters):
        if total <= cap_bytes:
            break
        if info.digest not in (keep or set()):
            info.path.unlink(missing_ok=True)
            total -= info.size
            removed.append(info)
    return removed


def export_master(digest: str, folder: Path, out: Path) -> Path:
    """Copy the master whose digest begins with `digest` to `out`, which must not exist; returns `out`.

    Raises
    ------
    UsageError
        No master, or more than one, is named so.
    OutputError
        `out` exists or cannot be written.
    """
    wanted = digest.strip().lower()
    found = [info for info in list_masters(folder) if wanted and info.digest.startswith(wanted)]
    if len(found) != 1:
        many = f"{len(found)} masters begin so" if found else "no such master"
        raise UsageError(f"{fits_text(digest)}: {many}; `astrotui masters list` shows them")
    part = PartFile(out, str(os.getpid()), expected_bytes=found[0].size)
    try:
        with found[0].path.open("rb") as source:
            size = 0
            while block := source.read(1 << 22):
                part.write_at(block, size)
                size += len(block)
        part.commit(size)
    except BaseException:
        part.abort()
        raise
    return out


# --- files of the cache


def _masters(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == ".fits" and not path.name.startswith(".")]
    except FileNotFoundError:
        return []


def _info(path: Path) -> MasterInfo | None:
    """What the header of a master says; None for a file that is not one of ours or is damaged."""
    from astrotui.frames.headers import read_fits

    try:
        status = path.stat()
        image = read_fits(path)
    except (AstrotuiError, OSError):
        return None
    digest = image.header.text("MSTDIGST")
    if not digest:
        return None
    made = image.header.text("DATE")
    warnings = (image.header.text(f"MSTWARN{k}") for k in range(1, 10))
    return MasterInfo(
        path=path,
        kind=image.header.text("MSTKIND") or "",
        digest=digest,
        inputs=int(image.header.number("STACKCNT") or 1),
        size=status.st_size,
        created=parse_utc(made) if made else None,
        last_used=datetime.fromtimestamp(status.st_mtime, UTC),
        width=image.width,
        height=image.height,
        method=image.header.text("MSTMETH") or "",
        warnings=tuple(line for line in warnings if line),
    )


def _is_whole(path: Path, digest: str) -> bool:
    info = _info(path) if path.exists() else None
    return info is not None and info.digest == digest


def _touch(path: Path) -> None:
    """Note the use of a master in its time of change; a cache that only can be read is used all the same."""
    try:
        os.utime(path)
    except OSError:
        return


def _header(spec: MasterSpec, made: MasterImage) -> list[Card]:
    count, calstat = len(spec.inputs), ""
    if spec.subtract is not None and not spec.add_back:
        calstat = "BD" if spec.subtract.kind == "dark-flat" else "B"
    cards: list[Card] = [
        ("IMAGETYP", f"Master {spec.kind.title()}", "type of image"),
        ("STACKCNT", count, "frames that were combined"),
        ("NCOMBINE", count, "frames that were combined"),
        ("MSTKIND", spec.kind, "kind of master"),
        ("MSTDIGST", spec.digest(), ""),
        ("MSTMETH", made.method, "how the frames were combined"),
        ("MSTNOISE", round(made.noise, 6), "noise of one frame, floor of the rejection"),
        ("DATE", datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"), "made, UTC"),
        ("SWCREATE", f"astrotui {__version__}", "program that made this image"),
    ]
    cards += _settings_of(spec)
    if calstat:
        cards.append(("CALSTAT", calstat, "taken off before: bias (B), dark (D)"))
    if spec.subtract is not None:
        cards.append(("MSTSUB", spec.subtract.digest(), ""))
    if spec.cfa:
        cards.append(("BAYERPAT", spec.cfa, "at the first pixel of the first row"))
    if spec.full_scale_adu is not None:
        cards.append(("SATURATE", spec.full_scale_adu, "[adu] full scale of the camera"))
    for number, line in enumerate(made.warnings[:9], 1):
        cards.append((f"MSTWARN{number}", fits_text(line), ""))
    return cards


def _settings_of(spec: MasterSpec) -> list[Card]:
    """How the first input was exposed, so that an exported master can be matched like any other."""
    from astrotui.frames.identify import read_metadata

    try:
        facts = read_metadata(Path(spec.inputs[0].path))
    except FrameError:
        return []  # its pixels were read all the same
    known = {
        "EXPTIME": (facts.exposure_s, "[s] exposure of one frame"),
        "GAIN": (facts.gain, "gain setting of the camera"),
        "OFFSET": (facts.offset, "offset setting of the camera"),
        "CCD-TEMP": (facts.temperature_c, "[degC] sensor"),
        "XBINNING": (_first_number(facts.binning), "binning of the camera"),
        "YBINNING": (_first_number(facts.binning), "binning of the camera"),
        "INSTRUME": (fits_text(facts.camera or ""), "camera"),
        "FILTER": (fits_text(facts.filter or ""), "filter"),
        "FOCALLEN": (facts.focal_mm, "[mm] focal length"),
        "XPIXSZ": (facts.pixel_um, "[um] pixel size"),
    }
    return [(key, value, comment) for key, (value, comment) in known.items() if value not in (None, "")]


def _first_number(binning: str | None) -> int | None:
    digits = (binning or "").partition("x")[0]
    return int(digits) if digits.isdigit() else None


def _write(path: Path, made: MasterImage, cards: list[Card]) -> None:
    from astrotui.frames.output import FitsWriter

    with FitsWriter(path, made.data.shape, cards, tag=str(os.getpid()), overwrite=True) as writer:
        writer.write_rows(None, 0, made.data)
        writer.commit()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of one master; a process that dies lets go of it."""
    name = path.with_name(f".{path.name}.lock")
    while True:
        handle = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with suppress(OSError):  # file systems without locks: both make it, the last rename wins
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_ino == name.stat().st_ino:
                break
        except FileNotFoundError:
            pass  # the last holder removed it while this process waited: take a new one
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    try:
        yield
    finally:
        name.unlink(missing_ok=True)
        os.close(handle)


def _is_alive(tag: str) -> bool:
    """Whether the process that a part file's tag names runs on this machine."""
    try:
        os.kill(int(tag), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OverflowError, PermissionError):
        return True  # not a process of ours: leave it alone
    return True


__all__ = [
    "BiasVerdict",
    "MasterInfo",
    "dark_factor",
    "detect_ready_master_bias",
    "ensure_master",
    "export_master",
    "is_made",
    "list_masters",
    "load_master",
    "master_path",
    "prune_masters",
    "ready_master_lost_bias",
    "without_unusable",
]
