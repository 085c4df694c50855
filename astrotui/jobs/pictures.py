"""The picture beside a result, which stands without it too: no file that is not the job's own is written over for it."""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.config import places
from astrotui.errors import AstrotuiError, OutputError
from astrotui.jobs.context import LeaseLostError
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.jobs.work import Work
    from astrotui.rendering.render import RenderInfo

PICTURES = "_pictures"  # in the result of a job: SHA-256 of what it wrote, or was about to, by path
_SIZE = 1600  # pixels on the longest side


def write_picture(output: Path, tag: str, work: "Work | None" = None) -> tuple[Path | None, str]:
    """Write the picture of a result beside it, or among astrotui's own where that name is another file's.

    Parameters
    ----------
    tag : names the writer
    work : the job; a picture that it or an earlier attempt of it wrote is replaced

    Returns
    -------
    path : None when none could be made
    said : why there is none, or why it is not beside the result; empty otherwise
    """
    beside = output.with_suffix(".png")
    known: dict[str, list[str]] = dict(work.result.get(PICTURES, {})) if work is not None else {}
    if not _is_taken(beside, known):
        trouble = _render(output, beside, tag, work, known, overwrite=os.path.lexists(beside))
        if not trouble:
            return beside, ""
        if not _is_taken(beside, known):  # by a file that came, or was changed, meanwhile
            return None, trouble
    # Only this result of this writer has the name there.
    where = hashlib.sha256(os.fsencode(output.absolute())).hexdigest()[:16]
    elsewhere = places().data / "previews" / f"{tag}-{where}.png"
    if trouble := _render(output, elsewhere, tag, work, known, overwrite=True):
        return None, trouble
    return elsewhere, f"{clean(beside, 300)}: exists already, so the picture is {clean(elsewhere, 300)}"


def _render(
    output: Path, path: Path, tag: str, work: "Work | None", known: dict[str, list[str]], *, overwrite: bool
) -> str:
    """Write the picture at `path`; returns what went wrong."""
    from astrotui.rendering.looks import DEFAULT_LOOK
    from astrotui.rendering.render import render_image

    beside = path.parent == output.parent

    def announce(_info: "RenderInfo", digest: str) -> None:
        there = file_digest(path)  # stays known until the new one has the name
        before = [one for one in known.get(str(path), ()) if one == there]
        if overwrite and beside and not before:
            raise OutputError(f"{clean(path, 300)}: was changed meanwhile; it is left alone")
        if work is not None:
            known[str(path)] = [*before, digest]
            work.set_result({**work.result, PICTURES: known})

    try:
        if not beside:
            path.parent.mkdir(parents=True, exist_ok=True)
        if work is not None:
            work.note_part(path)
        render_image(output, DEFAULT_LOOK, path, size=_SIZE, overwrite=overwrite, tag=tag, announce=announce)
    except LeaseLostError:
        raise
    except (AstrotuiError, OSError) as error:
        return f"no picture: {clean(error, 300)}"
    return ""


def _is_taken(path: Path, known: Mapping[str, list[str]]) -> bool:
    return os.path.lexists(path) and not is_own_picture({PICTURES: known}, path)


def is_own_picture(result: Mapping[str, Any], path: Path) -> bool:
    """Whether a file is a picture as the job with this result wrote it."""
    found = file_digest(path)
    return found is not None and found in result.get(PICTURES, {}).get(str(path), ())


def file_digest(path: Path) -> str | None:
    """SHA-256 of a regular file; None for all else, and where there is none."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
