"""What widgets that draw line by line share: their own style, worked out once and not for each line."""

from typing import TYPE_CHECKING

from rich.style import Style

if TYPE_CHECKING:
    from textual.widget import Widget as Base
else:
    Base = object  # the first base that is a widget gives a widget its default styles: it must be Textual's


class DrawsLines(Base):
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
