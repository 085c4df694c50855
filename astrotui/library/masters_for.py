"""From matched calibration sets to the masters that a stack needs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Frame, Root, Session
from astrotui.errors import AstrotuiError, FrameError, UsageError
from astrotui.imaging.methods import MasterMethod
from astrotui.library.calibrators import (
    Candidate,
    Match,
    SetRecord,
    Shot,
    judge_bias,
    judge_dark,
    judge_flat,
    load_pins,
    load_sets,
    match_flat_darks,
    match_session,
)
from astrotui.stacking.plan import Calibration, InputFile, MasterKind, MasterSpec
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.frames.model import FrameMetadata

KINDS: tuple[MasterKind, ...] = ("dark", "flat", "bias")


class CalibrationPlanner:
    """Chooses and describes the calibration of sessions, group by group of temperature.

    Parameters
    ----------
    choices : by kind "auto", "none", the id of a set or a path, as the command line gave them
    method : how masters that are made here are combined
    """

    def __init__(self, db: DbSession, choices: Mapping[str, str], method: MasterMethod = "mean") -> None:
        self.db = db
        self.method: MasterMethod = method
        self.choices = choices
        self.sets = load_sets(db)
        self.by_id = {held.id: held for held in self.sets}
        self.warnings: list[str] = []  # about files that were named to calibrate with
        self._specs: dict[int, MasterSpec] = {}

    def for_session(self, session: Session, calstat: str) -> tuple[Calibration, Candidate | None]:
        """The calibration of a session, and the dark that was chosen for it.

        `calstat` tells what was already done to the lights (B, D, F): that is never done twice.
        """
        pins = load_pins(self.db, [session.id]).get(session.id, {})
        match = match_session(session, self.sets, pins)
        reasons: list[str] = []
        specs: dict[str, MasterSpec] = {}
        chosen: dict[str, Candidate] = {}
        for kind in KINDS:
            if kind[0].upper() in calstat.upper():
                reasons.append(f"{kind}: already applied to these lights (CALSTAT {clean(calstat, 10)})")
                continue
            pin = pins.get(kind)
            if pin is not None and pin.path is not None and self.choices.get(kind, "auto") == "auto":
                specs[kind] = spec_from_path(kind, Path(pin.path), session, self.method, self.warnings)
                reasons.append(f"{kind}: {clean(pin.path)}, pinned by you")
                continue
            found = self._choose(kind, session, match, reasons)
            if isinstance(found, MasterSpec):
                specs[kind] = found
            elif found is not None:
                chosen[kind] = found
                specs[kind] = self.spec(found.set)
        dark = chosen.get("dark")
        scale = None
        if (
            dark is not None
            and dark.grade == "scaled"
            and "bias" in specs
            and session.exposure_s
            and dark.set.exposure_s
        ):
            scale = session.exposure_s / dark.set.exposure_s
        self._ready_dark_without_bias(specs, reasons)
        calibration = Calibration(
            dark=specs.get("dark"),
            bias=specs.get("bias"),
            flat=specs.get("flat"),
            dark_scale=scale,
            reasons=tuple(reasons),
        )
        if "bias" in specs and "bias" not in calibration.applied:
            said = tuple(text for text in reasons if not text.startswith("bias:"))
            calibration = replace(calibration, reasons=(*said, "bias: held by the dark"))
        return calibration, dark

    def check(self, session: Session) -> None:
        """Raise `UsageError` for a choice or a pin that can never be applied to a session's lights."""
        pins = load_pins(self.db, [session.id]).get(session.id, {})
        match = match_session(session, self.sets, pins)
        for kind in KINDS:
            self._choose(kind, session, match, [])

    def colder_and_warmer(self, session: Session, chosen: Candidate) -> list[SetRecord]:
        """Dark sets as good as `chosen` but of other temperatures, `chosen` included."""
        same = [
            judge_dark(Shot.of(session), held, bias=chosen.grade == "scaled", date=session.first_date)
            for held in self.sets
            if held.kind == "dark" and held.temperature_c is not None
        ]
        return [c.set for c in same if c.grade == chosen.grade]

    def _choose(
        self, kind: MasterKind, session: Session, match: Match, reasons: list[str]
    ) -> Candidate | MasterSpec | None:
        choice = self.choices.get(kind, "auto")
        if choice == "none" or (choice == "auto" and kind in match.pinned_none):
            reasons.append(f"{kind}: none, as asked")
            return None
        if choice == "auto":
            found = match.chosen(kind)
            if found is not None and (found.set.width, found.set.height) != (session.width, session.height):
                raise UsageError(
                    f"session {session.id}: {kind} set {found.set.id} is pinned and can never fit: "
                    f"{'; '.join(found.reasons)}; `astrotui set {session.id} --{kind} auto` takes the pin away"
                )
            if found is not None:
                reasons.append(
                    f"{kind}: {clean(found.set.path)} ({found.grade}): {'; '.join(found.reasons) or 'fits'}"
                )
            elif candidates := match.candidates.get(kind):
                best = candidates[0]
                reasons.append(
                    f"{kind}: none; the nearest, {clean(best.set.path)}, is refused: {'; '.join(best.reasons)}"
                )
            else:
                reasons.append(f"{kind}: none in the library")
            return found
        if choice.isdigit():
            held = self.by_id.get(int(choice))
            if held is None or held.kind not in (kind, "dark-flat"):
                known = ", ".join(str(s.id) for s in self.sets if s.kind == kind) or "none"
                raise UsageError(f"--{kind} {choice}: no such {kind} set; known are {known}")
            judged = {
                "dark": judge_dark(Shot.of(session), held, bias=False),
                "flat": judge_flat(Shot.of(session), held),
            }
            candidate = judged.get(kind) or judge_bias(Shot.of(session), held)
            if (held.width, held.height) != (session.width, session.height):
                raise UsageError(f"--{kind} {choice}: {'; '.join(candidate.reasons)}")
            reasons.append(f"{kind}: {clean(held.path)}, as asked ({'; '.join(candidate.reasons) or 'fits'})")
            return replace(candidate, chosen=True)
        path = Path(choice).expanduser().absolute()
        spec = spec_from_path(kind, path, session, self.method, self.warnings)
        reasons.append(f"{kind}: {clean(choice)}, as asked")
        return spec

    def spec(self, held: SetRecord) -> MasterSpec:
        """How to make the master of a set; flats bring their own bias or dark."""
        if held.id not in self._specs:
            rows = self.db.execute(
                select(Root.path, Frame.path, Frame.size, Frame.mtime_ns, Frame.hdu, Frame.full_scale_adu)
                .join(Root, Frame.root_id == Root.id)
                .where(Frame.set_id == held.id, Frame.missing.is_(False), Frame.quarantine.is_(None))
                .order_by(Frame.path)
            ).all()
            inputs = tuple(
                InputFile(str(Path(root) / path), size, mtime, hdu)
                for root, path, size, mtime, hdu, _ in rows
            )
            below = match_flat_darks(held, self.sets) if held.kind == "flat" and not held.is_master else None
            self._specs[held.id] = MasterSpec(
                kind=held.kind,  # type: ignore[arg-type]
                inputs=inputs,
                width=held.width,
                height=held.height,
                cfa=held.cfa_phase,
                ready=held.is_master,
                subtract=self.spec(below.set) if below is not None else None,
                full_scale_adu=rows[0][5] if rows else None,
                method="mean" if held.is_master else self.method,
            )
        return self._specs[held.id]

    def _ready_dark_without_bias(self, specs: dict[str, MasterSpec], reasons: list[str]) -> None:
        """A ready master dark that lost its bias gets it back, or the lights would keep theirs."""
        dark, bias = specs.get("dark"), specs.get("bias")
        if dark is None or not dark.ready or bias is None:
            return
        from astrotui.stacking.masters import ready_master_lost_bias

        lost, why = ready_master_lost_bias(dark, bias)
        if lost:
            specs["dark"] = replace(dark, subtract=bias, add_back=True)
        if why:
            reasons.append(f"dark: {why}")


