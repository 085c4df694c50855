"""What the compose form knows and asks for: which stack can be which color, and the job itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from astrotui.errors import UsageError
from astrotui.stacking.palettes import BALANCES, PALETTES, SPLIT
from astrotui.text import clean
from astrotui.tui.choosing import light
from astrotui.tui.provenance import Stack
from astrotui.tui.queueing import enqueue
from astrotui.tui.widgets.form import Line

_MEANINGS = {
    "rgb": "red, green and blue of a mono camera",
    "lrgb": "luminance gives the detail, red, green and blue the color",
    "sho": "sulfur, hydrogen and oxygen as red, green and blue: the palette of Hubble",
    "hoo": "hydrogen as red, oxygen as green and blue; also of one dual-band color stack",
    SPLIT: "the two lines of one dual-band color stack, as two files",
}
_NAMES = {
    "L": "luminance", "R": "red", "G": "green", "B": "blue", "S": "sulfur (S II)", "H": "hydrogen (H alpha)",
    "O": "oxygen (O III)",
}  # fmt: skip


def is_color(stack: Stack) -> bool:
    """Whether a stack has colors of its own."""
    return stack.get("planes") == 3


def guess(stacks: Sequence[Stack], letters: Mapping[int, str | None]) -> str:
    """The palette that these stacks are most likely meant for."""
    if len(stacks) == 1:
        return "hoo"
    known = {letters.get(stack["id"]) for stack in stacks}
    if known & set("SHO"):
        return "sho" if len(stacks) >= 3 else "hoo"
    return "lrgb" if len(stacks) >= 4 else "rgb"


def images_of(palette: str, stacks: Sequence[Stack]) -> tuple[str, ...]:
    """The letters of the images that a palette takes of these stacks."""
    if palette == SPLIT or (palette == "hoo" and len(stacks) == 1):
        return ("color",)
    return PALETTES[palette]


def compose_lines(palette: str, stacks: Sequence[Stack], letters: Mapping[int, str | None]) -> list[Line]:
    """The lines of the form: which stack is which color, by their filters as far as these say it."""
    palettes = (*PALETTES, SPLIT)
    lines = [Line("palette", _MEANINGS[palette], palettes, value=palette)]
    ids = tuple(str(stack["id"]) for stack in stacks)
    by_letter = {letters[stack["id"]]: str(stack["id"]) for stack in reversed(stacks) if letters[stack["id"]]}
    wanted = images_of(palette, stacks)
    matched = [by_letter[letter] for letter in wanted if letter in by_letter]
    rest = [number for number in ids if number not in matched]
    for letter in wanted:
        value = by_letter.get(letter) or (rest.pop(0) if rest else ids[0])
        lines.append(Line(letter, _NAMES.get(letter, "the color stack"), ids, value=value))
    if palette != SPLIT:
        lines.append(
            Line("balance", "scale of the images: as they are, by exposure time, or one brightness", BALANCES)
        )
    free = "beside the first image"
    lines.append(Line("output", "a .fits file or a folder; no file is replaced", free=free))
    return lines


def name_of(stack: Stack, letter: str | None) -> str:
    """A stack in a few words."""
    what = "color" if is_color(stack) else f"filter {letter}" if letter else "filter unknown"
    words = (
        f"stack {stack['id']}: {stack['target'] or '(no target)'}, {what}, {stack['frames_used']} frames, "
    )
    return clean(
        f"{words}{light(stack['integration_s'], stack['frames_used'])}, {Path(stack['output']).name}", 200
    )


def payload_of(lines: Sequence[Line], stacks: Sequence[Stack]) -> dict[str, Any]:
    """What was chosen, as the job takes it.

    Raises
    ------
    UsageError
        A stack is chosen twice, or is no image of a single filter.
    """
    values = {line.name: line.value for line in lines}
    by_id = {str(stack["id"]): stack for stack in stacks}
    palette = values["palette"]
    letters = images_of(palette, stacks)
    chosen = [by_id[values[letter]] for letter in letters]
    if len({stack["id"] for stack in chosen}) < len(chosen):
        twice = next(s["id"] for s in chosen if chosen.count(s) > 1)
        raise UsageError(
            f"stack {twice} is chosen twice; {palette} takes {len(chosen)} stacks, mark them with space"
        )
    for stack in chosen:
        if is_color(stack) != (letters == ("color",)):
            what = (
                "has one filter: choose a color stack"
                if letters == ("color",)
                else "is a color image already"
            )
            raise UsageError(f"stack {stack['id']} {what}")
    return {
        "palette": palette, "images": [stack["output"] for stack in chosen], "output": values["output"] or None,
        "balance": values.get("balance") or "auto",
    }  # fmt: skip


def queue_composition(catalog: Any, payload: dict[str, Any]) -> int:
    """Queue a composition; returns the job's id. For a thread.

    Raises
    ------
    AstrotuiError
        Its output exists or cannot be written.
    """
    from astrotui.frames.output import check_output
    from astrotui.jobs.compose import outputs_of

    images = [Path(image) for image in payload["images"]]
    output = Path(payload["output"]) if payload["output"] else None
    outs = outputs_of(payload["palette"], images, output)
    for out in outs:
        check_output(out)
    return enqueue(catalog, "compose", payload, f"compose {clean(outs[0].name, 60)}", 5)
