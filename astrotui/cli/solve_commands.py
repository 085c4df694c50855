"""`solve`: where sessions and stacks lie in the sky, by a plate solver that is installed."""

from typing import Any

import click

from astrotui.cli.common import FiniteRange, State, emit, note, pass_state, shared_options
from astrotui.errors import AstrotuiError
from astrotui.text import plural


@click.command()
@click.argument("things", nargs=-1, required=True, metavar="SESSION|stack:ID|RESULT ...")
@click.option(
    "--limit",
    type=FiniteRange(1, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For each.",
)
@click.option("--no-name", is_flag=True, help="Leave the targets of unnamed sessions and stacks as they are.")
@click.option("--detach", is_flag=True, help="Queue it, start a worker and return.")
@shared_options
@pass_state
def solve(state: State, /, things: tuple[str, ...], limit: float, no_name: bool, detach: bool) -> None:
    """Find sessions (ids, folders, queries) and stacks (stack:3, or the file) in the sky, and name what has no target.

    Needs astrometry.net's solve-field with index files for the size of the field, or ASTAP with its stars. Focal length,
    pixel size and pointing of the frames are tried first, then the whole sky. Raw frames and results are left as they are:
    the coordinates go into the stacks that are made afterwards, and into export --to fits.
    """
    from astrotui.cli.jobs_shared import queue_and_launch, queue_and_wait
    from astrotui.frames.solver import find_solver
    from astrotui.library.annotate import find_things
    from astrotui.library.stacks import stack_at

    with state.open() as catalog:
        known = {thing: stack_at(catalog, thing) for thing in things}
        found = find_things(catalog, [f"stack:{known[t]}" if known[t] is not None else t for t in things])
        sessions = list(dict.fromkeys(found.sessions))
        if found.frames:
            raise click.UsageError("solve takes sessions and stacks, not single frames")
        if find_solver() is None:
            raise AstrotuiError(
                "no plate solver is installed: astrometry.net's solve-field and ASTAP can be used; `astrotui help solve`"
            )
        payload = {"sessions": sessions, "stacks": found.stacks, "limit_s": limit, "name": not no_name}
        title = f"solve {plural(len(sessions) + len(found.stacks), 'field')}"
        if detach:
            queue_and_launch(state, catalog, "solve", payload, title)
            return
        results = queue_and_wait(state, catalog, "solve", payload, title)["solved"]
    if state.json:
        emit(results)
        return
    for one in results:
        click.echo(_line(one)) if one["solved"] else note(f"{_thing(one)}: not found: {one['reason']}")


def _thing(one: dict[str, Any]) -> str:
    return f"session {one['session']}" if "session" in one else f"stack {one['stack']}"


def _line(one: dict[str, Any]) -> str:
    hours = one["ra_deg"] / 15
    minutes, degrees = hours % 1 * 60, abs(one["dec_deg"])
    sign = "-" if one["dec_deg"] < 0 else "+"
    place = f"{int(hours):02d}h{minutes:04.1f}m {sign}{int(degrees):02d}d{degrees % 1 * 60:02.0f}m"
    named = f", named {one['named']}" if one["named"] else ""
    inside = f"; in the field: {', '.join(one['objects'])}" if one["objects"] else ""
    return (
        f"{_thing(one)}: {place}, {one['width_deg']:.2f} x {one['height_deg']:.2f} degrees, "
        f'{one["scale_arcsec"]:.3f}"/px, turned by {one["rotation_deg"]:.1f} degrees'
        f"{', mirrored' if one['mirrored'] else ''}{named}{inside}"
    )
