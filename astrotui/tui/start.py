"""The way into the app: what has to be so before the screen library is loaded."""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path


def run_app(catalog: Path, roots: Sequence[Path] = ()) -> int:
    """Open the app on a catalogue; `roots` are indexed in the background. Returns the exit code."""
    gc.disable()  # a tenth of loading: nothing of what is loaded is garbage
    sys.setswitchinterval(0.001)  # threads that read the catalogue give way to the screen sooner
    _load_asyncio()
    from astrotui.tui.app import AstroApp
    from astrotui.tui.sweeping import Sweeper

    app = AstroApp(catalog, roots)
    app.sweeper = Sweeper()
    app.run()
    return app.return_code or 0


def _load_asyncio() -> None:
    """Load asyncio without TLS, as where Python was built without it: 12 ms for what an app without network never uses."""
    if {"ssl", "asyncio"} & sys.modules.keys():
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # importing it fails, for which asyncio is prepared
    try:
        import asyncio.sslproto  # noqa: F401
    finally:
        del sys.modules["ssl"]
