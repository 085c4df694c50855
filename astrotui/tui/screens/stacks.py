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
from astrotui.tui.widgets.histogram import Histogram
from astrotui.tui.widgets.picture import Picture
from astrotui.tui.widgets.table import Column, RowTable

_STRETCHES = ("auto", "asinh", "ghs", "zscale", "percentile", "linear")
_DEFAULT_TARGET = 0.2
_ZOOMS = (1.0, 2.0, 4.0, 8.0, 16.0)


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


COLUMNS: list[Column[dict[str, Any]]] = [
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
        Binding("z", "zoom(1)", "Zoom in", id="stacks.zoom_in"),
        Binding("Z", "zoom(-1)", "Out", id="stacks.zoom_out"),
        Binding("h,shift+left", "pan(-1,0)", "Pan left", show=False, id="stacks.left"),
        Binding("l,shift+right", "pan(1,0)", "Pan right", show=False, id="stacks.right"),
        Binding("K,shift+up", "pan(0,-1)", "Pan up", show=False, id="stacks.pan_up"),
        Binding("J,shift+down", "pan(0,1)", "Pan down", show=False, id="stacks.pan_down"),
        Binding("w", "stretch", "Stretch", id="stacks.stretch"),
        Binding("left_square_bracket", "target(-0.03)", "Darker", key_display="[", id="stacks.darker"),
        Binding("right_square_bracket", "target(0.03)", "Brighter", key_display="]", id="stacks.brighter"),
        Binding("n", "saturation(0.25)", "More color", show=False, id="stacks.more_color"),
        Binding("N", "saturation(-0.25)", "Less color", show=False, id="stacks.less_color"),
        Binding("c", "compare", "Compare", id="stacks.compare"),
        Binding("p", "large", "Large", id="stacks.large"),
        Binding("e", "export", "Export PNG", id="stacks.export"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.look = Look()
        self.zoom = 0
        self.center = (0.5, 0.5)
        self.other: dict[str, Any] | None = None  # the stack to compare with

    def body(self) -> ComposeResult:
        with Container(id="stacks-place"):
            with Container(id="list"):
                yield RowTable(
                    COLUMNS,
                    key=lambda s: s["id"],
                    empty="no stacks yet: t in Library or Frames makes one",
                    id="stacks",
                )
                yield Static(id="facts", markup=False)
            with Container(id="view"):
                yield Picture(id="picture")
                yield Histogram(id="histogram")
                yield Static(id="where", markup=False)

    def on_mount(self) -> None:
        table = self.query_one("#stacks", RowTable)
        table.sort_by("id", True)
        table.focus()

    async def load(self) -> None:
        stacks = await self.read(_stacks)
        self.query_one("#stacks", RowTable).set_rows(stacks)
        self.astro.note(plural(len(stacks), "stack"))

    @on(RowTable.Moved, "#stacks")
    def _moved(self, event: RowTable.Moved) -> None:
        self.zoom, self.center = 0, (0.5, 0.5)
        self._draw()
        self.query_one("#facts", Static).update(describe(event.row) if event.row else "")

    @on(RowTable.Chosen, "#stacks")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.action_large()

    # --- the picture ---------------------------------------------------------------------------------------------

    def _stack(self) -> Any:
        return self.query_one("#stacks", RowTable).row

    def _draw(self) -> None:
        stack = self._stack()
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
        stack = self._stack()
        where = view.png or (stack["preview"] if stack else None) or ""
        words = [f"x{_ZOOMS[self.zoom]:g} {self.look.stretch}", *view.notes]
        self.query_one("#where", Static).update(clean(f"{' · '.join(words)}", 160) + f"\n{clean(where, 300)}")

    def action_zoom(self, step: int) -> None:
        self.zoom = max(0, min(self.zoom + step, len(_ZOOMS) - 1))
        if self.zoom == 0:
            self.center = (0.5, 0.5)
        self._draw()

    def action_pan(self, x: int, y: int) -> None:
        step = 0.25 / _ZOOMS[self.zoom]
        half = 0.5 / _ZOOMS[self.zoom]
        self.center = (
            min(max(self.center[0] + x * step, half), 1 - half), min(max(self.center[1] + y * step, half), 1 - half)
        )  # fmt: skip
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
        self.query_one("#stacks-place").toggle_class("large")

    def action_compare(self) -> None:
        """Remember this stack; on another one, change between the two at the same place and look."""
        stack = self._stack()
        if stack is None:
            return
        if self.other is None or self.other["id"] == stack["id"]:
            self.other = stack
            self.notify(
                f"stack {stack['id']} is remembered; go to another and press c to change between the two"
            )
            return
        other, self.other = self.other, stack
        held = (self.zoom, self.center)
        self.query_one("#stacks", RowTable).go_to(other["id"])
        self.zoom, self.center = held
        self._draw()

    def action_export(self) -> None:
        stack = self._stack()
        if stack is not None:
            self.change(
                _export,
                stack,
                self.look,
                then=lambda job: self.notify(f"job {job} writes the picture at full size"),
            )

    def action_back(self) -> None:
        place = self.query_one("#stacks-place")
        if place.has_class("large"):
            place.remove_class("large")
        else:
            super().action_back()


def describe(stack: dict[str, Any]) -> str:
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


def _stacks(catalog: Any) -> list[dict[str, Any]]:
    from astrotui.library.stacks import list_stacks

    return list_stacks(catalog)


def _export(catalog: Any, stack: dict[str, Any], look: Look) -> int:
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import enqueue

    source = Path(stack["output"])
    number, out = 1, source.with_name(f"{source.stem}_picture.png")
    while out.exists():
        number += 1
        out = source.with_name(f"{source.stem}_picture_{number}.png")
    payload = {"image": str(source), "output": str(out), "look": look.to_dict()}
    job = enqueue(catalog, "render", payload, title=f"picture {out.name}")
    ensure_worker(catalog)
    return job
