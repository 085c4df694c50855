"""Stacks: the picture with zoom and pan, histogram, look, statistics, provenance; compare two; export."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from astrotui.rendering.looks import Look
from astrotui.rendering.service import View
from astrotui.text import clean, duration, plural
from astrotui.tui.pictures import stack_picture
from astrotui.tui.place import Place
from astrotui.tui.queueing import enqueue
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.screens.where import WhereScreen
from astrotui.tui.widgets.histogram import Histogram
from astrotui.tui.widgets.picture import Picture, PictureView
from astrotui.tui.widgets.table import Column, RowTable

_STRETCHES = ("auto", "asinh", "ghs", "zscale", "percentile", "linear")
_DEFAULT_TARGET = 0.2
_ZOOMS = (1.0, 2.0, 4.0, 8.0, 16.0)


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


Stack = dict[str, Any]  # with the keys of `stacks --json`

COLUMNS: list[Column[Stack]] = [
    Column("id", "ID", 4, lambda s: str(s["id"]), lambda s: s["id"], "right", True),
    Column("target", "Target", 12, lambda s: s["target"] or "–", lambda s: s["target"]),
    Column("frames", "Frames", 6, lambda s: str(s["frames_used"]), lambda s: s["frames_used"], "right", True),
    Column(
        "total",
        "Total",
        8,
        lambda s: duration(s["integration_s"]),
        lambda s: s["integration_s"],
        "right",
        True,
    ),
    Column("noise", "Noise", 6, lambda s: _number(s["noise_adu"]), lambda s: s["noise_adu"], "right"),
    Column("fwhm", "FWHM", 5, lambda s: _number(s["fwhm_px"]), lambda s: s["fwhm_px"], "right"),
    Column(
        "file",
        "File",
        16,
        lambda s: ("MISSING " if s["status"] == "missing" else "") + Path(s["output"]).name,
        lambda s: s["output"],
    ),
]


class StacksPlace(Place):
    """Results."""

    PLACE = "stacks"
    CSS_PATH = "stacks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "zoom(1)", "Zoom", id="stacks.zoom_in", tooltip="Zoom in; then arrows look around, esc goes back"),
        Binding("Z", "zoom(-1)", "Out", id="stacks.zoom_out", tooltip="Zoom out"),
        Binding("p,enter", "large", "Large", key_display="p", id="stacks.large", tooltip="The picture alone, or with the list"),
        Binding("w", "stretch", "Stretch", id="stacks.stretch", tooltip="Another stretch: auto, asinh, ghs, zscale, ..."),
        Binding("left_square_bracket", "target(-0.03)", "Dim", key_display="[", id="stacks.darker", tooltip="Darker"),
        Binding("right_square_bracket", "target(0.03)", "Bright", key_display="]", id="stacks.brighter", tooltip="Brighter"),
        Binding("n", "saturation(0.25)", "More color", show=False, id="stacks.more_color", tooltip="More color"),
        Binding("N", "saturation(-0.25)", "Less color", show=False, id="stacks.less_color", tooltip="Less color"),
        Binding("e", "export", "Export", id="stacks.export", tooltip="Write the picture at full size beside the stack, as PNG"),
        Binding("y", "where", "Path", id="stacks.where", tooltip="Where result, manifest and picture are"),
        Binding("i", "facts", "Info", show=False, id="stacks.facts", tooltip="Where the result comes from, and how good it is"),
        Binding("c", "compare", "Compare", id="stacks.compare", tooltip="Remember this one; on another, swap the two"),
        *Place.SHARED,
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.look = Look()
        self.zoom = 0
        self.center = (0.5, 0.5)
        self.other: Stack | None = None  # the stack to compare with
        self._shown_id: int | None = None

    def body(self) -> ComposeResult:
        with Container(id="stacks-place", classes="place"):
            with Container(id="list"):
                empty = "no stacks yet: t in Library or Frames makes one"
                yield RowTable(COLUMNS, key=lambda s: s["id"], empty=empty, id="stacks")
                yield Static(id="facts", markup=False)
            with Container(id="view"):
                yield PictureView(id="picture")
                yield Histogram(id="histogram")
                yield Static(id="where", markup=False)

    def on_mount(self) -> None:
        self.table.sort_by("id", True)
        self.table.focus()

    @property
    def table(self) -> "RowTable[Stack]":
        """The table of results."""
        return self.query_one("#stacks", RowTable)

    async def load(self) -> None:
        stacks = await self.read(_stacks)
        follow = self.table.cursor == 0  # who looks at the newest stack wants to see the next one too
        self.table.set_rows(stacks)
        if follow:
            self.table.action_jump(0)
        self.astro.note(plural(len(stacks), "stack"))

    @on(RowTable.Moved, "#stacks")
    def _moved(self, event: RowTable.Moved) -> None:
        stack = event.row
        if stack is None or stack["id"] != self._shown_id:
            self._shown_id = None if stack is None else stack["id"]
            self.zoom, self.center = 0, (0.5, 0.5)
        self._draw()
        self.query_one("#facts", Static).update(describe(stack) if stack else "")

    @on(RowTable.Chosen, "#stacks")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.action_large()

    # --- the picture ---------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        stack = self.table.row
        picture = self.query_one("#picture", Picture)
        if stack is None or stack["status"] == "missing":
            picture.show(None, text="the file is gone" if stack else "")
            return
        request = replace(
            stack_picture(stack, self.look), zoom=_ZOOMS[self.zoom], center_x=self.center[0], center_y=self.center[1],
            histogram=True, png=True,
        )  # fmt: skip
        picture.show(request)

    @on(Picture.Shown, "#picture")
    def _shown(self, event: Picture.Shown) -> None:
        view: View = event.view
        self.query_one("#histogram", Histogram).show(view.histogram)
        stack = self.table.row
        where = (stack["preview"] if stack else None) or view.png or ""
        words = [f"x{_ZOOMS[self.zoom]:g} {self.look.stretch}", *view.notes]
        line = self.query_one("#where", Static)
        room = max(line.size.width - 2, 10)
        line.update(f"{clean(' · '.join(words), room)}\n{clean(where, 300)}")

    def action_zoom(self, step: int) -> None:
        self.zoom = max(0, min(self.zoom + step, len(_ZOOMS) - 1))
        self._pan(0, 0)
        if self.zoom:
            self.query_one("#picture").focus()  # arrows look around in it
        elif not self.query_one("#stacks-place").has_class("large"):
            self.table.focus()

    @on(PictureView.Looked)
    def _looked(self, event: PictureView.Looked) -> None:
        if event.zoom:
            self.action_zoom(event.zoom)
        else:
            self._pan(event.x, event.y)

    def _pan(self, x: float, y: float) -> None:
        """Move by quarters of what is shown, no further than the picture goes."""
        step, half = 0.25 / _ZOOMS[self.zoom], 0.5 / _ZOOMS[self.zoom]
        along, down = self.center
        self.center = (min(max(along + x * step, half), 1 - half), min(max(down + y * step, half), 1 - half))
        self._draw()

    def action_stretch(self) -> None:
        place = _STRETCHES.index(self.look.stretch) if self.look.stretch in _STRETCHES else 0
        self.look = replace(self.look, stretch=_STRETCHES[(place + 1) % len(_STRETCHES)])  # type: ignore[arg-type]
        self._draw()

    def action_target(self, step: float) -> None:
        target = _DEFAULT_TARGET if self.look.target is None else self.look.target
        self.look = replace(self.look, target=min(max(round(target + step, 2), 0.02), 0.8))
        self._draw()

    def action_saturation(self, step: float) -> None:
        now = 1.0 if self.look.saturation is None else self.look.saturation
        self.look = replace(self.look, saturation=min(max(now + step, 0.0), 4.0))
        self._draw()

    def action_large(self) -> None:
        """The picture in the whole place, or beside the list again."""
        place = self.query_one("#stacks-place")
        place.toggle_class("large")
        (self.query_one("#picture") if place.has_class("large") else self.table).focus()

    def action_facts(self) -> None:
        if (stack := self.table.row) is not None:
            self.app.push_screen(MessageScreen(f"Stack {stack['id']}", describe(stack)))

    def action_where(self) -> None:
        stack = self.table.row
        if stack is None:
            return
        view = self.query_one("#picture", Picture).view
        paths = {"result": stack["output"], "picture as PNG": stack["preview"], "manifest": stack["manifest"]}
        paths["what is shown here, as PNG"] = view.png if view is not None else None
        self.app.push_screen(WhereScreen(f"Stack {stack['id']}", {k: v for k, v in paths.items() if v}))

    def action_compare(self) -> None:
        """Remember this stack; on another one, change between the two at the same place and look."""
        stack = self.table.row
        if stack is None:
            return
        if self.other is None or self.other["id"] == stack["id"]:
            self.other = stack
            self.notify(
                f"stack {stack['id']} is remembered; go to another and press c to change between the two"
            )
            return
        other, self.other = self.other, stack
        self._shown_id = other["id"]  # zoom and place stay
        self.table.go_to(other["id"])

    def action_export(self) -> None:
        if (stack := self.table.row) is not None:
            self.astro.queue(
                _export, stack, self.look,
                then=lambda job: self.notify(f"job {job} writes the picture at full size beside the stack"),
            )  # fmt: skip

    def action_back(self) -> None:
        place = self.query_one("#stacks-place")
        if self.zoom:
            self.action_zoom(-self.zoom)
        elif place.has_class("large"):
            self.action_large()
        else:
            super().action_back()


def describe(stack: Stack) -> str:
    """Where a result comes from and how good it is."""
    lines = [
        clean(stack["output"], 200),
        f"{plural(stack['frames_used'], 'frame')}, {duration(stack['integration_s'])}; "
        f"{len(stack['frames_skipped'])} left out; made in {duration(stack['seconds'])}",
        f"noise {_number(stack['noise_adu'])} ADU, FWHM {_number(stack['fwhm_px'])} px, "
        f"{100 * (stack['rejected_fraction'] or 0):.2f} % of the samples rejected",
        "calibration: " + (", ".join(k for k in ("dark", "flat", "bias") if stack.get(k)) or "none"),
    ]
    lines += [f"! {clean(w, 160)}" for w in stack["warnings"][:3]]
    lines += [
        clean(f"left out {Path(s['path']).name}: {s['reason']}", 120) for s in stack["frames_skipped"][:5]
    ]
    return "\n".join(lines)


def _stacks(catalog: Any) -> list[Stack]:
    from astrotui.library.stacks import list_stacks

    return list_stacks(catalog)


def _export(catalog: Any, stack: Stack, look: Look) -> int:
    source = Path(stack["output"])
    number, out = 1, source.with_name(f"{source.stem}_picture.png")
    while out.exists():
        number += 1
        out = source.with_name(f"{source.stem}_picture_{number}.png")
    payload = {"image": str(source), "output": str(out), "look": look.to_dict()}
    return enqueue(catalog, "render", payload, f"picture {out.name}")
