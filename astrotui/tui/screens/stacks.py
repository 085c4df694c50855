"""Stacks: the picture with zoom and pan, histogram, look, statistics, provenance; compare two; export."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from astrotui.rendering.looks import RANGES, Look
from astrotui.rendering.service import View
from astrotui.text import clean, exposed, plural
from astrotui.tui import queueing
from astrotui.tui.composing import is_color
from astrotui.tui.exporting import FORMATS, export_file, queue_picture
from astrotui.tui.follow import working
from astrotui.tui.pictures import stack_picture
from astrotui.tui.place import Place
from astrotui.tui.provenance import Stack, describe, levels, number, read_provenance
from astrotui.tui.reading import rejected_before
from astrotui.tui.screens.compose_form import ComposeForm
from astrotui.tui.screens.export_form import Export, ExportForm
from astrotui.tui.screens.look_form import LookForm
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.screens.where import WhereScreen
from astrotui.tui.sessions import fit_path
from astrotui.tui.widgets.histogram import Histogram
from astrotui.tui.widgets.picture import Picture, PictureView
from astrotui.tui.widgets.table import Cell, Column, RowTable
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

_STRETCHES = ("auto", "asinh", "ghs", "zscale", "percentile", "linear")
_NONE = "no stacks yet: t in Library or Frames makes one"
_ZOOMS = (1.0, 2.0, 4.0, 8.0, 16.0)


def _file(stack: Stack) -> Cell:
    name = Path(stack["output"]).name
    return Cell(f"MISSING {name}", "warn") if stack["status"] == "missing" else Cell(name)


COLUMNS: list[Column[Stack]] = [
    Column("id", "ID", 4, lambda s: str(s["id"]), lambda s: s["id"], "right", True),
    Column("target", "Target", 12, lambda s: s["target"] or "–", lambda s: s["target"]),
    Column("frames", "Frames", 6, lambda s: str(s["frames_used"]), lambda s: s["frames_used"], "right", True),
    Column(
        "total", "Total", 8, lambda s: exposed(s["integration_s"], s["frames_used"]), lambda s: s["integration_s"],
        "right", True,
    ),
    Column("noise", "Noise", 6, lambda s: number(s["noise_adu"]), lambda s: s["noise_adu"], "right", roomy=75),
    Column("fwhm", "FWHM", 5, lambda s: number(s["fwhm_px"]), lambda s: s["fwhm_px"], "right", roomy=75),
    Column("file", "File", 16, _file, lambda s: s["output"]),
]  # fmt: skip


class StacksPlace(Place):
    """Results."""

    PLACE = "stacks"
    CSS_PATH = "stacks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "zoom(1)", "Zoom", id="stacks.zoom_in", tooltip="Zoom in; then arrows look around, esc goes back"),
        Binding("p,enter", "large", "Large", key_display="p", id="stacks.large", tooltip="The picture alone, or with the list"),
        Binding("w", "stretch", "Stretch", id="stacks.stretch", tooltip="Another stretch: auto, asinh, ghs, zscale, ..."),
        Binding("o", "look", "Look", id="stacks.look", tooltip="All of the look: stretch, background, color, turn"),
        Binding("c", "compare", "Compare", id="stacks.compare", tooltip="Remember this one; on another, swap the two"),
        Binding("space", "mark", "Mark", show=False, key_display="space", id="stacks.mark", tooltip="Mark to compose several"),
        Binding("i", "facts", "Info", id="stacks.facts", tooltip="Statistics, and where the result comes from"),
        Binding("e", "export", "Export", id="stacks.export", tooltip="Write PNG, TIFF, FITS, CSV, Siril's folder"),
        Binding("t", "compose", "Compose", id="stacks.compose",
                tooltip="One color image of the marked stacks: RGB, SHO, ..."),
        Binding("E", "edit", "Note", show=False, id="stacks.edit", tooltip="Note, rate, tag the result"),
        Binding("y", "where", "Path", id="stacks.where", tooltip="Where result, manifest and picture are"),
        Binding("P", "solve", "Plate solve", show=False, id="stacks.solve",
                tooltip="Find where it lies in the sky, by a plate solver"),
        Binding("left_square_bracket", "brightness(0.8)", "Dim", show=False, key_display="[", id="stacks.darker",
                tooltip="Darker"),
        Binding("right_square_bracket", "brightness(1.25)", "Bright", show=False, key_display="]", id="stacks.brighter",
                tooltip="Brighter"),
        Binding("n", "saturation(0.25)", "More color", show=False, id="stacks.more_color", tooltip="More color"),
        Binding("N", "saturation(-0.25)", "Less color", show=False, id="stacks.less_color", tooltip="Less color"),
        Binding("Z", "zoom(-1)", "Out", show=False, id="stacks.zoom_out", tooltip="Zoom out"),
        *Place.SHARED,
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.look = Look()
        self.zoom = 0
        self.center = (0.5, 0.5)
        self.marked: set[int] = set()
        self.other: Stack | None = None  # the stack to compare with
        self._shown_id: int | None = None
        self._provenance: tuple[str, ...] = ()

    def body(self) -> ComposeResult:
        with Container(id="stacks-place", classes="place"):
            with Container(id="list"):
                mark: Column[Stack] = Column("mark", " ", 1, lambda s: "●" if s["id"] in self.marked else "")
                yield RowTable([mark, *COLUMNS], key=lambda s: s["id"], empty=_NONE, id="stacks")
                yield Words(id="facts")
            with Container(id="view"):
                yield PictureView(id="picture")
                yield Histogram(id="histogram")
                yield Words(id="where")

    def made(self) -> None:
        self.table.sort_by("id", True)
        self.table.focus()

    @property
    def table(self) -> "RowTable[Stack]":
        """The table of results."""
        return self.query_one("#stacks", RowTable)

    async def load(self) -> None:
        stacks = await self.read(_stacks)
        going = working(self.astro.live, "stack", "compose", "watch")
        self.table.empty = f"{going}; the result appears here by itself" if going else _NONE
        follow = self.table.cursor == 0  # who looks at the newest stack wants to see the next one too
        self.table.set_rows(stacks)
        if follow:
            self.table.action_jump(0)
        self._note()

    def _note(self) -> None:
        marked = f", {len(self.marked)} marked" if self.marked else ""
        self.note(plural(len(self.table.rows), "stack") + marked)

    def action_mark(self) -> None:
        """Mark the stack under the cursor, or take its mark away."""
        if (stack := self.table.row) is not None:
            self.marked ^= {stack["id"]}
            self.table.refresh()
            self._note()
            self.table.action_move(1)

    def action_compose(self) -> None:
        """Ask how the marked stacks make one image; without marks, the one under the cursor."""
        chosen = self.marked or ({self.table.row["id"]} if self.table.row is not None else set())
        stacks = [s for s in self.table.rows if s["id"] in chosen and s["status"] != "missing"]
        if not stacks:
            self.notify("no stack here; space marks those that make one image", severity="warning")
            return
        if len(stacks) == 1 and not is_color(stacks[0]):
            self.notify("mark the stacks of the other filters with space, then t", timeout=5)
            return
        start(self, partial(self._compose_them, stacks), group="compose")

    async def _compose_them(self, stacks: list[Stack]) -> None:
        letters = await self.read(_letters, stacks)

        def queued(job: int | None) -> None:
            if job is not None:
                self.astro.follower.add(job)
                self.marked = set()
                self.table.refresh()
                self.notify(f"job {job} composes; the image appears here when it is done", timeout=5)

        self.app.push_screen(ComposeForm(stacks, letters), queued)

    @on(RowTable.Moved, "#stacks")
    def _moved(self, event: RowTable.Moved) -> None:
        stack = event.row
        if stack is None or stack["id"] != self._shown_id:
            self._shown_id = None if stack is None else stack["id"]
            self.zoom, self.center = 0, (0.5, 0.5)
            self._provenance = ()
            start(
                self, partial(self._read_provenance, stack), group="provenance", exclusive=True, unasked=True
            )
        self._draw()
        self._tell()

    async def _read_provenance(self, stack: Stack | None) -> None:
        if stack is not None:
            before = await self.read(rejected_before, stack)
            made = await self.astro.background(read_provenance, stack["manifest"])
            self._provenance = (*([before] if before else []), *made)
            self._tell()

    def _about(self) -> str:
        """Everything that is known of the stack under the cursor."""
        stack = self.table.row
        if stack is None:
            return ""
        view = self.query_one("#picture", Picture).view
        shown = [clean(note, 300) for note in view.notes] if view is not None else []
        parts = [describe(stack), levels(view), shown, list(self._provenance)]
        return "\n\n".join("\n".join(part) for part in parts if part)

    def _tell(self) -> None:
        self.query_one("#facts", Words).update(self._about())

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
        where = (stack["preview"] or stack["output"]) if stack else ""
        self._tell()
        line = self.query_one("#where", Words)
        room = max(line.size.width - 2, 10)
        words = _fitting([f"x{_ZOOMS[self.zoom]:g} {self.look.stretch}", *view.notes], room)
        line.update(f"{words}\n{fit_path(where, room, 1)}")

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
        self._take(replace(self.look, stretch=_STRETCHES[(place + 1) % len(_STRETCHES)]))  # type: ignore[arg-type]

    def action_brightness(self, factor: float) -> None:
        """Make faint light so many times brighter, by the middle of the levels: that has an effect on every stretch."""
        low, high = RANGES["mid"]
        mid = self.look.mid / (self.look.mid + (1 - self.look.mid) * factor)
        self._take(replace(self.look, mid=min(max(round(mid, 3), low), high)))

    def action_saturation(self, step: float) -> None:
        now = 1.0 if self.look.saturation is None else self.look.saturation
        self._take(replace(self.look, saturation=min(max(now + step, 0.0), 4.0)))

    def action_look(self) -> None:
        """All choices of the look, beside the picture."""
        self.app.push_screen(LookForm(self.look, self._take))

    def _take(self, look: Look) -> None:
        self.look = look
        self._draw()

    def action_large(self) -> None:
        """The picture in the whole place, or beside the list again."""
        place = self.query_one("#stacks-place")
        place.toggle_class("large")
        (self.query_one("#picture") if place.has_class("large") else self.table).focus()

    def action_facts(self) -> None:
        if (stack := self.table.row) is not None:
            name = f"Stack {stack['id']}, {stack['target'] or '(no target)'}"
            self.app.push_screen(MessageScreen(name, self._about(), wide=True))

    def action_where(self) -> None:
        stack = self.table.row
        if stack is None:
            return
        view = self.query_one("#picture", Picture).view
        paths = {"result": stack["output"], "picture as PNG": stack["preview"], "manifest": stack["manifest"]}
        paths["what is shown here, as PNG"] = view.png if view is not None else None
        self.app.push_screen(WhereScreen(f"Stack {stack['id']}", {k: v for k, v in paths.items() if v}))

    def action_edit(self) -> None:
        if (stack := self.table.row) is not None:
            self.edit("stacks", f"Edit stack {stack['id']}", [stack])

    def action_solve(self) -> None:
        """Ask the plate solver that is installed."""
        if (stack := self.table.row) is not None and stack["status"] != "missing":
            self.astro.queue(
                queueing.solve, (), [stack["id"]],
                then=lambda job: self.notify(f"job {job} solves; 4 shows it", timeout=3),
            )  # fmt: skip

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
        """Ask what to write; pictures are jobs, the rest takes moments."""
        stack = self.table.row
        if stack is None:
            return

        def chosen(export: Export | None) -> None:
            if export is None:
                return
            if FORMATS[export.kind][1]:
                self.astro.queue(
                    queue_picture, stack, self.look, export.out, export.size,
                    then=lambda job: self.notify(f"job {job} writes {export.out}", markup=False),
                )  # fmt: skip
            else:
                self.notify(f"writing {export.out}", markup=False, timeout=3)
                start(self, partial(self._write, stack, export), group="export")

        self.app.push_screen(ExportForm(stack), chosen)

    async def _write(self, stack: Stack, export: Export) -> None:
        said = await self.astro.background(export_file, self.astro.store.path, stack, export.kind, export.out)
        self.notify(said, markup=False)

    def action_back(self) -> None:
        place = self.query_one("#stacks-place")
        if self.zoom:
            self.action_zoom(-self.zoom)
        elif place.has_class("large"):
            self.action_large()
        elif self.marked:
            self.marked = set()
            self.table.refresh()
            self._note()
        else:
            super().action_back()


def _fitting(words: Sequence[str], room: int) -> str:
    """As many of the words as there is room for, the first ones first; `i` has them all."""
    line = words[0]
    for word in words[1:]:
        if len(line) + 3 + len(word) <= room:
            line += f" · {word}"
    return clean(line, room)


def _letters(catalog: Any, stacks: list[Stack]) -> dict[int, str | None]:
    from astrotui.library.compositions import letters_of

    return letters_of(catalog, stacks)


def _stacks(catalog: Any) -> list[Stack]:
    from astrotui.library.stacks import list_stacks

    return list_stacks(catalog)
