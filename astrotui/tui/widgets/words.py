"""Text that is written again and again beside what is under the cursor."""

from textual.visual import VisualType
from textual.widgets import Static

from astrotui.tui.widgets.lines import HasPlainLines


class Words(HasPlainLines, Static):
    """Lays the screen out anew only where its own height changes with the text; Textual does so at every writing.

    Its width must not follow from the text.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        if content == self.content:
            return
        super().update(content, layout=False)
        if layout and self.styles.auto_dimensions and self._grows():
            self.refresh(layout=True)

    def _grows(self) -> bool:
        """Whether the text needs another height than there is."""
        width, height = self.content_size
        needed = self.get_content_height(self.container_size, self.app.size, width) if width else 0
        return not width or needed != height
