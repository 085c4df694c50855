"""The tables of the catalogue as typed SQLAlchemy models.

Facts (roots, sessions, frames, sets, measurements) can be rebuilt from disk. Decisions, pins,
corrections, notes and jobs cannot: they are what a backup of the catalogue is for.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import DDL, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, event, text
from sqlalchemy.orm import Mapped, mapped_column

from astrotui.catalog.base import Base


class Root(Base):
    """A library root. `identity` recognises the same tree when it is mounted elsewhere."""

    __tablename__ = "roots"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    identity: Mapped[str | None]
    added: Mapped[datetime]
    scanned: Mapped[datetime | None]


class Session(Base):
    """Lights of one folder, night, camera, size, exposure, gain, binning and filter."""

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("root_id", "key"), Index(None, "target"), Index(None, "night"))

    id: Mapped[int] = mapped_column(primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"))
    key: Mapped[str]  # digest of what makes it one session, the folder included
    folder: Mapped[str]  # relative to the root, "/" between parts, "" for the root itself
    device: Mapped[str | None]
    camera: Mapped[str | None]
    target: Mapped[str | None]
    night: Mapped[date | None]
    first_date: Mapped[datetime | None]
    last_date: Mapped[datetime | None]
    exposure_s: Mapped[float | None]
    gain: Mapped[float | None]
    offset: Mapped[float | None]
    readout_mode: Mapped[str | None]
    binning: Mapped[str | None]
    filter: Mapped[str | None]
    temperature_c: Mapped[float | None]  # median of its frames
    temperature_min_c: Mapped[float | None]
    temperature_max_c: Mapped[float | None]
    width: Mapped[int]
    height: Mapped[int]
    cfa: Mapped[str | None]
    cfa_phase: Mapped[str | None]
    full_scale_adu: Mapped[float | None]
    focal_mm: Mapped[float | None]
    pixel_um: Mapped[float | None]
    ra_deg: Mapped[float | None]
    dec_deg: Mapped[float | None]
    rotator_deg: Mapped[float | None]
    roi_x: Mapped[int | None]
    roi_y: Mapped[int | None]
    warnings: Mapped[list[str]] = mapped_column(default=list)
    reference_id: Mapped[int | None]  # the frame that transparency and shifts are relative to
    note: Mapped[str] = mapped_column(default="")
    rating: Mapped[int | None]
    tags: Mapped[list[str]] = mapped_column(default=list)


class CalibrationSet(Base):
    """Raw calibration frames with equal settings, or one ready master."""

    __tablename__ = "calibration_sets"
    __table_args__ = (UniqueConstraint("root_id", "key"), Index(None, "kind"))

    id: Mapped[int] = mapped_column(primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"))
    key: Mapped[str]
    kind: Mapped[str]  # dark, bias, flat, dark-flat
    folder: Mapped[str]
    is_master: Mapped[bool]
    depth: Mapped[int | None]  # exposures a ready master combines; None when unknown
    device: Mapped[str | None]
    camera: Mapped[str | None]
    date: Mapped[datetime | None]
    exposure_s: Mapped[float | None]
    gain: Mapped[float | None]
    offset: Mapped[float | None]
    readout_mode: Mapped[str | None]
    binning: Mapped[str | None]
    filter: Mapped[str | None]
    temperature_c: Mapped[float | None]
    width: Mapped[int]
    height: Mapped[int]
    cfa: Mapped[str | None]
    cfa_phase: Mapped[str | None]
    full_scale_adu: Mapped[float | None]
    focal_mm: Mapped[float | None]
    rotator_deg: Mapped[float | None]
    roi_x: Mapped[int | None]
    roi_y: Mapped[int | None]
    calstat: Mapped[str] = mapped_column(default="")
    warnings: Mapped[list[str]] = mapped_column(default=list)
    median_adu: Mapped[float | None]  # of one of a flat's frames


ODD_PATH = "length(path) <> length(CAST(path AS BLOB))"


class Frame(Base):
    """One file. Rows are never deleted: a vanished file is `missing` and may come back."""

    __tablename__ = "frames"
    __table_args__ = (
        UniqueConstraint("root_id", "path"),
        CheckConstraint("decision IN ('undecided', 'accepted', 'rejected')", name="decision"),
        # Covers the totals of sessions and the search for names: rows are not touched.
        Index(
            "ix_frames_session",
            "session_id",
            "missing",
            "quarantine",
            "decision",
            "measured",
            "exposure_s",
            "path",
        ),
        # Paths that are not plain ASCII, which nearly all are: only these have to be compared by Python.
        Index("ix_frames_odd_path", "path", sqlite_where=text(ODD_PATH)),
        Index(None, "set_id"),
        Index(None, "content_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    set_id: Mapped[int | None] = mapped_column(ForeignKey("calibration_sets.id", ondelete="SET NULL"))
    path: Mapped[str]  # relative to the root, "/" between parts
    size: Mapped[int]
    mtime_ns: Mapped[int]
    missing: Mapped[bool] = mapped_column(default=False)
    quarantine: Mapped[str | None]  # why the file cannot be used
    content_id: Mapped[str | None] = mapped_column(String(40))  # of size, DATE-OBS and header digest
    header_digest: Mapped[str | None] = mapped_column(String(40))
    frame_type: Mapped[str | None]
    is_master: Mapped[bool] = mapped_column(default=False)
    stack_count: Mapped[int | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    planes: Mapped[int | None]
    bitpix: Mapped[int | None]
    cfa: Mapped[str | None]
    cfa_phase: Mapped[str | None]
    full_scale_adu: Mapped[float | None]
    device: Mapped[str | None]
    camera: Mapped[str | None]
    target: Mapped[str | None]
    date_obs: Mapped[datetime | None]
    night: Mapped[date | None]
    sequence: Mapped[int | None]
    exposure_s: Mapped[float | None]
    gain: Mapped[float | None]
    offset: Mapped[float | None]
    readout_mode: Mapped[str | None]
    temperature_c: Mapped[float | None]
    binning: Mapped[str | None]
    filter: Mapped[str | None]
    focal_mm: Mapped[float | None]
    pixel_um: Mapped[float | None]
    ra_deg: Mapped[float | None]
    dec_deg: Mapped[float | None]
    rotator_deg: Mapped[float | None]
    roi_x: Mapped[int | None]
    roi_y: Mapped[int | None]
    calstat: Mapped[str] = mapped_column(default="")
    device_rejected: Mapped[bool] = mapped_column(default=False)
    hdu: Mapped[int] = mapped_column(default=0)
    measured: Mapped[bool] = mapped_column(default=False, server_default=text("0"))  # kept by triggers
    warnings: Mapped[list[str]] = mapped_column(default=list)
    decision: Mapped[str] = mapped_column(default="undecided")
    reasons: Mapped[list[str]] = mapped_column(default=list)  # of the decision
    note: Mapped[str] = mapped_column(default="")
    rating: Mapped[int | None]
    tags: Mapped[list[str]] = mapped_column(default=list)


class SessionTotal(Base):
    """Counts of a session's lights as they are: whatever changes them takes the row away, the end of every write counts anew.

    What they count is told by `summaries.session_totals`, which counts for itself where there is no row.
    """

    __tablename__ = "session_totals"

    session_id: Mapped[int] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    lights: Mapped[int]
    undecided: Mapped[int]
    accepted: Mapped[int]
    rejected: Mapped[int]
    missing: Mapped[int]
    quarantined: Mapped[int]
    unmeasured: Mapped[int]
    integration_s: Mapped[float]


_FORGET = "DELETE FROM session_totals WHERE session_id"
TOTALS_TRIGGERS = (
    f"""CREATE TRIGGER frames_counted_inserted AFTER INSERT ON frames WHEN NEW.session_id IS NOT NULL BEGIN
{_FORGET} = NEW.session_id; END""",
    f"""CREATE TRIGGER frames_counted_deleted AFTER DELETE ON frames WHEN OLD.session_id IS NOT NULL BEGIN
{_FORGET} = OLD.session_id; END""",
    f"""CREATE TRIGGER frames_counted_updated
