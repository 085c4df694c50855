"""One stack of each filter, all on one reference, so that they lie on each other when they are composed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from astrotui.catalog.database import Catalog
from astrotui.errors import UsageError
from astrotui.library.requests import StackRequest, request_stack
from astrotui.library.together import by_filter, check_sky, sessions_of
from astrotui.text import clean


def split_by_filter(
    catalog: Catalog, session_ids: Sequence[int], *, output: Path | None, folder: Path, **options: Any
) -> dict[str, StackRequest]:
    """Requests by filter, each for the sessions of one.

    The reference is chosen once they are measured, by the rules of one stack of all: see `library.reference`. Without
    a reference of its own each stack is laid on that frame, whatever its filter; with `frame` reference (the default
    recipe) all results are of its size.

    Parameters
    ----------
    output : a folder, made where there is none, or None for `folder`
    options : as for `request_stack`

    Raises
    ------
    UsageError
        `output` is no folder.
    AstrotuiError
        A filter has no frame left, or its sessions cannot be one stack.
    """
    if output is not None and not output.suffix and not output.expanduser().exists():
        output.expanduser().mkdir(parents=True)
    if output is not None and not output.expanduser().is_dir():
        raise UsageError(
            f"-o {clean(output, 300)}: --split writes one file a filter, so -o must name a folder"
        )
    with catalog.read() as db:
        groups = by_filter(db, session_ids)
        check_sky(sessions_of(db, session_ids))
    common = tuple(session_ids) if options.get("reference") is None and len(groups) > 1 else ()
    made = {
        name or "no filter": request_stack(catalog, ids, output=output, folder=folder, **options)
        for name, ids in groups.items()
    }
    asked = min(request.asked for request in made.values())
    return {name: replace(request, common=common, asked=asked) for name, request in made.items()}
