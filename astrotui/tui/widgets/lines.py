"""What widgets that draw line by line share: styles that are looked at once, and not again for each line."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.css.styles import StylesBase
from textual.geometry import Size, Spacing
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.widget import Widget as Base
else:
    Base = object  # the first base that is a widget gives a widget its default styles: it must be Textual's


class HasPlainLines(Base):
    """Mixed into widgets, and screens, that mostly have neither border nor effects."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._styles_cache = PlainLines()

    def notify_style_update(self) -> None:
        if isinstance(self._styles_cache, PlainLines):
            self._styles_cache.plain = None
        super().notify_style_update()


class DrawsLines(HasPlainLines):
    """Mixed into widgets that define `render_line`; Textual goes through all ancestors whenever a style is asked for."""

    _own_style: Style | None = None

    @property
    def rich_style(self) -> Style:
        if self._own_style is None:
            self._own_style = super().rich_style
        return self._own_style

    def notify_style_update(self) -> None:
        self._own_style = None
        super().notify_style_update()


class PlainLines(StylesCache):
    """The lines of a widget as it draws them, where its styles add nothing: no border, tint or opacity.

    Textual (8.2) works out for every line what is around it, which takes three times as long as drawing it.
    """

    plain: bool | None = None  # unknown until asked for, and when styles change

    def render_line(
        self,
        styles: StylesBase,
        y: int,
        size: Size,
        content_size: Size,
        padding: Spacing,
        base_background: Any,
        background: Any,
        render_content_line: Callable[[int], Strip],
        border_title: Any,
        border_subtitle: Any,
        opacity: float,
        ansi_theme: Any,
        native_ansi: bool,
    ) -> Strip:
        if self.plain is None:
            self.plain = _adds_nothing(styles)
        if self.plain and opacity == 1.0 and padding.top <= y < padding.top + content_size.height:
            inner, _ = self.get_inner_outer(base_background, background)
            line = render_content_line(y - padding.top).adjust_cell_length(
                content_size.width, inner.rich_style
            )
            if padding.width:
                left, right = (Segment(" " * n, inner.rich_style) for n in (padding.left, padding.right))
                line = Strip([part for part in (left, *line, right) if part.text], size.width)
            return line
        return super().render_line(
            styles, y, size, content_size, padding, base_background, background, render_content_line, border_title,
            border_subtitle, opacity, ansi_theme, native_ansi,
        )  # fmt: skip


def _adds_nothing(styles: StylesBase) -> bool:
    """Whether lines of content are shown as they are drawn."""
    framed = any(kind for kind, _ in (*styles.border, *styles.outline))
    hatched = styles.has_rule("hatch") and styles.hatch != "none"
    return not framed and not hatched and not styles.tint.a and styles.text_opacity == 1.0
