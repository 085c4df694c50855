"""A result for other programs: a copy, linear TIFF, the table of its frames, a folder that Siril can stack."""

import csv
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astrotui.errors import OutputError, PlanError
from astrotui.frames.output import check_output, write_bytes_atomic
from astrotui.stacking.plan import MasterSpec, StackPlan, load_plan
from astrotui.text import clean

_SIRIL_MASTER = """cd {folder}
convert {name} -out=../process
cd ../process
{prepare}stack {sequence} {method} {norm} -out=../{name}_stacked
cd ..
"""


def export_fits(source: Path, out: Path, tag: str = "export", wcs: Sequence[str] = ()) -> Path:
    """A copy of a result with all its extensions, whole or not at all.

    `wcs` are cards that were found since; they go into a copy whose header has no coordinates of its own.
    """
    check_output(out)
    data = source.read_bytes()
    if wcs:
        from astropy.io import fits

        with fits.open(io.BytesIO(data), memmap=False, do_not_scale_image_data=True) as hdus:
            if "CTYPE1" not in hdus[0].header:
                hdus[0].header.extend((fits.Card.fromstring(text) for text in wcs), update=True)
                stream = io.BytesIO()
                hdus.writeto(stream, output_verify="silentfix")
                data = stream.getvalue()
    write_bytes_atomic(out, data, tag)
    return out


def export_tiff(source: Path, out: Path, tag: str = "export") -> Path:
    """The linear result as 32-bit float TIFF, 0 to 1 of full scale, for image editors; uncovered pixels are 0."""
    import numpy as np
    import tifffile
    from astropy.io import fits

    check_output(out)
    with fits.open(source, memmap=False) as hdus:
        data = np.asarray(hdus[0].data, np.float32)
        full = float(hdus[0].header.get("SATURATE") or 65535.0)
    pixels = np.nan_to_num(data / np.float32(full), nan=0.0)
    if pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    stream = io.BytesIO()
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(stream, pixels, photometric=photometric, compression="zlib")
    write_bytes_atomic(out, stream.getvalue(), tag)
    return out


def export_csv(manifest: Path, out: Path | None, tag: str = "export") -> str:
    """What became of each frame, one row each: path, used, reason, weight, matched stars, transform, factors.

    Returns the text; it is also written to `out` unless that is None.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = ["path", "used", "reason", "weight", "matched", *(f"m{r}{c}" for r in range(3) for c in range(3))]
    writer.writerow([*heads, "factor", "offset"])
    for row in _table(manifest)["frames"]:
        matrix = row["transform"] or [""] * 9
        factors = [" ".join(map(str, row[name] or ())) for name in ("factor", "offset")]
        start = [row["path"], int(row["used"]), clean(row["reason"]), row["weight"], row["matched"]]
        writer.writerow([*start, *matrix, *factors])
    if out is not None:
        check_output(out)
        write_bytes_atomic(out, stream.getvalue().encode(), tag)
    return stream.getvalue()


def export_siril(manifest: Path, folder: Path) -> Path:
    """A new folder with links to the raw frames of a stack and a Siril script that stacks them.

    Returns the script. The raw frames stay where they are; the folder must not exist yet.
    """
    plan = load_plan(manifest)
    if len({(frame.width, frame.height, frame.cfa) for frame in plan.frames}) > 1:
        raise PlanError(
            f"{clean(manifest.name, 100)}: frames of several cameras, and Siril stacks those of one at a time"
        )
    if folder.exists():
        raise OutputError(f"{folder} exists; Siril's files go to a new folder")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error
    try:
        return _siril(plan, _table(manifest)["frames"], folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OutputError(f"{folder}: {error.strerror}") from error


def _siril(plan: StackPlan, outcomes: list[dict[str, Any]], folder: Path) -> Path:
    calibration = plan.calibrations[plan.frames[plan.reference].calibration]
    used = {row["path"] for row in outcomes if row["used"]}
    _link(folder / "lights", [f.file.path for f in plan.frames if f.file.path in used])
    (folder / "process").mkdir()
    lines = ["requires 1.0.0", "setext fits", "set32bits"]
    options = []
    sets: list[tuple[str, MasterSpec | None]] = [
        ("bias", calibration.flat.subtract if calibration.flat else calibration.bias),
        ("dark", calibration.dark),
        ("flat", calibration.flat),
    ]
    for name, spec in sets:
        if spec is None:
            continue
        _link(folder / name, [item.path for item in spec.inputs])
        flat = name == "flat" and spec.subtract is not None
        lines.append(
            _SIRIL_MASTER.format(
                folder=name,
                name=name,
                prepare=f"preprocess {name} -bias=../bias_stacked\n" if flat else "",
                sequence=f"pp_{name}" if flat else name,
                method="med" if spec.method == "median" else "rej w 3 3",  # its median rejects nothing
                norm="-norm=mul" if name == "flat" else "-nonorm",
            ).rstrip()
        )
        if name != "bias":
            options.append(f"-{name}=../{name}_stacked")
    color = " -cfa -equalize_cfa -debayer" if plan.cfa else ""
    cosmetic = " -cc=dark" if calibration.dark is not None else ""
    low, high = plan.recipe.limits
    lines += [
        "cd lights",
        "convert light -out=../process",
        "cd ../process",
        f"preprocess light {' '.join(options)}{cosmetic}{color}",
        "register pp_light",
        f"stack r_pp_light rej w {low:g} {high:g} -norm=addscale -out=../result",
        "cd ..",
        "close",
    ]
    script = folder / "stack.ssf"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return script


def _link(folder: Path, paths: list[str]) -> None:
    folder.mkdir()
    for number, path in enumerate(paths):
        (folder / f"{number:05}{Path(path).suffix}").symlink_to(path)


def _table(manifest: Path) -> dict[str, Any]:
    try:
        table = json.loads(manifest.read_text(encoding="utf-8"))
        if isinstance(table, dict) and isinstance(table.get("frames"), list):
            return table
    except (OSError, ValueError) as error:
        raise PlanError(f"{manifest}: cannot be read: {error}") from error
    raise PlanError(f"{manifest}: not the manifest of a stack")
