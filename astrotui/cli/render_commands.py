"""`render`: a stretched picture of an image."""

from pathlib import Path
from typing import Any

import click

from astrotui.cli.common import State, emit, note, pass_state, shared_options
from astrotui.rendering.looks import CHOICES, RANGES, Look, option
from astrotui.text import file_stem


def _look_options(command: Any) -> Any:
    defaults = Look().to_dict()
    options = [
        click.option(
            option(name), name, type=click.Choice([str(c) for c in choices]), default=str(defaults[name]), show_default=True
        )
        for name, choices in CHOICES.items()
    ]  # fmt: skip
    options += [
        click.option(
            option(name),
            name,
            type=float,
            default=defaults[name],
            show_default=True,
            help=f"{low:g} to {high:g}.",
        )
        for name, (low, high) in RANGES.items()
    ]
    for decorate in reversed(options):
        command = decorate(command)
    return command


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="OUT.png, .jpg or .tif; never over a file."
)
@click.option("--size", type=click.IntRange(min=16), metavar="N", help="Longest side in pixels.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@_look_options
@shared_options
@pass_state
def render(
    state: State, /, image: str, output: Path | None, size: int | None, overwrite: bool, **look: Any
) -> None:
    """Make a stretched picture of IMAGE: a file, or the id of a stack.

    Without -o the picture goes to the output folder of the settings. Without --size it has the full size and is a job;
    Ctrl+C stops waiting, the job goes on.
    """
    from astrotui.cli.jobs_shared import queue_and_wait
    from astrotui.rendering.render import check_picture, render_image

    source = source_of(state, image)
    if output is None:
        folder = state.settings.output_folder
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{file_stem(source.stem)}.png"
        number = 2
        while target.exists() and not overwrite:
            target = folder / f"{file_stem(source.stem)}_{number}.png"
            number += 1
    else:
        target = output.expanduser().absolute()
        if target.is_dir():
            target = target / f"{file_stem(source.stem)}.png"
    check_picture(source, target, overwrite=overwrite)
    chosen = Look.from_dict(look)
    if size is None:
        payload = {
            "image": str(source),
            "output": str(target),
            "look": chosen.to_dict(),
            "overwrite": overwrite,
        }
        with state.open() as catalog:
            made = queue_and_wait(state, catalog, "render", payload, f"picture {target.name}")
    else:
        info = render_image(source, chosen, target, size=size, overwrite=overwrite)
        made = {"output": str(target), "width": info.width, "height": info.height, "notes": list(info.notes)}
    if state.json:
        emit(made)
        return
    for text in made["notes"]:
        note(text)
    click.echo(f"picture  {target} ({made['width']}x{made['height']})")


def source_of(state: State, image: str) -> Path:
    """The file that IMAGE names: a path, or the result of the stack with that id."""
    path = Path(image).expanduser().absolute()
    if image.isdigit() and not path.exists():
        from astrotui.library.stacks import get_stack

        with state.open() as catalog:
            return Path(get_stack(catalog, image)["output"])
    return path
