"""How fast the app is with a large catalogue, measured from outside, through a real pseudo-terminal.

    python tests/benchmarks/app_speed.py [--frames 100000] [--sessions 500] [--catalog FILE]

Prints a table: start to the first frame and to the first sessions, key to paint, the longest block of the event
loop, bytes sent while nothing happens, and the bytes of a picture of 60x20 cells.
"""

import argparse
import asyncio
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
import zlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
TARGETS = ("M 31", "M 42", "M 45", "M 51", "M 101", "NGC 7000", "IC 434", "NGC 6992")


def make_catalog(path: Path, frames: int, sessions: int) -> None:
    """A catalogue of measured frames that are nowhere on disk, and a dark set for every other session."""
    from sqlalchemy import insert

    from astrotui.catalog.database import Catalog
    from astrotui.catalog.models import CalibrationSet, Frame, Measurement, Root, Session

    each = frames // sessions
    start = datetime(2023, 1, 1, 21, tzinfo=UTC)
    with Catalog.open(path) as catalog, catalog.write(durable=False) as db:
        db.add(Root(id=1, path="/mnt/nas/astro", added=start))
        db.flush()
        common = {"root_id": 1, "width": 3840, "height": 2160, "warnings": []}
        db.execute(insert(Session), [
            {**common, "id": n + 1, "key": str(n), "folder": f"night {n:03d}", "camera": "ASI", "note": "", "tags": [],
             "target": TARGETS[n % len(TARGETS)], "night": date(2023, 1, 1) + timedelta(days=n), "exposure_s": 10.0 + n % 3,
             "first_date": start + timedelta(days=n), "gain": 80.0, "binning": "1x1", "temperature_c": float(n % 20)}
            for n in range(sessions)
        ])  # fmt: skip
        db.execute(insert(CalibrationSet), [
            {**common, "id": n + 1, "key": f"d{n}", "folder": f"darks {n}", "kind": "dark", "is_master": False, "calstat": "",
             "camera": "ASI", "exposure_s": 10.0 + n % 2, "gain": 80.0, "binning": "1x1", "temperature_c": float(n)}
            for n in range(40)
        ])  # fmt: skip
        rows: list[dict[str, Any]] = []
        for n in range(sessions * each + 40 * 20):
            light = n < sessions * each
            session, number = divmod(n, each) if light else (None, n)
            rows.append({
                "id": n + 1, "root_id": 1, "path": f"{n:06d}.fits", "size": 1, "mtime_ns": 1, "tags": [], "warnings": [],
                "session_id": session + 1 if session is not None else None, "reasons": [], "note": "", "exposure_s": 10.0,
                "set_id": None if light else (n - sessions * each) // 20 + 1, "frame_type": "light" if light else "dark",
                "decision": "undecided", "missing": False, "sequence": number, "measured": light,
                "date_obs": start + timedelta(days=session or 0, seconds=12 * number),
            })  # fmt: skip
        db.execute(insert(Frame), rows)
        db.execute(insert(Measurement), [
            {"frame_id": n + 1, "version": 1, "measured": start, "stars": 300 + n % 50, "fwhm_px": 3 + (n % 17) / 20,
             "eccentricity": 0.4, "background_adu": 500.0 + n % 90, "noise_adu": 12.0, "transparency": 0.9 + (n % 9) / 50,
             "score": 60.0 + n % 40, "star_list": bytes(3200)}
            for n in range(sessions * each)
        ])  # fmt: skip


class Terminal:
    """A program at a pseudo-terminal; what it sends is read, kept and timed."""

    def __init__(self, command: list[str], columns: int, rows: int, environment: dict[str, str]) -> None:
        self.begun = time.perf_counter()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(REPOSITORY)
            os.execve(command[0], command, environment)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.sent = b""

    def read(self, seconds: float) -> bytes:
        """What comes within so many seconds; returns at the first bytes."""
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.master, 1 << 20)
        except OSError:
            return b""
        self.sent += data
        return data

    def wait(self, done: Callable[[bytes], bool], seconds: float = 30.0) -> float:
        """Seconds from the start of the program until `done(all that was sent)`."""
        while not done(self.sent):
            if time.perf_counter() - self.begun > seconds:
                raise SystemExit(f"nothing came in {seconds:g} s; the last bytes: {self.sent[-300:]!r}")
            self.read(0.2)
        return time.perf_counter() - self.begun

    def settle(self, quiet: float = 0.7) -> int:
        """Read until nothing came for `quiet` seconds; returns how many bytes came."""
        count, begun = 0, time.perf_counter()
        while data := self.read(quiet):
            count += len(data)
            if time.perf_counter() - begun > 20:
                raise SystemExit(f"it never rests; the last bytes: {self.sent[-300:]!r}")
        return count

    def key(self, text: str) -> float:
        """Press a key; seconds until the terminal hears of it."""
        begun = time.perf_counter()
        os.write(self.master, text.encode())
        if not self.read(10.0):
            raise SystemExit(f"nothing came after {text!r}; the last bytes: {self.sent[-300:]!r}")
        return time.perf_counter() - begun

    def end(self) -> None:
        os.write(self.master, b"\x11")
        begun = time.perf_counter()
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            self.read(0.05)
            if time.perf_counter() - begun > 10:
                raise SystemExit("it does not end")
        os.close(self.master)


