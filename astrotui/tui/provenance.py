"""What is known of a result: numbers, where it comes from, how it was made."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.text import clean, duration, exposed, plural
from astrotui.tui.remarks import remarks
from astrotui.tui.solved import in_the_sky

if TYPE_CHECKING:
    from astrotui.rendering.service import View

Stack = dict[str, Any]  # with the keys of `stacks --json`
_MOST_SKIPPED = 5
_CHANNELS = ("R", "G", "B")


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash for what is unknown."""
    return "–" if value is None else f"{value:.{digits}f}"


def describe(stack: Stack) -> list[str]:
    """Where a result comes from and how good it is, one fact a line."""
    predicted = stack.get("predicted_noise_adu")
    noise = f"noise {number(stack['noise_adu'])} ADU"
    noise += f" ({number(predicted)} expected)" if predicted is not None else ""
    lines = [
        f"{plural(stack['frames_used'], 'frame')}, {exposed(stack['integration_s'], stack['frames_used'])}; "
        f"{len(stack['frames_skipped'])} left out; made in {duration(stack['seconds'])}",
        # Of a composition nobody measured noise.
        *[f"{noise}, FWHM {number(stack['fwhm_px'])} px"] * (stack["noise_adu"] is not None),
        f"{100 * (stack['rejected_fraction'] or 0):.2f} % of the samples rejected",
    ]
    if reused := _reused(stack.get("reused") or {}):
        lines.append(f"reused: {reused}")
    lines += [clean(text, 160) for text in (stack.get("notes") or ())[:3]]
    if islands := stack.get("islands"):
        lines.append(f"other islands: stack {', '.join(str(one['id']) for one in islands)}")
    if (whole := stack.get("island_of")) is not None:
        lines.append(f"an island of what stack {whole} shows")
    if field := stack.get("wcs"):
        lines.append(clean(f"in the sky: {in_the_sky(field)}", 300))
    if composed := stack.get("composed"):
        numbers = ", ".join(str(number) for number in composed["stacks"])
        lines.append(
            f"composed: {composed['palette']} of stack{'s' if len(composed['stacks']) > 1 else ''} {numbers}"
        )
    if said := remarks(stack.get("note") or "", stack.get("rating"), stack.get("tags") or ()):
        lines.append(said)
    lines += [f"! {clean(w, 160)}" for w in stack["warnings"][:3]]
    skipped = stack["frames_skipped"]
    lines += [clean(f"left out {Path(s['path']).name}: {s['reason']}", 160) for s in skipped[:_MOST_SKIPPED]]
    if len(skipped) > _MOST_SKIPPED:
        lines.append(f"and {len(skipped) - _MOST_SKIPPED} more; the manifest names them")
    return lines


def _reused(counts: dict[str, int]) -> str:
    """What earlier stacks and measurements spared this one."""
    names = {"measurements": "measurement", "masters": "master", "registrations": "registration"}
    return ", ".join(plural(counts[key], name) for key, name in names.items() if counts.get(key))


def levels(view: "View | None") -> list[str]:
    """Statistics of the channels over all pixels."""
    if view is None or not view.statistics:
        return []
    names = _CHANNELS if len(view.statistics) == 3 else ("",)
    lines = ["levels in ADU: median ± noise, smallest to largest"]
    for name, s in zip(names, view.statistics, strict=True):
        lines.append(f"{name} {s.median:.1f} ± {s.noise:.1f}, {s.low:.0f} to {s.high:.0f}".strip())
    return lines


def read_provenance(path: str | None) -> list[str]:
    """How a result was made, from its manifest; for a thread."""
    if not path:
        return []
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
        plan, result = table["plan"], table["result"]
        lines = [f"{result['width']}x{result['height']}, {plural(result['planes'], 'plane')}"]
        if result.get("reference"):
            lines.append(f"reference: {Path(result['reference']).name}")
        reasons = [reason for held in plan.get("calibrations", ()) for reason in held.get("reasons", ())]
        lines += [clean(reason, 200) for reason in dict.fromkeys(reasons) if ": none" not in reason]
        missing = [reason.partition(":")[0] for reason in dict.fromkeys(reasons) if ": none" in reason]
        if missing:
            lines.append(f"none used: {', '.join(dict.fromkeys(missing))}")
        recipe = {name: value for name, value in plan["recipe"].items() if value not in (None, "", [])}
        lines.append("recipe: " + ", ".join(f"{name} {value}" for name, value in recipe.items()))
        lines.append(f"astrotui {table['astrotui']}, digest {str(table['digest'])[:12]}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [clean(f"the manifest cannot be read: {error}", 200)]
    return [clean(line, 300) for line in lines]
