"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; it may raise to stop the work."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