def spec_from_path(
    kind: MasterKind,
    path: Path,
    session: Session,
    method: MasterMethod = "mean",
    warnings: list[str] | None = None,
) -> MasterSpec:
    """A master from a file (ready), or from all frames directly in a folder.

    Parameters
    ----------
    warnings : gets a line for a file that does not say what it is, or says that it is another kind of calibration

    Raises
    ------
    UsageError
        Nothing usable is there, it is of another size than the lights, or its header says that it is a light or a stack.
    """
    from astrotui.frames.identify import is_frame_name, read_metadata

    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and is_frame_name(p.name))
    else:
        files = [path]
    if not files or not files[0].exists():
        raise UsageError(f"--{kind} {clean(path, 300)}: no frame there")
    inputs = []
    for file in files:
        try:
            facts = read_metadata(file)
        except (FrameError, OSError) as error:
            raise UsageError(f"--{kind} {clean(error, 300)}") from error
        if (facts.width, facts.height) != (session.width, session.height):
            raise UsageError(
                f"--{kind} {clean(file, 300)}: {facts.width}x{facts.height}, the lights have {session.width}x{session.height}"
            )
        doubt = _kind_doubt(kind, path, file, facts)
        if doubt and warnings is not None and doubt not in warnings:
            warnings.append(doubt)
        inputs.append(InputFile.of(file, facts.hdu))
    return MasterSpec(
        kind=kind, inputs=tuple(inputs), width=session.width, height=session.height, cfa=session.cfa_phase,
        ready=len(inputs) == 1, full_scale_adu=session.full_scale_adu,
        method="mean" if len(inputs) == 1 else method,
    )  # fmt: skip


