"""A stack as a person asks for it: small, and fixed at the moment of asking."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import or_, select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Session
from astrotui.errors import AstrotuiError, OutputError, UsageError
from astrotui.library.together import check_together
from astrotui.stacking.recipe import Recipe
from astrotui.text import clean, plural

# Less than this no stack can do with, however small its frames: the work process with its libraries, and pictures of the sky.
LEAST_MEMORY = 260_000_000
FITS_SUFFIXES = (".fits", ".fit", ".fts")


@dataclass(frozen=True)
class StackRequest:
    """The payload of a stack job.

    Attributes
    ----------
    sessions : ids of the sessions
    frames : ids of the lights that were undecided or accepted when the stack was asked for; quarantined and missing
        ones too, so that the plan names them among those left out, with their reasons
    output : where the result goes; "" lets the worker choose a free name in `folder`
    dark, flat, bias : "auto", "none", the id of a calibration set, or a path
    reference : id of the reference frame, which may lie outside of the stack; None for the best
    memory : budget in bytes
    mix_filters : stack sessions of several filters as one
    common : sessions whose stacks are to lie on one reference, so that they lie on each other; empty for this stack alone
    asked : when it was asked for (ISO 8601): stacks that were made since do not change what is chosen
    """

    sessions: tuple[int, ...]
    frames: tuple[int, ...]
    recipe: Recipe = field(default_factory=Recipe)
    output: str = ""
    folder: str = ""
    dark: str = "auto"
    flat: str = "auto"
    bias: str = "auto"
    reference: int | None = None
    memory: int = 1_000_000_000
    workers: int = 0
    mix_filters: bool = False
    common: tuple[int, ...] = ()
    asked: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "StackRequest":
        """The request that `to_dict` wrote."""
        values = dict(table)
        values["recipe"] = Recipe.from_dict(table["recipe"])
        values["sessions"], values["frames"] = tuple(table["sessions"]), tuple(table["frames"])
        values["common"] = tuple(table.get("common", ()))
        return cls(**values)


def request_stack(
    catalog: Catalog, session_ids: Sequence[int], *, output: Path | None = None, folder: Path, **options: Any
) -> StackRequest:
    """Fix which frames are stacked, and check the output, before anything is queued.

    Raises
    ------
    AstrotuiError
        No frame is left to stack, or the sessions cannot be one stack.
    OutputError
        The output exists or cannot be written.
    UsageError
        The memory budget is smaller than any stack can do with.
    """
    memory = options.get("memory", LEAST_MEMORY)
    if memory < LEAST_MEMORY:
        raise UsageError(
            f"--memory: {memory / 1e6:,.3g} MB are too few for any stack; it needs {LEAST_MEMORY / 1e6:.0f} MB and more"
        )
    with catalog.read() as db:
        lights = list(
            db.execute(
                select(
                    Frame.id,
                    Frame.decision,
                    or_(Frame.missing, Frame.quarantine.is_not(None)),
                    Frame.session_id,
                )
                .where(Frame.session_id.in_(session_ids), Frame.frame_type == "light")
                .order_by(Frame.date_obs, Frame.path)
            )
        )
        frames = [frame_id for frame_id, decision, *_ in lights if decision != "rejected"]
        usable = {
            session for _, decision, unusable, session in lights if decision != "rejected" and not unusable
        }
        check_together(
            db, [s for s in usable if s is not None], mix_filters=options.get("mix_filters", False)
        )
    if not usable:
        what = (
            "no lights"
            if not lights
            else f"none of {plural(len(lights), 'light')} is left: all are rejected or unusable"
        )
        raise AstrotuiError(f"nothing to stack: {what}")
    place = "" if output is None else str(check_stack_output(output, default_name(catalog, session_ids)))
    asked = datetime.now(UTC).isoformat()
    return StackRequest(
        tuple(session_ids), tuple(frames), output=place, folder=str(folder), asked=asked, **options
    )


def check_stack_output(output: Path, name: str) -> Path:
    """The absolute file for `-o`; a folder gets a file `name` in it.

    Raises
    ------
    UsageError
        The name does not end like a FITS file.
    OutputError
        It exists, or its folder does not.
    """
    from astrotui.frames.output import check_output

    path = output.expanduser().absolute()
    if path.is_dir():
        path = path / f"{name}.fits"
    if path.suffix.lower() not in FITS_SUFFIXES:
        raise UsageError(
            f"-o {clean(output, 300)}: a stack is written as FITS (.fits); use render or export for other formats"
        )
    manifest = path.with_suffix(".json")
    if manifest.exists() and not path.exists():
        raise OutputError(
            f"{clean(manifest, 300)} exists and would be the manifest of this stack; choose another name"
        )
    check_output(path)
    return path


def default_name(catalog: Catalog, session_ids: Sequence[int]) -> str:
    """A stem for the result: target, exposure, filter and night of its first session."""
    from astrotui.text import file_stem

    with catalog.read() as db:
        sessions = list(db.scalars(select(Session).where(Session.id.in_(session_ids)).order_by(Session.id)))
    if not sessions:
        return "stack"
    first = sessions[0]
    parts = [
        first.target or "unknown",
        f"{first.exposure_s:g}s" if first.exposure_s is not None else None,
        first.filter,
        first.night.isoformat() if first.night else None,
        f"{len(sessions)}sessions" if len(sessions) > 1 else None,
    ]
    return file_stem("_".join(p for p in parts if p), "stack")


def title_of(catalog: Catalog, request: StackRequest) -> str:
    """What a stack is called in the list of jobs: its targets and how many frames can be used for it."""
    with catalog.read() as db:
        targets = db.scalars(select(Session.target).where(Session.id.in_(request.sessions)).distinct())
        names = sorted(clean(target, 40) for target in targets if target)
        usable = db.scalars(
            select(Frame.id).where(
                Frame.session_id.in_(request.sessions), ~Frame.missing, Frame.quarantine.is_(None)
            )
        )
        count = len(set(request.frames) & set(usable))
    return f"{', '.join(names[:3]) or 'stack'}: {plural(count, 'frame')}"


def free_output(folder: Path, name: str) -> Path:
    """A path in `folder` (made if absent) under which neither result nor manifest exists."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            f"{clean(folder, 300)}: is a file, where results want a folder; -o, or output in the settings, names another"
        )
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (f"{name}.fits" if number == 1 else f"{name}_{number}.fits")
        if (
            not path.exists()
            and not path.with_suffix(".json").exists()
            and not path.with_suffix(".png").exists()
        ):
            return path
        number += 1