def _pump(handle: asyncio.events.Handle) -> str:
    """The place, dialog or widget that a callback of the event loop works for."""
    from textual._context import active_message_pump

    pump = handle._context.get(active_message_pump)  # type: ignore[attr-defined]
    return "" if pump is None else type(pump).__name__


def watch_loop(out: Path) -> None:
    """Time every callback of the event loop of this process; the longest ones are written to `out` at the end."""
    import atexit

    longest: list[tuple[float, float, str]] = []
    recording: list[bool] = []  # from one signal to the next: starting and leaving are measured elsewhere
    signal.signal(signal.SIGUSR1, lambda *_: recording.clear() if recording else recording.append(True))
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.events.Handle) -> None:
        begun, worked = time.perf_counter(), time.thread_time()
        run(handle)
        took = time.perf_counter() - begun
        if took > 0.004 and recording:
            owner = getattr(handle._callback, "__self__", handle._callback)  # type: ignore[attr-defined]
            own = time.thread_time() - worked
            what = re.sub(r"\s+", " ", f"{_pump(handle)}: {owner!r}")
            longest.append((took, own, what[:140]))

    asyncio.events.Handle._run = timed  # type: ignore[method-assign]
    atexit.register(lambda: out.write_text(json.dumps(sorted(longest, reverse=True)[:20])))


def child(mode: str, catalog: Path, out: Path) -> None:
    """What runs at the pseudo-terminal."""
    if mode in ("watched", "watched-bare"):
        watch_loop(out)
    if mode == "watched-bare":
        from bare_textual import Bare as Peer

        Peer().run()
        return
    if mode == "picture":
        from textual.app import App, ComposeResult

        from astrotui.rendering.service import PictureService, ViewRequest
        from astrotui.tui.widgets.picture import Picture

        class Bare(App[None]):
            CSS = "Picture { width: 60; height: 20; }"
            pictures = PictureService()

            def compose(self) -> ComposeResult:
                yield Picture(id="picture")

            def key_p(self) -> None:
                self.query_one(Picture).show(ViewRequest(str(catalog), 0, 0), now=True)

            def on_unmount(self) -> None:
                self.pictures.close()

        Bare().run()
        return
    from astrotui.tui.start import run_app

    run_app(catalog)


