"""Makes the pictures of the documentation from the sample sessions: `python tests/make_screenshots.py`.

It indexes, measures and stacks them as a user does, walks through the five places of the app, and writes
astrotui/docs/img/{library,frames,darks,jobs,stacks}.svg and m42.png. Everything it needs lies in a temporary folder.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
IMAGES = REPOSITORY / "astrotui" / "docs" / "img"
SIZE = (110, 32)
LARGEST = 300_000  # bytes of a picture


def astrotui(*words: str | Path) -> None:
    """Run a command as a user does."""
    code = "from astrotui.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, cwd=REPOSITORY)


async def walk(catalog: Path) -> None:
    """Go through the places and keep what each looks like."""
    from astrotui.tui.app import AstroApp
    from astrotui.tui.widgets.picture import Picture
    from astrotui.tui.widgets.table import RowTable

    app = AstroApp(catalog)
    async with app.run_test(size=SIZE) as pilot:

        async def until(condition: Callable[[], Any]) -> None:
            for _ in range(3000):
                await pilot.pause(0.02)
                if condition():
                    return
            raise SystemExit(f"not reached: {condition}")

        def rows() -> list[Any]:
            found: list[Any] = app.screen.query(RowTable).first().rows
            return found

        def pictured() -> bool:
            picture = app.screen.query_one(Picture)
            return picture.request is not None and picture.shown is picture.request

        async def keep(name: str) -> None:
            app.clear_notifications()
            await pilot.pause(1.0)
            (IMAGES / f"{name}.svg").write_text(app.export_screenshot(title="astrotui"), encoding="utf-8")

        await until(lambda: len(rows()) == 3)
        await pilot.press("end")
        await until(lambda: pictured() and app.screen.query_one(Picture).request.path.endswith("M42.fits"))
        await keep("library")
        await pilot.press("enter")
        await until(lambda: app.current_mode == "frames" and len(rows()) == 16)
        await pilot.press("end", "x", "up", "x", "up", "up")
        await pilot.pause(0.5)
        await until(pictured)
        await keep("frames")
        await pilot.press("3")
        await until(lambda: app.current_mode == "darks" and rows())
        await keep("darks")
        await pilot.press("5")
        await until(lambda: app.current_mode == "stacks" and rows())
        await until(pictured)
        await keep("stacks")
        await pilot.press("2", "t")
        await pilot.pause(1.0)
        await pilot.press("ctrl+s")
        await until(
            lambda: app.current_mode == "jobs" and any(j.status == "running" and j.total for j in rows())
        )
        await keep("jobs")
        await until(lambda: all(j.is_final for j in rows()))


def shrink(picture: Path, out: Path) -> None:
    """A picture of at most `LARGEST` bytes."""
    from PIL import Image

    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    while True:
        image.save(out, optimize=True)
        if out.stat().st_size <= LARGEST:
            return
        image = image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.Resampling.LANCZOS)


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="astro") as folder:
        work = Path(folder)
        for name in ("CONFIG", "DATA", "STATE"):
            os.environ[f"XDG_{name}_HOME"] = str(work / name.lower())
            (work / name.lower()).mkdir()
        catalog = work / "catalog.sqlite"
        os.environ["ASTROTUI_CATALOG"] = str(catalog)
        frames = Path(tempfile.gettempdir()) / "sample_sessions"  # a short path that is nobody's home
        if frames.exists():
            raise SystemExit(f"{frames} is in the way")
        try:
            shutil.copytree(
                REPOSITORY / "sample_sessions", frames, ignore=shutil.ignore_patterns("*.py", "__pycache__")
            )
            astrotui("index", frames)
            astrotui("measure", "target:m42")
            astrotui("measure", "target:m51")
            stack = work / "stacks" / "M42.fits"
            stack.parent.mkdir()
            astrotui("stack", "target:m42", "-o", stack)
            astrotui("render", stack, "-o", work / "m42.png")
            shrink(work / "m42.png", IMAGES / "m42.png")
            asyncio.run(walk(catalog))
        finally:
            shutil.rmtree(frames, ignore_errors=True)
    sizes = {path.name: path.stat().st_size for path in sorted(IMAGES.iterdir())}
    print(json.dumps(sizes, indent=1))
    if any(size > LARGEST for size in sizes.values()):
        raise SystemExit(f"a picture is larger than {LARGEST} bytes")


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    main()
