"""`help` and `exposure`: pages for people, and the longest exposure without trails."""

import math
from importlib import resources
from typing import Any

import click

from astrotui.cli.common import FiniteRange, State, emit, pass_state, shared_options
from astrotui.errors import UsageError
from astrotui.text import clean


def _pages() -> dict[str, Any]:
    folder = resources.files("astrotui") / "docs"
    return {entry.name.removesuffix(".md"): entry for entry in folder.iterdir() if entry.name.endswith(".md")}


@click.command("help")
@click.argument("topic", required=False)
@shared_options
@pass_state
@click.pass_context
def help_(context: click.Context, state: State, topic: str | None) -> None:
    """Show the help page TOPIC, the help of the command TOPIC, or what there is."""
    from astrotui.cli.main import COMMANDS, cli

    pages = _pages()
    root = context.find_root()
    command = cli.get_command(root, topic) if topic in COMMANDS and topic not in pages else None
    if topic is None:
        text = f"{cli.get_help(root)}\n\nPages: {', '.join(sorted(pages))}. `astrotui help PAGE` shows one."
    elif topic in pages:
        text = pages[topic].read_text(encoding="utf-8")
    elif command is not None:
        text = command.get_help(click.Context(command, info_name=topic, parent=root))
    else:
        names = f"pages are {', '.join(sorted(pages))}; commands are {', '.join(COMMANDS)}"
        raise UsageError(f"no help on {clean(topic, 60)!r}; {names}")
    if state.json:
        emit({"topic": topic, "text": text})
    elif topic in pages:
        click.echo_via_pager(text)
    else:
        click.echo(text)


@click.command()
@click.option("--focal", type=FiniteRange(1e-6, 1e6), required=True, metavar="MM", help="Focal length.")
@click.option("--crop", type=FiniteRange(1e-6, 1e6), default=1.0, show_default=True, help="Crop factor.")
@click.option("--aperture", type=FiniteRange(1e-6, 1e6), metavar="N", help="f-number, for the NPF rule.")
@click.option("--pitch", type=FiniteRange(1e-6, 1e6), metavar="UM", help="Pixel pitch, for the NPF rule.")
@click.option(
    "--dec", type=FiniteRange(-90, 90), default=0.0, show_default=True, help="Declination in degrees."
)
@click.option("--k", type=FiniteRange(1, 3), default=1.0, show_default=True, help="1 pin-point stars to 3.")
@shared_options
@pass_state
def exposure(
    state: State, focal: float, crop: float, aperture: float | None, pitch: float | None, dec: float, k: float
) -> None:
    """The longest exposure without a tracker before stars trail: 500 rule and NPF rule (F. Michaud)."""
    rule_500 = 500 / (focal * crop)
    simple = full = None
    if aperture is not None and pitch is not None:
        simple = (35 * aperture + 30 * pitch) / focal
        cosine = max(math.cos(math.radians(dec)), 1e-6)
        full = k * (16.9 * aperture + 0.1 * focal + 13.7 * pitch) / (focal * cosine)
    if state.json:
        emit({"rule_500_s": rule_500, "npf_simple_s": simple, "npf_s": full})
        return
    click.echo(f"500 rule  {rule_500:.2f} s")
    if simple is None or full is None:
        click.echo("NPF rule  give --aperture and --pitch")
    else:
        click.echo(f"NPF rule  {full:.2f} s (simple form {simple:.2f} s)")