def measure(catalog: Path, work: Path, frames: int) -> list[tuple[str, str, str]]:
    """All rows of the table: what, measured, wished for."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        environment[f"XDG_{name}_HOME"] = str(work / name.lower())
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # an installed package is compiled: a first start sees to it
    script = [sys.executable, str(Path(__file__).resolve()), "--child"]
    first, sessions, bare, rows = [], [], [], []
    environment["ASTROTUI_CATALOG"] = str(catalog)
    program = [sys.executable, "-m", "astrotui"]  # as a person starts it
    warm = Terminal(program, 120, 40, environment)
    warm.wait(lambda sent: b"2023-" in sent)
    warm.settle(3.0)
    warm.end()
    peer = [sys.executable, str(Path(__file__).resolve().parent / "bare_textual.py")]
    for _ in range(9):  # by turns, as no machine is as fast all the time
        terminal = Terminal(program, 120, 40, environment)
        first.append(terminal.wait(lambda sent: b"Stacks" in sent))
        sessions.append(terminal.wait(lambda sent: b"2023-" in sent))
        terminal.settle()
        terminal.end()
        terminal = Terminal(peer, 120, 40, environment)
        bare.append(terminal.wait(lambda sent: b"Stacks" in sent))
        terminal.settle()
        terminal.end()
    rows.append(
        ("bare Textual: start to the first frame", f"{statistics.median(bare):.2f} s", "for comparison")
    )
    rows.append(("start to the first frame", f"{statistics.median(first):.2f} s", "< 0.30 s"))
    rows.append(
        (
            f"start to the first sessions ({frames:,} frames)",
            f"{statistics.median(sessions):.2f} s",
            "< 0.60 s",
        )
    )

    longest = work / "loop.json"
    terminal = Terminal(
        [*script, "watched", "--catalog", str(catalog), "--out", str(longest)], 120, 40, environment
    )
    terminal.wait(lambda sent: b"2023-" in sent)
    terminal.settle(5.0)
    os.kill(terminal.pid, signal.SIGUSR1)
    keys = []
    for _ in range(30):
        keys.append(terminal.key("j"))
        terminal.settle(0.05)
    terminal.settle(1.5)
    rows.append(
        ("cursor down in Library, key to paint", f"{1000 * statistics.median(keys):.0f} ms", "< 50 ms")
    )
    before = len(terminal.sent)
    terminal.settle(5.0)
    rows.append(("bytes in 5 s of nothing", f"{len(terminal.sent) - before}", "0"))
    rows.append(
        ("open a session's frames, key to paint", f"{1000 * terminal.key(chr(13)):.0f} ms", "< 50 ms")
    )
    terminal.settle(1.5)
    for name, key, count in (("cursor down in Frames", "j", 20), ("reject a frame", "x", 20)):
        keys, size = [], []
        for _ in range(count):
            before = len(terminal.sent)
            keys.append(terminal.key(key))
            terminal.settle(0.05)
            size.append(len(terminal.sent) - before)
        rows.append((f"{name}, key to paint", f"{1000 * statistics.median(keys):.0f} ms", "< 50 ms"))
        rows.append((f"{name}, bytes", f"{statistics.median(size):.0f}", ""))
        terminal.settle(1.5)
    for key in ("3", "4", "5", "1", "t", "\x1b", "?", "\x1b"):  # all places, the stack form, help
        terminal.key(key)
        terminal.settle(0.8)
    os.kill(terminal.pid, signal.SIGUSR1)
    terminal.end()
    blocks = json.loads(longest.read_text())
    worst = max(worked for _, worked, _ in blocks)
    terminal = Terminal(
        [*script, "watched-bare", "--catalog", str(catalog), "--out", str(longest)], 120, 40, environment
    )
    terminal.wait(lambda sent: b"Stacks" in sent)
    terminal.settle(1.5)
    os.kill(terminal.pid, signal.SIGUSR1)
    terminal.key("2")
    terminal.settle(1.5)
    os.kill(terminal.pid, signal.SIGUSR1)
    terminal.end()
    least = max(worked for _, worked, _ in json.loads(longest.read_text()))
    rows.append(
        ("bare Textual: block when a screen is first shown", f"{1000 * least:.0f} ms", "for comparison")
    )
    rows.append(("longest block of the loop, its own work", f"{1000 * worst:.0f} ms", "< 16 ms"))
    rows += [
        ("longest blocks, waits included", f"{1000 * took:.0f} ms", what) for took, _, what in blocks[:4]
    ]

    frame = next((REPOSITORY / "sample_sessions").rglob("raw_M42*.fits"))
    terminal = Terminal([*script, "picture", "--catalog", str(frame)], 120, 40, environment)
    terminal.settle(2.0)
    before = len(terminal.sent)
    os.write(terminal.master, b"p")
    terminal.settle(8.0)
    picture = terminal.sent[before:]
    terminal.end()
    rows.append(("picture of 60x20 cells, bytes", f"{len(picture):,}", ""))
    rows.append(("the same compressed as ssh -C does", f"{len(zlib.compress(picture, 6)):,}", "< 3,000"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--catalog", type=Path, help="keep the catalogue here and use it again")
    parser.add_argument("--child", choices=("watched", "watched-bare", "picture"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.catalog, options.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        catalog = options.catalog or Path(folder) / "catalog.sqlite"
        if not catalog.exists():
            print("making the catalogue ...", file=sys.stderr)
            make_catalog(catalog, options.frames, options.sessions)
        for what, measured, wished in measure(catalog, Path(folder), options.frames):
            print(f"{what:<52} {measured:>12}  {wished}")


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    main()
