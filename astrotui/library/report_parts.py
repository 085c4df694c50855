"""Small parts of a report's page: pictures, tiles, numbers."""

import base64
from collections.abc import Sequence

from astrotui.library.report_html import Markup, tag
from astrotui.text import duration

_NAMES = 12


def tiles(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Numbers worth seeing at once, each with what it is."""
    return tag(
        "div",
        *(tag("div", tag("b", big), tag("span", small), class_="tile") for big, small in pairs),
        class_="tiles",
    )


def image(data: bytes, alt: str) -> Markup:
    """A PNG or JPEG that is part of the page."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    source = Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}")
    return tag("img", src=source, alt=alt)


def fixed(value: float | None, digits: int, unit: str = "") -> str:
    """A number with so many digits; nothing when it is unknown."""
    return "" if value is None else f"{value:.{digits}f}{unit}"


def light(seconds: float) -> str:
    """Light collected: to the second under ten minutes, where one exposure more or less is to be seen."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s" if 100 <= whole < 600 else duration(seconds)


def seconds(value: float | None) -> str:
    """An exposure time."""
    return "" if value is None else f"{value:g} s"


def few(names: Sequence[str]) -> str:
    """Names, the first dozen of them."""
    more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
