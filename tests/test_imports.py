"""What each face of the program does not load: start-up time and memory depend on it."""

import subprocess
import sys

import pytest

PIXELS = {"astropy", "ccdproc", "astroalign", "numba", "cv2", "scipy", "sep", "skimage"}

APP = """
import astrotui.tui.app
import astrotui.library.listing, astrotui.library.choose, astrotui.library.cull, astrotui.library.worth
import astrotui.library.requests, astrotui.library.calibrators, astrotui.library.annotate, astrotui.library.stacks
import astrotui.jobs.queue, astrotui.jobs.launch, astrotui.rendering.service, astrotui.catalog.database
import astrotui.imaging.culling, astrotui.imaging.scoring
"""
WAITING = """
import astrotui.cli.main, astrotui.cli.stack_commands, astrotui.cli.jobs_shared
import astrotui.library.requests, astrotui.library.stacks, astrotui.jobs.wait, astrotui.jobs.launch
import astrotui.catalog.database
"""


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        (APP, PIXELS | {"alembic"}),
        (WAITING, PIXELS | {"alembic", "textual", "numpy", "PIL"}),
        ("import astrotui.tui.app", PIXELS | {"alembic", "sqlalchemy", "numpy", "PIL"}),
        ("import astrotui.tui.start", {"textual", "asyncio", "sqlalchemy"}),
        ("import astrotui.tui.app, astrotui.library.session_list", PIXELS | {"alembic", "sqlalchemy", "numpy", "PIL"}),
        ("import astrotui.cli.main", PIXELS | {"alembic", "textual", "sqlalchemy", "numpy", "PIL"}),
        ("import astrotui.cli.entry", {"click", "textual", "asyncio", "sqlalchemy"}),
        ("import astrotui.tui.start; astrotui.tui.start._load_asyncio(); import astrotui.tui.app", {"ssl", "click"}),
        ("import astrotui.jobs.worker", PIXELS | {"alembic", "textual", "numpy", "PIL"}),
        ("import astrotui.frames.identify, astrotui.frames.scan, astrotui.library.index", PIXELS | {"textual", "numpy"}),
    ],
)  # fmt: skip
def test_heavy_libraries_stay_out(code: str, forbidden: set[str]) -> None:
    assert not loaded(code) & forbidden


def test_rooms_import_nothing_by_themselves() -> None:
    rooms = "frames imaging catalog stacking rendering library jobs tui cli".split()
    code = "\n".join(f"import astrotui.{room}" for room in rooms)
    names = loaded(code + "\nimport sys") & (PIXELS | {"sqlalchemy", "textual", "numpy", "click"})
    assert not names


def test_no_circle_of_files() -> None:
    """Not even one that is there for type checking only."""
    import grimp

    graph = grimp.build_graph("astrotui", exclude_type_checking_imports=False)
    rooms = graph.modules
    waiting = {m: {n for n in graph.find_modules_directly_imported_by(m) if n in rooms} for m in rooms}
    # Take away, again and again, what imports nothing that is left: what remains is in a circle or leads into one.
    while free := {m for m, needs in waiting.items() if not needs}:
        waiting = {m: needs - free for m, needs in waiting.items() if m not in free}
    assert not waiting
