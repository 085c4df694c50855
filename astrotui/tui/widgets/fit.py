"""Text in so many cells of a terminal."""

from rich.cells import cell_len, set_cell_size

from astrotui.text import clean


def whole_items(raw: str, width: int) -> str:
    """As many of the items that commas separate as fit whole, and how many more there are; the first one always."""
    items = raw.split(", ")
    kept, text = len(items), raw
    while kept > 1 and cell_len(text) > width:
        kept -= 1
        text = f"{', '.join(items[:kept])} +{len(items) - kept}"
    return text


def fit(raw: str, width: int, align: str) -> str:
    """Text in just so many cells."""
    # What comes from files may hold anything; most of it is harmless and needs no second look.
    if raw.isascii() and raw.isprintable() and len(raw) <= width:
        return raw.rjust(width) if align == "right" else raw.ljust(width)
    text = clean(raw, 400)
    room = width - cell_len(text)  # wide characters take two cells
    if room < 0:
        text = set_cell_size(text, max(width - 1, 0)) + "…"
    elif align == "right":
        text = " " * room + text
    return set_cell_size(text, width)
