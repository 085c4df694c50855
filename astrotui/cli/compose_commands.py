"""`compose`: one color picture of stacks of single filters."""

from dataclasses import asdict
from pathlib import Path
from typing import cast

import click

from astrotui.cli.common import State, emit, pass_state, shared_options
from astrotui.stacking.compose import BALANCES, PALETTES, Balance


@click.command()
@click.argument("palette", type=click.Choice([*PALETTES, "split"]))
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
    stars. The result is linear: render makes the picture.
    """
    from astrotui.cli.render_commands import source_of
    from astrotui.stacking.compose import compose as run
    from astrotui.stacking.compose import split_lines

    paths = [source_of(state, image) for image in images]
    if palette == "split":
        if len(paths) != 1:
            raise click.UsageError("split takes one color stack")
        folder = (output or paths[0].parent).expanduser().absolute()
        outs = (folder / f"{paths[0].stem}_Ha.fits", folder / f"{paths[0].stem}_OIII.fits")
        split_lines(paths[0], outs)
        if state.json:
            emit({"outputs": [str(out) for out in outs]})
        else:
            for out in outs:
                click.echo(f"written {out}")
        return
    target = (output or paths[0].with_name(f"{paths[0].stem}_{palette}.fits")).expanduser().absolute()
    if target.is_dir():
        target = target / f"{paths[0].stem}_{palette}.fits"
    made = run(palette, paths, target, balance=cast("Balance", balance))
    if state.json:
        emit(asdict(made))
        return
    for one in made.channels:
        click.echo(
            f"{one.letter}  {Path(one.path).name}: moved by {one.dx_px:+.2f}, {one.dy_px:+.2f} px, "
            f"{one.rotation_deg:+.3f} degrees; sky {one.sky_adu:.1f} ADU, times {one.factor:.3f}"
        )
    click.echo(f"written {made.output} ({made.width}x{made.height})")
