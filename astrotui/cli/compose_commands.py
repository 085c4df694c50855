"""`compose`: one color picture of stacks of single filters."""

from dataclasses import asdict
from pathlib import Path

import click

from astrotui.cli.common import State, emit, note, pass_state, shared_options
from astrotui.stacking.palettes import BALANCES, PALETTES, SPLIT
from astrotui.text import clean


@click.command()
@click.argument("palette", type=click.Choice([*PALETTES, SPLIT]))
@click.argument("images", nargs=-1, required=True, metavar="IMAGE ...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="OUT.fits; a folder for split.")
@click.option(
    "--balance",
    type=click.Choice(BALANCES),
    default="auto",
    show_default=True,
    help="Scale of the images against each other: as they are, by exposure time, or fitted to one brightness.",
)
@shared_options
@pass_state
def compose(
    state: State, /, palette: str, images: tuple[str, ...], output: Path | None, balance: str
) -> None:
    """Make one color image of IMAGEs, stacks of single filters: FITS files or ids of stacks.

    rgb takes R G B, lrgb L R G B, sho S H O (sulfur, hydrogen, oxygen), hoo H O, or one color stack that was taken
    through a dual-band filter. split writes the two lines of such a stack. The images are laid on each other by their
    stars. The result is linear; a picture is written beside it, and render makes others. What is made of listed stacks
    is listed among them.
    """
    from astrotui.cli.render_commands import source_of
    from astrotui.jobs.compose import compose as run

    paths = [source_of(state, image) for image in images]
    if state.catalog_file.exists():
        with state.open() as catalog:
            done = run(catalog, palette, paths, output, balance=balance)
    else:
        done = run(None, palette, paths, output, balance=balance)
    made = done.made
    previews = [str(path) if path else None for path in done.previews]
    for warning in done.warnings:
        note(f"warning: {warning}")
    if made is None:
        if state.json:
            emit(
                {
                    "outputs": [str(out) for out in done.outputs],
                    "previews": previews,
                    "stacks": list(done.stacks),
                    "warnings": list(done.warnings),
                }
            )
        else:
            for out in done.outputs:
                click.echo(f"written {out}")
            _tell_pictures(previews)
        return
    if state.json:
        more = {"preview": previews[0], "stacks": list(done.stacks), "warnings": list(done.warnings)}
        emit({**asdict(made), **more})
        return
    for one in made.channels:
        click.echo(
            f"{one.letter}  {Path(one.path).name}: moved by {one.dx_px:+.2f}, {one.dy_px:+.2f} px, "
            f"{one.rotation_deg:+.3f} degrees; sky {one.sky_adu:.1f} ADU, times {one.factor:.3f}"
        )
    click.echo(f"written {made.output} ({made.width}x{made.height})")
    _tell_pictures(previews)


def _tell_pictures(previews: list[str | None]) -> None:
    for path in filter(None, previews):
        click.echo(f"picture {clean(path, 1000)}")
