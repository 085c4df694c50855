"""What a person added to a session, a frame or a result, as it is shown."""

from collections.abc import Sequence

from astrotui.text import clean


def remarks(note: str, rating: int | None, tags: Sequence[str]) -> str:
    """What a person added, on one line."""
    parts = ["★" * rating if rating else "", " ".join(f"#{tag}" for tag in tags), note]
    return clean(" · ".join(part for part in parts if part), 200)
