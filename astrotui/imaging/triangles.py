"""astroalign's triangle matching of star places, made repeatable."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from astrotui.imaging.types import Float64Array

_lock = threading.Lock()


def match_triangles(
    points: Float64Array, targets: Float64Array, count: int, seed: int
) -> Float64Array | None:
    """astroalign's answer for the `count` brightest stars; None when it finds none."""
    if min(len(points), len(targets)) < 3:
        return None
    import astroalign

    with _seeded(astroalign, seed):
        try:
            found, _ = astroalign.find_transform(points[:count], targets[:count], max_control_points=count)
        except (astroalign.MaxIterError, ValueError, IndexError, TypeError, np.linalg.LinAlgError):
            return None  # it has several ways to say that nothing matches
    matrix = np.array(found.params, np.float64)
    return matrix if np.isfinite(matrix).all() else None


@contextmanager
def _seeded(module: ModuleType, seed: int) -> Iterator[None]:
    """`module` sees a numpy whose new generators start from `seed`: astroalign shuffles with unseeded ones.

    numpy itself, and with it every other thread's random numbers, is left alone.
    """
    with _lock:
        original = module._np
        module._np = _SeededNumpy(seed)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            module._np = original  # type: ignore[attr-defined]


class _SeededNumpy:
    """numpy, but for `random.default_rng()`."""

    def __init__(self, seed: int) -> None:
        self.random = SimpleNamespace(default_rng=lambda: np.random.default_rng(seed))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)
