"""Rows for tests of the catalogue, and records of them as commands print them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.catalog.status import frame_reasons, frame_status

NOW = datetime(2025, 3, 1, 22, 0, tzinfo=UTC)


def root(**values: Any) -> Root:
    return Root(**{"path": "/mnt/library", "added": NOW, **values})


def session(number: int, **values: Any) -> Session:
    given = {"root_id": 1, "key": f"key {number}", "folder": f"folder {number}", "width": 640, "height": 360}
    return Session(**{**given, "warnings": [], "tags": [], "note": "", **values})


def frame(number: int, session_id: int | None = 1, **values: Any) -> Frame:
    given = {
        "root_id": 1,
        "session_id": session_id,
        "path": f"frame_{number:04d}.fits",
        "size": 1,
        "mtime_ns": 1,
    }
    given |= {"frame_type": "light", "decision": "undecided", "missing": False, "quarantine": None}
    return Frame(**{**given, "warnings": [], "reasons": [], "tags": [], "note": "", **values})


def measurement(frame_id: int, **values: Any) -> Measurement:
    return Measurement(**{"frame_id": frame_id, "version": 1, "measured": NOW, "stars": 50, **values})


def session_record(
    row: Session, root_path: str, totals: Mapping[str, Any], dark: str | None = None
) -> dict[str, Any]:
    """A session with the keys of `sessions --json`."""
    return {
        "id": row.id,
        "path": f"{root_path}/{row.folder}".rstrip("/"),
        "root": root_path,
        "device": row.device,
        "camera": row.camera,
        "target": row.target,
        "date": None if row.first_date is None else row.first_date.isoformat(),
        "night": None if row.night is None else row.night.isoformat(),
        "exposure_s": row.exposure_s,
        "gain": row.gain,
        "binning": row.binning,
        "filter": row.filter,
        "temperature_c": row.temperature_c,
        "width": row.width,
        "height": row.height,
        "cfa": row.cfa,
        "dark": None if dark is None else {"id": 7, "grade": dark},
        "warnings": row.warnings,
        "note": row.note,
        "rating": row.rating,
        "tags": row.tags,
        **totals,
    }


def frame_record(row: Frame, owner: Session, root_path: str, measured: Measurement | None) -> dict[str, Any]:
    """A frame with the keys of `frames --json`, and the names of fields where it has none."""

    def fact(name: str) -> Any:
        return None if measured is None else getattr(measured, name)

    measured_keys = (
        "score", "stars", "fwhm_px", "hfr_px", "eccentricity", "background_adu", "noise_adu", "transparency",
        "streak", "dx_px", "dy_px", "rotation_deg",
    )  # fmt: skip
    return {
        "id": row.id,
        "path": f"{root_path}/{row.path}",
        "sequence": row.sequence,
        "date": row.date_obs,
        "night": row.night,
        "exposure_s": row.exposure_s,
        "gain": row.gain,
        "temperature_c": row.temperature_c,
        "status": frame_status(row),
        "reasons": frame_reasons(row, measured),
        **{key: fact(key) for key in measured_keys},
        "filter": row.filter if owner.filter is None else owner.filter,
        "target": row.target if owner.target is None else owner.target,
        "device": row.device if owner.device is None else owner.device,
        "camera": row.camera if owner.camera is None else owner.camera,
        "frame_type": row.frame_type,
        "rating": row.rating,
        "tags": row.tags,
        "note": row.note,
        "session_id": row.session_id,
    }


def add_library(db: DbSession) -> None:
    """A small library with one of each case that totals must tell apart."""
    db.add(root(id=1))
    db.flush()
    db.add_all([session(1, id=1, target="M 51"), session(2, id=2, target="M 13"), session(3, id=3)])
    db.flush()
    cases: list[dict[str, Any]] = [
        {"decision": "undecided", "exposure_s": 10.0},
        {"decision": "accepted", "exposure_s": 10.0},
        {"decision": "accepted", "exposure_s": None},
        {"decision": "rejected", "exposure_s": 10.0},
        {"decision": "accepted", "exposure_s": 10.0, "missing": True},
        {"decision": "accepted", "exposure_s": 10.0, "quarantine": "truncated"},
        {"decision": "rejected", "exposure_s": 10.0, "quarantine": "black", "missing": True},
    ]
    db.add_all(frame(number, id=number, **case) for number, case in enumerate(cases, 1))
    db.add(frame(8, 2, id=8, decision="rejected", exposure_s=60.0))
    db.flush()
    db.add_all([measurement(1), measurement(4)])
