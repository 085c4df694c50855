"""Views of pictures for the helper process: what was decoded is kept, so that a new look or a step aside is quick."""

import hashlib
import json
import os
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from astrotui.config import places
from astrotui.errors import AstrotuiError, FrameError, UsageError
from astrotui.imaging.stretch import StretchParameters, apply_stretch, robust_statistics
from astrotui.imaging.types import Float32Array
from astrotui.rendering import previews
from astrotui.rendering.develop import PREPARED, Development, finish, prepare
from astrotui.rendering.encode import encode
from astrotui.rendering.halfblocks import make_cells
from astrotui.rendering.looks import DEFAULT_LOOK, Look, orient, turned
from astrotui.rendering.protocol import ChannelStatistics, Exported, ExportRequest, View, ViewRequest
from astrotui.rendering.render import developed_pixels, render_image
from astrotui.rendering.small import small_path
from astrotui.rendering.source import Known, Overview, PictureSource, block_means, block_middles

_BINS = 128
_FINER = 3  # pixels read for each half cell and direction, so that stars can be told from noise
_PNG_SIZE = 1600
_MOST_LATER = 30
_BESIDE = 3  # frames before and after the one shown whose pictures are made while nobody asks for one
Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values used last, by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, made if it is not here."""
        if key not in self._values:
            self._values[key] = make()
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]


@dataclass(frozen=True)
class Window:
    """A part of a picture as it is shown, in pixels, and how many of them go to one half cell."""

    x: int
    y: int
    width: int
    height: int
    scale: float


def window_of(request: ViewRequest, width: int, height: int) -> Window:
    """What a request shows of a picture of `width` x `height` pixels; zooming in fills the room there is."""
    if not 1 <= request.columns <= 1000 or not 1 <= request.rows <= 1000:
        raise UsageError(f"a view of {request.columns} x {request.rows} cells cannot be made")
    if not 1.0 <= request.zoom <= 64.0:
        raise UsageError(f"zoom must be between 1 and 64, not {request.zoom:g}")
    scale = max(width / request.columns, height / (2 * request.rows)) / request.zoom
    wide = min(width, max(1, round(request.columns * scale)))
    high = min(height, max(1, round(2 * request.rows * scale)))
    x = round(request.center_x * width - wide / 2)
    y = round(request.center_y * height - high / 2)
    return Window(min(max(0, x), width - wide), min(max(0, y), height - high), wide, high, scale)


def stored_part(window: Window, width: int, height: int, look: Look, *, bottom_up: bool) -> Window:
    """Where the window lies in the file, a picture of `width` x `height` stored pixels: `orient` backwards."""
    shown_width, shown_height = turned(width, height, look)
    x, y, wide, high = window.x, window.y, window.width, window.height
    if look.flip in ("horizontal", "both"):
        x = shown_width - x - wide
    if look.flip in ("vertical", "both"):
        y = shown_height - y - high
    if look.rotate == 90:
        x, y, wide, high = y, height - x - wide, high, wide
    elif look.rotate == 180:
        x, y = width - x - wide, height - y - high
    elif look.rotate == 270:
        x, y, wide, high = width - y - high, x, high, wide
    if bottom_up:
        y = height - y - high
    return Window(x, y, wide, high, window.scale)


class Gallery:
    """Answers requests and remembers what it read: overviews of stacks, small frames, stretches of sessions."""

    def __init__(self) -> None:
        self._overviews: Recent[Overview] = Recent(4)
        self._prepared: Recent[Development] = Recent(16)
        self._developments: Recent[Development] = Recent(64)
        self._frames: Recent[tuple[Float32Array, bool]] = Recent(40)
        self._stretches: Recent[StretchParameters] = Recent(500)
        self._statistics: Recent[tuple[ChannelStatistics, ...]] = Recent(40)
        self.later: deque[Callable[[], None]] = deque(maxlen=_MOST_LATER)

    def do_later(self) -> None:
        """Write the file that was promised last; for moments when nobody waits for a picture."""
        self.later.pop()()

    def view(self, request: ViewRequest) -> View:
        """Cells of a picture or a part of it.

        Raises
        ------
        FrameError : the file cannot be read
        UsageError : the request cannot be meant
        """
        path = Path(request.path)
        key = (*_identity(path), request.cfa_phase, request.full_scale_adu, request.hdu)
        known = Known(request.cfa_phase, request.full_scale_adu, request.hdu)
        with PictureSource(path, known) as source:
            if request.look is None:
                return self._frame(request, source, key)
            return self._developed(request, request.look, source, key)

    def export(self, request: ExportRequest) -> Exported:
        """A picture file."""
        if request.depth not in (None, 8, 16):
            raise UsageError(f"--depth must be 8 or 16, not {request.depth}")
        info = render_image(
            Path(request.path),
            request.look,
            Path(request.out),
            size=request.size,
            depth=None if request.depth is None else 8 if request.depth == 8 else 16,
            overwrite=request.overwrite,
        )
        return Exported(str(info.path), info.width, info.height, info.notes)

    def _frame(self, request: ViewRequest, source: PictureSource, key: tuple[Hashable, ...]) -> View:
        stretch = self._stretch(request, source, key)
        small, bottom_up = self._frames.get(key, lambda: (previews.small_frame(source), source.bottom_up))
        window = window_of(request, source.width, source.height)
        if request.zoom == 1.0:
            linear = small
        else:
            part = stored_part(window, source.width, source.height, DEFAULT_LOOK, bottom_up=bottom_up)
            factor = max(1, int(window.scale / _FINER))
            linear = source.reduced(factor, part.y, part.y + part.height, part.x, part.x + part.width)
        shown = _oriented(apply_stretch(linear, stretch), DEFAULT_LOOK, bottom_up)
        if request.zoom == 1.0:
            self._make_beside(source, request.beside)
        histogram: tuple[tuple[int, ...], ...] = ()
        statistics: tuple[ChannelStatistics, ...] = ()
        if request.histogram:
            samples = source.samples()
            histogram = _histogram(apply_stretch(samples, stretch))
            statistics = _statistics(samples, source.full_scale)
        png = None
        if request.png:
            place = previews.preview_path(Path(request.path), stretch, content_id=request.content_id)
            if not place.exists():
                self.later.append(
                    lambda: previews.store(place, previews.preview_png(small, stretch, bottom_up=bottom_up))
                )
            png = str(place)
        return View(
            cells=make_cells(shown, request.columns, request.rows),
            width=source.width,
            height=source.height,
            window=(window.x, window.y, window.width, window.height),
            scale=window.scale,
            statistics=statistics,
            histogram=histogram,
            png=png,
            bottom_up=bottom_up,
        )

    def _make_beside(self, source: PictureSource, beside: Sequence[str]) -> None:
        """Promise the small pictures of the frames beside this one, the nearest first: what is done last comes first.

        Without `beside` they are the files around it.
        """
        path = source.path
        if beside:
            for other in reversed(beside[: 2 * _BESIDE]):
                self.later.append(partial(_make_small, Path(other), source.cfa))
            return
        try:
            with os.scandir(path.parent) as entries:
                names = sorted(e.name for e in entries if e.name.endswith(path.suffix) and e.name[0] != ".")
        except OSError:
            return
        at = bisect_left(names, path.name)
        for step in range(_BESIDE, 0, -1):
            for place in (at - step, at + step):
                if 0 <= place < len(names):
                    self.later.append(partial(_make_small, path.with_name(names[place]), source.cfa))

    def _stretch(
        self, request: ViewRequest, source: PictureSource, key: tuple[Hashable, ...]
    ) -> StretchParameters:
        if not request.session_paths:
            return self._stretches.get(key, lambda: previews.frame_stretch(source))
        known = Known(request.cfa_phase, request.full_scale_adu, request.hdu)
        paths = [Path(p) for p in request.session_paths]
        return self._stretches.get(
            ("session", request.session, request.session_paths, known),
            lambda: _kept_stretch(request.session, paths, known),
        )

    def _developed(
        self, request: ViewRequest, look: Look, source: PictureSource, key: tuple[Hashable, ...]
    ) -> View:
        overview = self._overviews.get(key, source.overview)
        prepared = self._prepared.get(
            (key, *(getattr(look, name) for name in PREPARED)), lambda: prepare(source, look, overview)
        )
        made = self._developments.get((key, look.digest()), lambda: finish(source, look, overview, prepared))
        width, height = turned(source.width, source.height, look)
        window = window_of(request, width, height)
        part = stored_part(window, source.width, source.height, look, bottom_up=source.bottom_up)
        factor = max(1, int(window.scale / _FINER))
        whole = (part.width, part.height) == (source.width, source.height)
        if whole and factor >= overview.factor:
            linear, factor = _coarser(overview, factor)
        else:
            linear = source.reduced(factor, part.y, part.y + part.height, part.x, part.x + part.width)
        rows, columns = linear.shape[1:]
        shown = made.show(linear, block_middles(rows, factor, part.y), block_middles(columns, factor, part.x))
        histogram: tuple[tuple[int, ...], ...] = ()
        statistics: tuple[ChannelStatistics, ...] = ()
        if request.histogram:
            histogram = _histogram(made.show(overview.samples, overview.sample_y, overview.sample_x))
            statistics = self._statistics.get(
                key, lambda: _statistics(overview.samples, source.full_scale, overview.low, overview.high)
            )
        return View(
            cells=make_cells(_oriented(shown, look, source.bottom_up), request.columns, request.rows),
            width=width,
            height=height,
            window=(window.x, window.y, window.width, window.height),
            scale=window.scale,
            statistics=statistics,
            histogram=histogram,
            notes=made.notes,
            png=self._promised(source, made, key) if request.png else None,
            bottom_up=source.bottom_up,
        )

    def _promised(self, source: PictureSource, made: Development, key: tuple[Hashable, ...]) -> str:
        """Where the developed picture will be as a PNG file, written when nobody waits."""
        name = hashlib.sha256(f"{previews.VERSION}|{key}|{made.look.digest()}".encode()).hexdigest()[:40]
        place = places().previews / name[:2] / f"{name}.png"
        path, known = source.path, source.known

        def write() -> None:
            try:
                with PictureSource(path, known) as again:
                    size = min(_PNG_SIZE, max(again.width, again.height))
                    previews.store(place, encode(developed_pixels(again, made, size=size), "PNG"))
            except AstrotuiError:
                pass  # the file went away meanwhile; the view said so or will

        if not place.exists():
            self.later.append(write)
        return str(place)


def _make_small(path: Path, cfa: str | None) -> None:
    """Keep the small picture of a frame if there is none yet; `cfa` is what the pattern probably is."""
    try:
        if small_path(path, cfa).exists():
            return
        with PictureSource(path) as source:
            if not source.is_stack:
                previews.small_frame(source)
    except AstrotuiError:
        pass  # gone meanwhile, or no picture: who asks for it is told


def _coarser(overview: Overview, factor: int) -> tuple[Float32Array, int]:
    """The overview at `factor` or a little less."""
    more = factor // overview.factor
    return block_means(overview.reduced, more), overview.factor * more


def _identity(path: Path) -> tuple[str, int, int]:
    try:
        facts = path.stat()
    except OSError as error:
        raise FrameError(path, error.strerror or "cannot be read") from error
    return str(path.absolute()), facts.st_size, facts.st_mtime_ns


def _oriented(shown: Float32Array, look: Look, bottom_up: bool) -> Float32Array:
    turned_pixels = orient(np.moveaxis(shown, 0, -1), look, bottom_up=bottom_up)
    return np.ascontiguousarray(np.moveaxis(turned_pixels, -1, 0))


def _histogram(shown: Float32Array) -> tuple[tuple[int, ...], ...]:
    """Counts of a shown picture (C, h, w) in 128 bins from black to white, one row a channel."""
    bins = np.minimum((shown * _BINS).astype(np.int64), _BINS - 1)
    return tuple(tuple(np.bincount(c.ravel(), minlength=_BINS).tolist()) for c in bins)


def _statistics(
    samples: Float32Array,
    full_scale: float,
    low: tuple[float, ...] | None = None,
    high: tuple[float, ...] | None = None,
) -> tuple[ChannelStatistics, ...]:
    found = []
    for index, channel in enumerate(samples):
        values = channel[np.isfinite(channel)]
        if values.size == 0:
            found.append(ChannelStatistics(0.0, 0.0, 0.0, 0.0, 0.0))
            continue
        median, noise = robust_statistics(values)
        extremes = (
            float(values.min()) if low is None else low[index],
            float(values.max()) if high is None else high[index],
        )
        numbers = (*extremes, float(values.mean()), median, noise)
        found.append(ChannelStatistics(*(round(v * full_scale, 3) for v in numbers)))
    return tuple(found)


def _kept_stretch(session: str, paths: list[Path], known: Known) -> StretchParameters:
    """The session's stretch from the cache folder, or found now and kept there."""
    name = hashlib.sha256(
        f"{previews.VERSION}|{session}|{paths}|{known}|{previews.SESSION_TARGET}".encode()
    ).hexdigest()[:40]
    place = places().previews / "stretches" / f"{name}.json"
    try:
        return StretchParameters.from_dict(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, UsageError):
        pass  # not there, or not readable: find it again
    stretch = previews.session_stretch(paths, known=known)
    if session:
        previews.store(place, json.dumps(stretch.to_dict()).encode())
    return stretch
