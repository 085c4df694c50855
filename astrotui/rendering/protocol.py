"""What the app and its picture helper say to each other: a JSON line, then the bytes that it announces."""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, BinaryIO

from astrotui.errors import AstrotuiError
from astrotui.rendering.cells import CellPicture
from astrotui.rendering.looks import Look

_LONGEST_LINE = 16_000_000


@dataclass(frozen=True)
class ViewRequest:
    """A picture, or a part of it, in half-block cells.

    Attributes
    ----------
    path : the file
    columns, rows : the room there is, in cells
    look : how a result is developed; None shows a frame under its session's stretch
    session : names the session's stretch, which is found once and kept; change it when the session's frames
    change
    session_paths : frames to find that stretch from; empty gives the frame a stretch of its own
    cfa_phase, full_scale_adu, hdu : facts that spare a look at the header; None is looked up
    content_id : the catalogue's identity of the file, for the cache
    zoom : 1 shows everything, 2 half of each side
    center_x, center_y : middle of the view as a fraction of the picture
    histogram : also count the levels, 128 bins a channel
    png : also keep the picture as a PNG file and say where; it is written as soon as no picture is waited
    for
    beside : frames whose small pictures are made while nobody asks, the nearest first; empty takes the files beside
    """

    path: str
    columns: int
    rows: int
    look: Look | None = None
    session: str = ""
    session_paths: tuple[str, ...] = ()
    cfa_phase: str | None = None
    full_scale_adu: float | None = None
    hdu: int | None = None
    content_id: str | None = None
    zoom: float = 1.0
    center_x: float = 0.5
    center_y: float = 0.5
    histogram: bool = False
    png: bool = False
    beside: tuple[str, ...] = field(default=(), compare=False)  # the same picture whatever comes next


@dataclass(frozen=True)
class ExportRequest:
    """A picture file of a result or frame at full size, or `size` pixels on its longest side."""

    path: str
    out: str
    look: Look
    size: int | None = None
    depth: int | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class ChannelStatistics:
    """Levels of one channel in ADU: extremes, mean, median, and noise (1.4826 MAD) over all valid pixels."""

    low: float
    high: float
    mean: float
    median: float
    noise: float


@dataclass(frozen=True)
class View:
    """The answer to a ViewRequest.

    Attributes
    ----------
    width, height : of the whole picture as it is shown, in pixels
    window : x, y, width and height of what the cells show, in those pixels
    scale : picture pixels to one half cell
    statistics, histogram : one entry a channel, when they were asked for
    notes : one line each on what the look did
    png : the picture as a file, when it was asked for
    bottom_up : the file's rows begin with the lowest one; what is shown begins with the highest
    """

    cells: CellPicture
    width: int
    height: int
    window: tuple[int, int, int, int]
    scale: float
    statistics: tuple[ChannelStatistics, ...] = ()
    histogram: tuple[tuple[int, ...], ...] = ()
    notes: tuple[str, ...] = ()
    png: str | None = None
    bottom_up: bool = False


@dataclass(frozen=True)
class Exported:
    """The answer to an ExportRequest."""

    path: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


Request = ViewRequest | ExportRequest
Answer = View | Exported


def write_message(stream: BinaryIO, table: dict[str, Any], blob: bytes = b"") -> None:
    """Send one message."""
    line = json.dumps({**table, "bytes": len(blob)}, separators=(",", ":"))
    stream.write(line.encode() + b"\n" + blob)
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message, or None when the other side has gone."""
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        return None
    table = json.loads(line)
    blob = stream.read(int(table.pop("bytes")))
    return table, blob


def request_to_dict(request: Request) -> dict[str, Any]:
    """A request as JSON-ready values."""
    table = asdict(request)
    table["kind"] = "view" if isinstance(request, ViewRequest) else "export"
    return table


def request_from_dict(table: dict[str, Any]) -> Request:
    """The request that `request_to_dict` wrote."""
    values = dict(table)
    kind: type[Request] = {"view": ViewRequest, "export": ExportRequest}[values.pop("kind")]
    if values.get("look") is not None:
        values["look"] = Look.from_dict(values["look"])
    for name in {"session_paths", "beside"} & values.keys():
        values[name] = tuple(values[name])
    return kind(**values)


def answer_to_message(answer: Answer) -> tuple[dict[str, Any], bytes]:
    """An answer as JSON-ready values and the bytes of its cells."""
    table = {f.name: getattr(answer, f.name) for f in fields(answer)}
    if isinstance(answer, Exported):
        return {**table, "kind": "exported"}, b""
    cells = table.pop("cells")
    table["statistics"] = [asdict(s) for s in answer.statistics]
    return {**table, "kind": "view"}, cells.to_bytes()


def answer_from_message(table: dict[str, Any], blob: bytes) -> Answer:
    """The answer that `answer_to_message` wrote.

    Raises
    ------
    AstrotuiError : the message is no answer
    """
    values = dict(table)
    try:
        if values.pop("kind") == "exported":
            return Exported(**{**values, "notes": tuple(values["notes"])})
        return View(
            cells=CellPicture.from_bytes(blob),
            width=values["width"],
            height=values["height"],
            window=tuple(values["window"]),
            scale=values["scale"],
            statistics=tuple(ChannelStatistics(**s) for s in values["statistics"]),
            histogram=tuple(tuple(counts) for counts in values["histogram"]),
            notes=tuple(values["notes"]),
            png=values["png"],
            bottom_up=bool(values["bottom_up"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AstrotuiError(
            f"the picture helper answered nonsense: {type(error).__name__}: {error}"
        ) from error