_SERVES = {"dark": ("dark", "dark-flat"), "bias": ("bias", "dark-flat"), "flat": ("flat",)}


def _kind_doubt(kind: MasterKind, asked: Path, file: Path, facts: "FrameMetadata") -> str | None:
    """What is odd about a file as a calibration frame of a kind; None for nothing.

    Raises
    ------
    UsageError
        Its header says that it is a light or a result.
    """
    from astrotui.frames.headers import read_fits
    from astrotui.frames.kinds import type_in_header

    if facts.frame_type in _SERVES[kind]:
        return None
    try:
        said = type_in_header(read_fits(file, facts.hdu).header)[0]
    except FrameError:  # no FITS file, which has no such words
        said = None
    if facts.frame_type.is_calibration:
        return f"--{kind} {clean(asked, 300)}: used as a {kind}, though it is a {facts.frame_type}"
    if said is None:
        return f"--{kind} {clean(asked, 300)}: nothing there says that it is a {kind}; it is used as one"
    raise UsageError(
        f"--{kind} {clean(file, 300)}: its header says that it is a {said}, no {kind}; if that is wrong, index it, correct "
        f"it with `astrotui set PATH --type {kind}`, and name its set"
    )


def session_calstat(db: DbSession, session_id: int) -> str:
    """What was already done to those lights of a session that are not rejected.

    Raises
    ------
    AstrotuiError
        They disagree: some are calibrated, some are not.
    """
    found = set(
        db.scalars(
            select(Frame.calstat)
            .where(
                Frame.session_id == session_id,
                Frame.missing.is_(False),
                Frame.quarantine.is_(None),
                Frame.decision != "rejected",
            )
            .distinct()
        )
    )
    if len(found) > 1:
        raise AstrotuiError(
            f"session {session_id} mixes calibrated and raw frames; reject one kind, for example by path:pp_"
        )
    return found.pop() if found else ""


def masters_of(calibrations: Sequence[Calibration]) -> list[MasterSpec]:
    """Every master that these calibrations need, each once, in the order in which they can be made."""
    seen: dict[str, MasterSpec] = {}
    for calibration in calibrations:
        for needed in calibration.applied.values():
            spec: MasterSpec | None = needed
            while spec is not None:
                seen.setdefault(spec.digest(), spec)
                spec = spec.subtract
    return sorted(seen.values(), key=lambda spec: spec.subtract is not None)
