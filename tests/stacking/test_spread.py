"""Bands computed by other processes have the pixels of those computed here; what fails there fails here."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from engine_sets import SimulatedSet, Spec, make_set, read_result
from numpy.testing import assert_array_equal

from astrotui.errors import PlanError
from astrotui.stacking import spread
from astrotui.stacking.engine import run_plan
from astrotui.stacking.plan import Calibration
from astrotui.stacking.sources import LostFrameError


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSet:
    return make_set(tmp_path_factory.mktemp("spread"), Spec(seed=6, frames=9, degrees=(0.0, 12.0, 91.0)))


def both(made: SimulatedSet, folder: Path, executor: Executor, **changes: object) -> tuple[object, object]:
    results = []
    for name, where in (("here.fits", None), ("there.fits", executor)):
        plan = made.plan(folder / name, band_rows=32, **changes)
        results.append(run_plan(plan, masters=made.folder / "masters", tag="test", workers=1, executor=where))
    return results[0], results[1]


def same_pixels(one: object, other: object) -> None:
    (here, maps), (there, other_maps) = (read_result(result.output) for result in (one, other))
    assert_array_equal(here, there)
    assert maps.keys() == other_maps.keys()
    for name in maps:
        assert_array_equal(maps[name], other_maps[name])
    assert one.rejected_fraction == other.rejected_fraction
    assert (one.noise_adu, one.fwhm_px) == (other.noise_adu, other.fwhm_px)


def test_other_processes_make_the_same_pixels(
    made: SimulatedSet, tmp_path: Path, processes: ProcessPoolExecutor
) -> None:
    same_pixels(*both(made, tmp_path, processes))
    few = made.only([0, 1, 2, 3])  # few frames are judged by their noise, with a margin around each tile
    (tmp_path / "few").mkdir()
    same_pixels(*both(few, tmp_path / "few", processes, frame="union"))


def test_defects_that_only_the_lights_tell_travel_too(
    made: SimulatedSet, tmp_path: Path, processes: ProcessPoolExecutor
) -> None:
    same_pixels(*both(made, tmp_path, processes, calibrations=(Calibration(),)))


def test_a_scaled_dark_is_scaled_alike(
    made: SimulatedSet, tmp_path: Path, processes: ProcessPoolExecutor
) -> None:
    scaled = replace(made.calibration, dark_scale=0.9)
    here, there = both(made, tmp_path, processes, calibrations=(scaled,))
    assert here.notes == there.notes and here.notes
    same_pixels(here, there)


def test_a_frame_lost_in_another_process_is_left_out(
    made: SimulatedSet, tmp_path: Path, processes: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = Path(made.frames[2].file.path)
    whole = victim.read_bytes()
    times = victim.stat()
    real = spread.bands_over

    def after_a_loss(executor: Executor, recipe: spread.BandRecipe) -> object:
        victim.unlink(missing_ok=True)  # after the first pass has seen it
        return real(executor, recipe)

    monkeypatch.setattr("astrotui.stacking.passtwo.bands_over", after_a_loss)
    try:
        plan = made.plan(tmp_path / "lost.fits", band_rows=32)
        result = run_plan(plan, masters=made.folder / "masters", tag="test", workers=1, executor=processes)
    finally:
        victim.write_bytes(whole)
        import os

        os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert result.frames_used == len(made.frames) - 1
    assert [Path(one.path).name for one in result.frames_skipped] == [victim.name]
    assert np.isfinite(read_result(result.output)[0]).mean() > 0.9


def test_what_crosses_process_borders_keeps_its_meaning() -> None:
    import pickle

    lost = pickle.loads(pickle.dumps(LostFrameError(3, "is gone")))
    assert (lost.index, lost.reason, str(lost)) == (3, "is gone", "is gone")
    assert str(pickle.loads(pickle.dumps(PlanError("no frame")))) == "no frame"


def test_a_dask_cluster_makes_the_same_pixels(made: SimulatedSet, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the cluster extra is not installed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=None, processes=True, host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        same_pixels(*both(made, tmp_path, client.get_executor(pure=False)))
