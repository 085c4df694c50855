"""The section of a report that shows a result: picture, numbers, masters, recipe, what stayed out."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from astrotui.library.report import Privacy
from astrotui.library.report_html import Markup, facts, joined, table, tag
from astrotui.library.report_parts import few, fixed, image, light, tiles
from astrotui.library.report_stack import StackStory
from astrotui.library.worth import signed
from astrotui.text import duration, plural


def stack_section(story: StackStory, picture: bytes | None, privacy: Privacy) -> Markup:
    """A result: what it looks like, what is in it, and how to make it again."""
    stack = story.stack
    output = privacy.path(stack["output"]) or ""
    parts: list[object] = [tag("h2", f"Result: {stack.get('target') or 'unknown target'}")]
    if picture is not None:
        shape = f"{stack.get('width')} x {stack.get('height')} pixels, stretched"
        parts.append(
            tag(
                "figure",
                image(picture, "The stack, stretched"),
                tag("figcaption", f"{output}, {shape}"),
                class_="result",
            )
        )
    if stack["status"] == "missing":
        parts.append(tag("p", f"{output} is not where it was written.", class_="warn"))
    shown = [
        (f"{stack['frames_used']:,}", f"of {story.asked:,} frames" if story.asked else "frames"),
        (light(stack["integration_s"]), "integration"),
        (light(story.effective_s), "worth of the best frame") if story.effective_s is not None else None,
        (f"{signed(story.depth_mag)} mag", "deeper than one best frame")
        if story.depth_mag is not None
        else None,
        (fixed(stack["fwhm_px"], 2, " px"), "FWHM of its stars") if stack["fwhm_px"] is not None else None,
        (f"{stack['rejected_fraction']:.2%}", "of the samples rejected"),
    ]
    parts.append(tiles([tile for tile in shown if tile is not None]))
    parts += [tag("p", privacy.text(w), class_="warn") for w in stack["warnings"]]
    parts.append(
        facts(
            [
                ("Made", f"{stack['created'][:16].replace('T', ' ')} UTC, in {duration(stack['seconds'])}"),
                ("Reference", privacy.path(stack["reference"])),
                ("Noise", fixed(stack["noise_adu"], 2, " ADU, one pixel of the result")),
                ("Samples a pixel", f"{stack.get('coverage_min')} to {stack.get('coverage_max')}"),
                *_masters(story, privacy),
                ("Recipe", _recipe(story)),
                *(("Decided meanwhile", privacy.text(note)) for note in story.notes[:20]),
                ("To make it again", _rerun(story, privacy)),
                ("Plan", tag("code", story.digest[:16]) if story.digest else None),
                ("Versions", ", ".join(f"{n} {v}" for n, v in (story.versions or {}).items())),
                ("Without the manifest", story.problem),
                ("Older results", plural(story.others, "stack") if story.others else None),
            ]
        )
    )
    parts.append(_left_out(stack["frames_skipped"], privacy))
    return tag("section", *parts)


def _masters(story: StackStory, privacy: Privacy) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for master in story.masters:
        depth = "a ready master" if master.ready else plural(master.frames or 0, "frame")
        pairs.append((f"Master {master.kind}", f"{depth}: {privacy.text(master.path)}"))
    known = {master.kind for master in story.masters}
    if story.recipe is not None:
        pairs += [
            (f"Master {kind}", tag("span", "none", class_="dim"))
            for kind in ("dark", "flat")
            if kind not in known
        ]
    if story.reasons:
        lines = [tag("div", privacy.text(reason)) for reason in story.reasons[:12]]
        pairs.append(("Chosen because", joined(lines)))
    return pairs


def _recipe(story: StackStory) -> Markup | None:
    if story.recipe is None:
        return None
    words = [
        tag("b", f"{name} {value}") if name in story.changed else f"{name} {value}"
        for name, value in story.recipe.items()
    ]
    return joined(words, ", ")


def _rerun(story: StackStory, privacy: Privacy) -> Markup | None:
    manifest = privacy.path(story.stack["manifest"])
    if manifest is None or story.problem:
        return None
    command = f"astrotui stack --plan {shlex.quote(manifest)} -o NEW.fits"
    again = [tag("code", command), " runs the same plan"]
    sessions = " ".join(str(i) for i in story.stack["sessions"][:20])
    fresh = tag("code", f"astrotui stack {sessions}{' ' if story.options else ''}{story.options}")
    return joined([*again, "; ", fresh, " plans it anew"])


def _left_out(skipped: Sequence[Mapping[str, str]], privacy: Privacy) -> Markup | None:
    if not skipped:
        return None
    reasons: dict[str, list[str]] = {}
    for item in skipped:
        reasons.setdefault(privacy.text(item["reason"]), []).append(Path(item["path"]).name)
    rows: list[tuple[object, ...]] = [(reason, len(names), few(names)) for reason, names in reasons.items()]
    heading = tag("h3", f"Left out of the stack: {plural(len(skipped), 'frame')}")
    return joined([heading, table(("Why", "Frames", "Files"), rows[:40], right=frozenset((1,)))])
