"""astroalign's triangle matching of star places, made repeatable."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from astrotui.imaging.types import Float64Array

_lock = threading.Lock()
TRIALS = (
    250  # of one triangle each; where 3 % of the triangles are right, 1 in 2000 matches is missed by this
)


def match_triangles(
    points: Float64Array, targets: Float64Array, count: int, seed: int
) -> Float64Array | None:
    """astroalign's answer for the `count` brightest stars; None when it finds none.

    It would try every pair of similar triangles before it gives up, which takes seconds a frame of a clouded night.
    Here it gives up after `TRIALS`: other ways of matching follow.
    """
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
        original, model = module._np, module._MatchTransform
        module._np = _SeededNumpy(seed)  # type: ignore[attr-defined]
        module._MatchTransform = _impatient(model, module.MaxIterError)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            module._np, module._MatchTransform = original, model  # type: ignore[attr-defined]


def _impatient(model: type[Any], failure: type[Exception]) -> type[Any]:
    """A model for astroalign's search that ends it after so many fits."""

    class Impatient(model):  # type: ignore[misc]
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.fits = 0

        def fit(self, data: Any) -> Any:
            self.fits += 1
            if self.fits > TRIALS:
                raise failure(f"nothing in {TRIALS} trials")
            return super().fit(data)

    return Impatient


class _SeededNumpy:
    """numpy, but for `random.default_rng()`."""

    def __init__(self, seed: int) -> None:
        self.random = SimpleNamespace(default_rng=lambda: np.random.default_rng(seed))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)
