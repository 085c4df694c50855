"""The cull dialog: who would go by each preset and why, before anything is decided."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Label

from astrotui.text import clean, plural
from astrotui.tui.choosing import light, short_name
from astrotui.tui.screens.dialog import Dialog
from astrotui.tui.screens.message import QuestionScreen
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.library.cull import CullPlan
    from astrotui.tui.host import Host

_PRESETS = ("gentle", "balanced", "strict")


class CullScreen(Dialog[bool]):
    """Choose a preset, see its consequences, then do it or not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "preset(-1)", "Gentler", id="cull.gentler"),
        Binding("right,l,c", "preset(1)", "Stricter", id="cull.stricter"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="cull.down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="cull.up"),
        Binding("y", "do", "Reject them", id="cull.yes"),
        Binding("escape,n,q", "leave", "Leave all as it is", id="cull.no"),
    ]

    def __init__(self, session_id: int) -> None:
        super().__init__()
        self.session_id = session_id
        self.place = 1
        self.plan: CullPlan | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Label("Cull: who would go, and why", classes="dialog--title")
            yield Words(id="presets")
            with VerticalScroll(id="list"):
                yield Words(id="consequences")
            yield Words(id="keys", classes="dialog--hint")

    def on_mount(self) -> None:
        self.query_one("#list").can_focus = False
        self._look()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#list").scroll_relative(y=lines, animate=False)

    def action_preset(self, step: int) -> None:
        self.place = (self.place + step) % len(_PRESETS)
        self._look()

    def _look(self) -> None:
        self.plan = None  # what is shown until the new plan is there must not be carried out
        self.query_one("#presets", Words).update(
            "   ".join(f"‹{p}›" if i == self.place else f" {p} " for i, p in enumerate(_PRESETS))
        )
        self._say_keys()
        start(self, self._plan, group="cull-plan", exclusive=True)

    def _say_keys(self) -> None:
        does = " · y reject these" if self.plan is not None and self.plan.rejected else ""
        self.query_one("#keys", Words).update(f"←/→ preset · ↑/↓ more{does} · esc leave all")

    async def _plan(self) -> None:
        app = cast("Host", self.app)
        plan, names, unmeasured = await app.store.read(_plan, self.session_id, _PRESETS[self.place])
        self.plan = plan
        self._say_keys()
        lines = [clean(line, 300) for line in plan.sentence().split("; ")]
        if plan.rejected:
            left, now = plan.after, plan.before
            if sum(map(len, plan.rejected.values())) > len(plan.rejected):
                lines[0] += " (a frame can have several reasons)"
            lines.insert(
                1,
                f"left: {plural(left.kept, 'frame')}, {light(left.integration_s, left.kept)}, worth "
                f"{light(left.effective_integration_s, left.kept)} (now {light(now.effective_integration_s, now.kept)})",
            )
        if unmeasured:
            lines = [line for line in lines if "not measured" not in line]
            lines.append(f"{plural(unmeasured, 'frame')} not judged: measure first (esc, then m)")
        lines += [
            f"✗ {clean(names[i], 60)}  {clean(', '.join(why), 160)}" for i, why in plan.rejected.items()
        ]
        self.query_one("#consequences", Words).update("\n".join(lines))

    def action_do(self) -> None:
        from astrotui.library.cull import LARGE_SHARE

        plan = self.plan
        if plan is None:
            return  # not seen yet, so not agreed to
        if not plan.rejected:
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
        writing = cast("Host", self.app).store.write(_apply, self.plan)

        async def work() -> None:
            await writing
            self.close_with(True)

        start(self, work, group="cull")

    def action_leave(self) -> None:
        self.dismiss(False)


def _plan(catalog: Any, session_id: int, preset: str) -> "tuple[CullPlan, dict[int, str], int]":
    """The plan, what frames are called, and how many cannot be judged yet."""
    from astrotui.library.cull import plan_cull
    from astrotui.library.listing import list_frames

    frames = list_frames(catalog, [session_id])
    unmeasured = sum(f.score is None and f.status in ("undecided", "accepted") for f in frames)
    return plan_cull(catalog, [session_id], preset), {f.id: short_name(f) for f in frames}, unmeasured


def _apply(catalog: Any, plan: "CullPlan") -> None:
    from astrotui.library.cull import apply_cull

    apply_cull(catalog, plan)