AFTER UPDATE OF session_id, missing, quarantine, decision, measured, exposure_s ON frames BEGIN
{_FORGET} IN (OLD.session_id, NEW.session_id); END""",
)
for _trigger in TOTALS_TRIGGERS:
    event.listen(Frame.__table__, "after_create", DDL(_trigger))  # type: ignore[no-untyped-call]


class Measurement(Base):
    """A frame's stars and numbers: facts, lengths in full-sensor pixels, fluxes in ADU."""

    __tablename__ = "measurements"

    frame_id: Mapped[int] = mapped_column(ForeignKey("frames.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int]  # of the code that measured
    content_id: Mapped[str | None] = mapped_column(String(40))  # of the file as it was measured
    dark_digest: Mapped[str | None]  # master dark that was subtracted
    measured: Mapped[datetime]
    problem: Mapped[str | None]  # why nothing good can be said of the frame
    stars: Mapped[int]
    fwhm_px: Mapped[float | None]
    fwhm_a_px: Mapped[float | None]
    fwhm_b_px: Mapped[float | None]
    hfr_px: Mapped[float | None]
    eccentricity: Mapped[float | None]
    background_adu: Mapped[float | None]
    gradient_adu: Mapped[float | None]
    noise_adu: Mapped[float | None]
    saturated_fraction: Mapped[float | None]
    streak: Mapped[bool | None]
    reference_id: Mapped[int | None]  # the frame that what follows is relative to
    matched: Mapped[int | None]
    dx_px: Mapped[float | None]
    dy_px: Mapped[float | None]
    rotation_deg: Mapped[float | None]
    scale: Mapped[float | None]
    transparency: Mapped[float | None]
    depth: Mapped[float | None]
    score: Mapped[float | None]
    star_list: Mapped[bytes | None]  # SQLite reads through a blob to reach what stands behind it
    sample: Mapped[str | None] = mapped_column(String(40))  # digest of parts of the file that was measured


# Whoever writes a measurement, the flag on its frame follows.
MEASURED_TRIGGERS = (
    """CREATE TRIGGER measurements_inserted AFTER INSERT ON measurements BEGIN
UPDATE frames SET measured = 1 WHERE id = NEW.frame_id; END""",
    """CREATE TRIGGER measurements_deleted AFTER DELETE ON measurements BEGIN
UPDATE frames SET measured = 0 WHERE id = OLD.frame_id; END""",
)
for _trigger in MEASURED_TRIGGERS:
    event.listen(Measurement.__table__, "after_create", DDL(_trigger))  # type: ignore[no-untyped-call]


class DecisionBatch(Base):
    """What one command or key press decided; undone and redone as one."""

    __tablename__ = "decision_batches"
    __table_args__ = (Index(None, "session_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    made: Mapped[datetime]
    by: Mapped[str]  # person, preset, device
    description: Mapped[str]
    state: Mapped[str] = mapped_column(default="done")  # done, undone, dropped (no longer redoable)


class Decision(Base):
    """One frame's change in a batch."""

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "batch_id"), Index(None, "frame_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("decision_batches.id", ondelete="CASCADE"))
    frame_id: Mapped[int] = mapped_column(ForeignKey("frames.id", ondelete="CASCADE"))
    before: Mapped[str]
    before_reasons: Mapped[list[str]] = mapped_column(default=list)
    after: Mapped[str]
    reasons: Mapped[list[str]] = mapped_column(default=list)


class Pin(Base):
    """A person's choice of a calibration set or file for a session; wins over matching."""

    __tablename__ = "pins"
    __table_args__ = (UniqueConstraint("session_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    kind: Mapped[str]
    set_id: Mapped[int | None] = mapped_column(ForeignKey("calibration_sets.id", ondelete="SET NULL"))
    path: Mapped[str | None]  # a file outside the catalogue; both None means "none, on purpose"
    made: Mapped[datetime]


class Correction(Base):
    """A person's correction of what files say; it sticks when the files are read again."""

    __tablename__ = "corrections"
    __table_args__ = (UniqueConstraint("root_id", "folder", "content_id", "field"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"))
    folder: Mapped[str]  # every file directly in it, when content_id is empty
    content_id: Mapped[str] = mapped_column(default="")
    field: Mapped[str]
    value: Mapped[str]
    made: Mapped[datetime]


class Job(Base):
    """A queued piece of work and its history."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"),
        Index(None, "status", "priority", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]  # index, measure, stack, render, watch
    title: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default="queued")
    priority: Mapped[int] = mapped_column(default=0)  # larger runs first
    after_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    plan_path: Mapped[str | None]
    plan_digest: Mapped[str | None]
    stage: Mapped[str | None]
    stages: Mapped[dict[str, Any]] = mapped_column(default=dict)  # finished stage -> seconds
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    eta_s: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)  # in a row without a new finished stage
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[str | None]  # token of the worker that holds the lease
    owner_host: Mapped[str | None]
    owner_boot: Mapped[str | None]
    owner_pid: Mapped[int | None]
    owner_start: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    finished: Mapped[datetime | None]
    error: Mapped[str | None]
    log: Mapped[str | None]
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Stack(Base):
    """A result on disk."""

    __tablename__ = "stacks"
    __table_args__ = (Index(None, "job_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    created: Mapped[datetime]
    output: Mapped[str]
    manifest: Mapped[str | None]
    manifest_digest: Mapped[str | None]
    preview: Mapped[str | None]
    target: Mapped[str | None]
    sessions: Mapped[list[int]] = mapped_column(default=list)
    frames_used: Mapped[int]
    summary: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the other keys of `stacks --json`
    note: Mapped[str] = mapped_column(default="")
    rating: Mapped[int | None]
    tags: Mapped[list[str]] = mapped_column(default=list)


class SavedQuery(Base):
    """A query with a name."""

    __tablename__ = "saved_queries"

    name: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str]  # sessions, frames, stacks
    text: Mapped[str]


class Setting(Base):
    """State of the catalogue itself, such as the pause of the queue."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
