"""The JSON file beside a result: its plan, what came out, and every frame's part, so that it can be rerun."""

import hashlib
import json
import math
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from astrotui import __version__
from astrotui.errors import OutputError, PlanError
from astrotui.frames.atomic import write_bytes_atomic
from astrotui.stacking.islands import Island
from astrotui.stacking.plan import SkippedFrame, StackPlan
from astrotui.stacking.result import FrameOutcome, StackResult

_PACKAGES = ("numpy", "numba", "scipy", "astropy", "astroalign", "sep")


def manifest_path(output: Path | str) -> Path:
    """Where the manifest of a result goes: `M51.json` beside `M51.fits`, whatever it is compressed with."""
    path = Path(output)
    name = path.name
    for ending in (".gz", ".fz"):
        name = name.removesuffix(ending)
    stem = name.rpartition(".")[0] or name
    return path.with_name(f"{stem}.json")


def check_manifest(path: Path, output: Path | str) -> None:
    """Refuse to overwrite a file at `path` unless it is the manifest of a result named like `output`.

    Raises
    ------
    OutputError
        Something else is there.
    """
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError):
        table = None
    owner = table.get("result") if isinstance(table, dict) and "astrotui" in table else None
    named = owner.get("output") if isinstance(owner, dict) else None
    if not isinstance(named, str) or Path(named).name != Path(output).name:
        raise OutputError(f"{path}: exists and is not the manifest of {Path(output).name}; it is kept")


def write_manifest(plan: StackPlan, result: StackResult, path: Path, tag: str) -> str:
    """Write the manifest of a finished stack; returns its digest.

    Parameters
    ----------
    plan : the plan that ran
    result : what it gave
    path : of the manifest, see `manifest_path`
    tag : names the part file while it is written, so that a later attempt can remove what is left of it

    Raises
    ------
    OutputError
        Another file is there, or the folder cannot be written.
    """
    check_manifest(path, result.output)
    data = json.dumps(manifest_table(plan, result), indent=1, allow_nan=False).encode()
    write_bytes_atomic(path, data, tag, overwrite=True)
    return hashlib.sha256(data).hexdigest()


def manifest_table(plan: StackPlan, result: StackResult) -> dict[str, Any]:
    """The manifest as JSON-ready values; numbers that are not finite become null."""
    facts = asdict(result)
    frames = facts.pop("frames")
    table: dict[str, Any] = {
        "astrotui": __version__,
        "digest": plan.digest(),
        "result": facts,
        "frames": frames,
        "versions": versions(),
        "plan": plan.to_dict(),
    }
    return {key: _finite(value) for key, value in table.items()}


def versions() -> dict[str, str]:
    """What the numbers of a result depend on: versions of Python and packages, and the processor's kind."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_result(path: Path) -> StackResult:
    """What the stack gave whose manifest lies at `path`.

    Raises
    ------
    PlanError
        It cannot be read, or is not a manifest.
    """
    try:
        table = json.loads(path.read_bytes())
        facts = dict(table["result"])
        facts["frames_skipped"] = tuple(SkippedFrame(**row) for row in facts["frames_skipped"])
        facts["warnings"] = tuple(facts["warnings"])
        facts["notes"] = tuple(facts.get("notes", ()))
        facts["islands"] = tuple(
            Island(tuple(int(n) for n in one["frames"]), int(one["reference"]))
            for one in facts.get("islands", ())
        )
        rows = tuple(_outcome(row) for row in table["frames"])
        return StackResult(**facts, frames=rows)
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise PlanError(f"{path}: not a manifest: {type(error).__name__}: {error}") from error


def _outcome(row: dict[str, Any]) -> FrameOutcome:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return FrameOutcome(**values)


def manifest_digest(path: Path) -> str:
    """SHA-256 of the manifest at `path`; PlanError when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value
