"""The cull dialog: who would go by each preset and why, before anything is decided."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from astrotui.text import clean
from astrotui.tui.screens.message import QuestionScreen
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.library.cull import CullPlan
    from astrotui.tui.app import AstroApp

_PRESETS = ("gentle", "balanced", "strict")


class CullScreen(ModalScreen[bool]):
    """Choose a preset, see its consequences, then do it or not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "preset(-1)", "Gentler", id="cull.gentler"),
        Binding("right,l,c", "preset(1)", "Stricter", id="cull.stricter"),
        Binding("y", "do", "Reject them", id="cull.yes"),
        Binding("escape,n,q", "leave", "Leave all as it is", id="cull.no"),
    ]

    def __init__(self, session_id: int) -> None:
        super().__init__()
        self.session_id = session_id
        self.place = 1
        self.plan: CullPlan | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide"):
            yield Label("Cull", classes="dialog--title")
            yield Static(id="presets", markup=False)
            yield Static(id="consequences", markup=False)
            yield Label("←/→ preset · y reject these · esc leave all as it is", classes="dialog--hint")

    def on_mount(self) -> None:
        self._look()

    def action_preset(self, step: int) -> None:
        self.place = (self.place + step) % len(_PRESETS)
        self._look()

    def _look(self) -> None:
        self.query_one("#presets", Static).update(
            "   ".join(f"[{p}]" if i == self.place else f" {p} " for i, p in enumerate(_PRESETS))
        )
        start(self, self._plan, group="cull-plan", exclusive=True)

    async def _plan(self) -> None:
        app = cast("AstroApp", self.app)
        plan, names = await app.store.run(_plan, self.session_id, _PRESETS[self.place])
        self.plan = plan
        lines = [clean(line, 300) for line in plan.sentence().split("; ")]
        lines += [
            f"  {clean(names[i], 100)}: {clean(', '.join(why), 160)}"
            for i, why in list(plan.rejected.items())[:12]
        ]
        if len(plan.rejected) > 12:
            lines.append(f"  and {len(plan.rejected) - 12} more")
        self.query_one("#consequences", Static).update("\n".join(lines))

    def action_do(self) -> None:
        from astrotui.library.cull import LARGE_SHARE

        plan = self.plan
        if plan is None or not plan.rejected:
            self.dismiss(False)
            return
        if plan.share > LARGE_SHARE:
            question = QuestionScreen(
                "That is a lot", f"{plan.share:.0%} of the frames would go. Reject them all the same?"
            )
            self.app.push_screen(question, lambda yes: self._do() if yes else None)
        else:
            self._do()

    def _do(self) -> None:
        async def work() -> None:
            app = cast("AstroApp", self.app)
            await app.write(_apply, self.plan)
            self.dismiss(True)

        start(self, work, group="cull")

    def action_leave(self) -> None:
        self.dismiss(False)


def _plan(catalog: Any, session_id: int, preset: str) -> "tuple[CullPlan, dict[int, str]]":
    from pathlib import Path

    from astrotui.library.cull import plan_cull
    from astrotui.library.listing import list_frames

    names = {f.id: Path(f.path).name for f in list_frames(catalog, [session_id])}
    return plan_cull(catalog, [session_id], preset), names


def _apply(catalog: Any, plan: "CullPlan") -> None:
    from astrotui.library.cull import apply_cull

    apply_cull(catalog, plan)
