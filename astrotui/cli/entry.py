"""The way in: `astrotui` alone opens the app before anything of the command line is loaded; all else goes to it."""

import sys


def main() -> None:
    """Run `astrotui` with the words of the shell, and exit."""
    # The command line takes a tenth of the time to the app's first frame, and has nothing to do without words.
    if len(sys.argv) > 1 or not all(_is_terminal(name) for name in ("stdin", "stdout", "stderr")):
        from astrotui.cli.main import main as command_line

        command_line()
        return
    try:
        from astrotui.config import catalog_path
        from astrotui.tui.start import run_app

        code = run_app(catalog_path())
    except BaseException as error:  # noqa: BLE001 - said in one line, as that of any command
        from astrotui.cli.main import end_with

        end_with(error)
    sys.exit(code)


def _is_terminal(name: str) -> bool:
    stream = getattr(sys, f"__{name}__")
    return stream is not None and stream.isatty()
