"""The way into the app: what has to be so before the screen library is loaded."""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path


def run_app(catalog: Path, roots: Sequence[Path] = ()) -> None:
    """Open the app on a catalogue; `roots` are indexed in the background."""
    gc.disable()  # a tenth of loading: nothing of what is loaded is garbage
    sys.setswitchinterval(0.001)  # threads that read the catalogue give way to the screen sooner
    from astrotui.tui.app import AstroApp
    from astrotui.tui.sweeping import Sweeper

    app = AstroApp(catalog, roots)
    app.sweeper = Sweeper()
    app.run()
