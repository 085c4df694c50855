"""Master frames against ccdproc and truth; the cache they live in."""

import multiprocessing
import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from astrotui.errors import FrameError, OutputError, PlanError, UsageError
from astrotui.imaging import master_kernels
from astrotui.stacking import master_frames
from astrotui.stacking.master_frames import make_master
from astrotui.stacking.masters import (
    ensure_master,
    export_master,
    list_masters,
    load_master,
    master_path,
    prune_masters,
    without_unusable,
)
from astrotui.stacking.plan import InputFile, MasterSpec

HEIGHT, WIDTH = 62, 150  # not a multiple of the kernel's 128 columns


def write(path: Path, data: np.ndarray, **cards: object) -> Path:
    hdu = fits.PrimaryHDU(data)
    hdu.header.update(cards)
    hdu.writeto(path)
    return path


def write_set(folder: Path, cube: np.ndarray, kind: str = "dark", **settings: object) -> MasterSpec:
    folder.mkdir(exist_ok=True, parents=True)
    files = [InputFile.of(write(folder / f"{i:04d}.fits", frame)) for i, frame in enumerate(cube)]
    return MasterSpec(kind, tuple(files), cube.shape[-1], cube.shape[-2], **settings)  # type: ignore[arg-type]


def noise(seed: int, n: int, level: float = 300.0, sigma: float = 8.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(level, sigma, (n, HEIGHT, WIDTH)).astype(np.float32)


def spread(seed: int, n: int, level: float, half_width: float) -> np.ndarray:
    """Samples evenly spread about a level, shuffled in each pixel: nothing lies beyond 3 sigma by any definition."""
    steps = np.repeat(np.linspace(-half_width, half_width, n), HEIGHT * WIDTH).reshape(n, HEIGHT, WIDTH)
    return (level + np.random.default_rng(seed).permuted(steps, axis=0)).astype(np.float32)


def combined(cube: np.ndarray, **how: object) -> np.ndarray:
    return ccdproc.combine([CCDData(frame, unit="adu") for frame in cube], **how).data


# --- the combination


def plain_winsorized(cube: np.ndarray, floor: float) -> np.ndarray:
    """The definition, pixel by pixel, as slowly and plainly as it can be written."""
    out = np.empty(cube.shape[1:])
    for y, x in np.ndindex(out.shape):
        values = np.sort(cube[:, y, x][np.isfinite(cube[:, y, x])].astype(float))
        while len(values):
            center, sigma = np.median(values), np.std(values)
            for _ in range(30):
                new = 1.134 * np.std(np.clip(values, center - 1.5 * sigma, center + 1.5 * sigma))
                settled = abs(new - sigma) <= 0.0005 * sigma
                sigma = new
                if settled:
                    break
            sigma = max(sigma, floor)
            kept = values[(values >= center - 3 * sigma) & (values <= center + 3 * sigma)]
            if len(kept) in (0, len(values)):
                break
            values = kept
        out[y, x] = np.mean(values) if len(values) else np.nan
    return out


@pytest.mark.parametrize("n", [3, 4, 7, 20])
def test_samples_with_outliers_are_combined_as_defined(tmp_path: Path, n: int) -> None:
    cube = noise(n, n)[:, :20]
    rng = np.random.default_rng(99)
    cube[rng.integers(n, size=150), rng.integers(20, size=150), rng.integers(WIDTH, size=150)] += 200
    cube[0, 5, 5] = np.nan
    cube[:, 7, 7] = np.nan
    made = make_master(write_set(tmp_path, cube), None, workers=1)
    expected = plain_winsorized(cube, made.noise)
    np.testing.assert_allclose(made.data, expected, rtol=1e-5, equal_nan=True)
    assert np.isnan(made.data[7, 7]) and np.isnan(made.data).sum() == 1
    assert made.noise == pytest.approx(8.0, rel=0.05)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_clean_samples_give_the_mean_of_ccdproc(tmp_path: Path, n: int) -> None:
    cube = spread(n, n, 1000, 10)
    made = make_master(write_set(tmp_path, cube), None)
    np.testing.assert_allclose(made.data, combined(cube, method="average"), rtol=1e-6)


def test_cosmic_rays_go_as_with_the_sigma_clip_of_ccdproc(tmp_path: Path) -> None:
    # ccdproc's clip takes sd or MAD of the raw samples where ours winsorizes them, so limits differ a little
    # and so does what goes from the tails; an outlier that is clear by both goes by both.
    cube = noise(3, 20)
    rng = np.random.default_rng(5)
    cube[rng.integers(20, size=300), rng.integers(HEIGHT, size=300), rng.integers(WIDTH, size=300)] += 500
    made = make_master(write_set(tmp_path, cube), None)
    other = combined(
        cube, method="average", sigma_clip=True, sigma_clip_low_thresh=3, sigma_clip_high_thresh=3,
        sigma_clip_func="median", sigma_clip_dev_func="mad_std",
    )  # fmt: skip
    error = 8.0 / np.sqrt(20)
    assert np.max(np.abs(made.data - 300)) < 6 * error
    assert np.std(made.data - other) < 0.3 * error
    assert np.std(made.data - 300) <= 1.01 * np.std(other - 300)


def test_few_or_rounded_samples_lose_nothing_by_chance(tmp_path: Path) -> None:
    # a plain winsorized clip loses 10 % of the samples of 3 frames, 20 % of integers with little noise
    truth = np.random.default_rng(1).uniform(99.5, 100.5, (HEIGHT, WIDTH))
    cube = np.rint(truth + np.random.default_rng(2).normal(0, 0.3, (20, HEIGHT, WIDTH))).astype(np.uint16)
    made = make_master(write_set(tmp_path / "integers", cube), None)
    assert np.std(made.data - truth) < 1.02 * np.std(cube.mean(axis=0) - truth)
    assert np.std(plain_winsorized(cube[:, :20], 0.0) - truth[:20]) > 2 * np.std(made.data - truth)
    shifted = make_master(write_set(tmp_path / "12 bits as 16", cube * np.uint16(16)), None)
    np.testing.assert_allclose(shifted.data, 16 * made.data, rtol=1e-6)
    few = noise(8, 3)
    made = make_master(write_set(tmp_path / "few", few), None)
    assert np.std(made.data) < 1.05 * np.std(few.mean(axis=0))


def test_warming_compiles_the_very_kernel_that_masters_use(tmp_path: Path) -> None:
    master_kernels.warm()
    kernels = (master_kernels.winsorized_rows, master_kernels.winsorized_stored_rows)
    compiled = [len(kernel.signatures) for kernel in kernels]
    below = noise(2, 1)[0].astype(np.float32)
    make_master(write_set(tmp_path / "float", noise(1, 3).astype(np.float32)), None)
    make_master(write_set(tmp_path / "dark", noise(1, 3).astype(np.uint16)), None)
    make_master(write_set(tmp_path / "flat", noise(1, 3, 9000).astype(np.uint16), "flat"), below)
    assert [len(kernel.signatures) for kernel in kernels] == compiled


@pytest.mark.parametrize("kind", ["dark", "flat"])
@pytest.mark.parametrize("count", [3, 20, 70])
def test_the_kind_of_file_changes_no_bit_of_a_master(tmp_path: Path, kind: str, count: int) -> None:
    rng = np.random.default_rng(5)
    cube = rng.normal(9000, 40, (count, HEIGHT, WIDTH)).clip(0, 65535)
    cube[0, 5, 7], cube[1, 8, 9], cube[2] = 65535, 0, cube[2] * (1.2 if kind == "flat" else 1)
    whole = np.rint(cube).astype(np.uint16)
    below = rng.normal(300, 3, (HEIGHT, WIDTH)).astype(np.float32) if kind == "flat" else None
    if below is not None:
        below[3, 4] = np.nan
    plain = make_master(write_set(tmp_path / "plain", whole, kind, cfa="RGGB"), below)
    real = make_master(write_set(tmp_path / "real", whole.astype(np.float32), kind, cfa="RGGB"), below)
    np.testing.assert_array_equal(plain.data, real.data)
    assert np.isnan(plain.data).sum() == (kind == "flat")


def test_one_frame_is_itself_and_two_are_their_mean_where_both_are_there(tmp_path: Path) -> None:
    cube = noise(4, 2)
    cube[0, 3, 4] = np.nan
    cube[:, 6, 7] = np.nan
    one = make_master(write_set(tmp_path / "one", cube[:1]), None)
    np.testing.assert_array_equal(one.data, cube[0])
    two = make_master(write_set(tmp_path / "two", cube), None)
    assert two.data[3, 4] == cube[1, 3, 4] and np.isnan(two.data[6, 7])
    assert two.data[0, 0] == pytest.approx((cube[0, 0, 0] + cube[1, 0, 0]) / 2)


def test_the_height_of_bands_and_the_number_of_threads_change_no_bit(tmp_path: Path) -> None:
    spec = write_set(tmp_path, noise(11, 9))
    whole = make_master(spec, None, workers=1)
    row = 4 * 9 * WIDTH
    for workers, rows in ((1, 1), (3, 7), (2, 40)):
        again = make_master(spec, None, workers=workers, band_bytes=rows * row)
        assert again.data.tobytes() == whole.data.tobytes()


def _peaks(specs: list[MasterSpec], sample_pixels: int) -> list[int]:
    """Most bytes held at once while each master is made, a second time."""
    master_frames._SAMPLE_PIXELS = sample_pixels
    peaks = []
    for spec in specs:
        make_master(spec, None, workers=1, band_bytes=2_000_000)  # compile, import
        tracemalloc.start()
        make_master(spec, None, workers=1, band_bytes=2_000_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return peaks


def peaks_of(specs: list[MasterSpec], sample_pixels: int = 5_000) -> list[int]:
    """`_peaks` in a process of its own: what other tests left behind must not be counted."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_peaks, specs, sample_pixels).result(300)


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    frame = np.random.default_rng(1).normal(300, 8, (200, 300)).astype(np.float32)
    counts = (10, 80)  # 2.4 and 19.2 MB of pixels
    few, many = peaks_of(
        [write_set(tmp_path / str(n), np.broadcast_to(frame, (n, *frame.shape))) for n in counts]
    )
    assert many < 1.15 * few
    assert many < 5_000_000


def test_progress_counts_rows_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    make_master(
        write_set(tmp_path, noise(1, 4)),
        None,
        band_bytes=4 * 4 * WIDTH * 10,
        progress=lambda *a: told.append(a),
    )
    assert told[0] == ("masters", 10, HEIGHT) and told[-1] == ("masters", HEIGHT, HEIGHT)
    assert len(told) == 7


# --- flats


def mosaic_flats(n: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flats of a GBRG mosaic over a bias, the sensitivity they show, and the bias."""
    rng = np.random.default_rng(21)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    shape = 1 - 0.3 * ((x / WIDTH - 0.5) ** 2 + (y / HEIGHT - 0.5) ** 2)
    shape[10, 20] = 0.6  # a speck of dust
    light = np.where((y + x) % 2 == 0, 1.0, np.where(y % 2 == 0, 0.4, 0.7))  # green, blue, red
    bias = 100 + 5 * np.sin(x / 9.0)
    lamps = rng.uniform(18_000, 22_000, n)
    flats = np.array([lamp * shape * light + bias + rng.normal(0, 30, shape.shape) for lamp in lamps])
    return flats.astype(np.float32), shape, bias.astype(np.float32)


def test_a_mosaic_flat_shows_sensitivity_and_no_color(tmp_path: Path) -> None:
    flats, shape, bias = mosaic_flats()
    below = write_set(tmp_path / "bias", np.repeat(bias[np.newaxis], 3, axis=0), "bias")
    spec = write_set(tmp_path / "flats", flats, "flat", cfa="GBRG", subtract=below)
    data = load_master(ensure_master(spec, tmp_path / "cache"))
    even = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) % 2 == 0
    rows = np.broadcast_to(np.arange(HEIGHT)[:, None] % 2 == 0, shape.shape)
    for cells in (even, ~even & rows, ~even & ~rows):
        assert np.mean(data[cells]) == pytest.approx(1, abs=1e-5)
        assert np.std(data[cells] / (shape[cells] / shape[cells].mean()) - 1) < 0.0025
    assert data[10, 20] == pytest.approx(0.6 / shape.mean(), rel=0.02)


def test_a_flat_agrees_with_ccdproc(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    flats = (rng.uniform(0.9, 1.1, (5, 1, 1)) * spread(3, 5, 20_000, 300)).astype(np.float32)
    made = make_master(write_set(tmp_path, flats, "flat"), None)
    other = combined(flats, method="average", scale=lambda frame: 1 / np.median(frame))
    np.testing.assert_allclose(made.data, other / other.mean(), rtol=2e-4)


def test_color_flats_are_levelled_plane_by_plane(tmp_path: Path) -> None:
    base = np.random.default_rng(1).uniform(0.9, 1.1, (3, HEIGHT, WIDTH))
    frames = [lamp * base * np.array([3000.0, 9000, 6000])[:, None, None] for lamp in (1, 1.2, 0.8, 1.1)]
    made = make_master(write_set(tmp_path, np.array(frames, np.float32), "flat"), None)
    np.testing.assert_allclose(made.data, base / base.mean(axis=(1, 2), keepdims=True), rtol=1e-5)


def test_the_two_greens_are_one_color(tmp_path: Path) -> None:
    flats = np.full((4, HEIGHT, WIDTH), 10_000, np.float32)
    flats[:, 0::2, 0::2] *= 1.1  # one green of GRBG is more sensitive than the other
    made = make_master(write_set(tmp_path, flats, "flat", cfa="GRBG"), None)
    assert made.data[0, 0] / made.data[1, 1] == pytest.approx(1.1, rel=1e-5)


def test_flats_outside_their_range_are_told(tmp_path: Path) -> None:
    dim = make_master(write_set(tmp_path / "dim", noise(1, 3, 500), "flat", full_scale_adu=4095.0), None)
    assert "third" in dim.warnings[0]
    burnt = np.full((3, HEIGHT, WIDTH), 4095, np.uint16)
    burnt[:, :40] = 2000
    spec = write_set(tmp_path / "burnt", burnt, "flat", full_scale_adu=4095.0)
    path = ensure_master(spec, tmp_path / "cache")
    assert any("saturated" in line for line in list_masters(tmp_path / "cache")[0].warnings), path
    good = make_master(write_set(tmp_path / "good", noise(1, 3, 2000), "flat", full_scale_adu=4095.0), None)
    assert good.warnings == ()
    with pytest.raises(FrameError, match=r"0000\.fits.*without light"):
        make_master(write_set(tmp_path / "black", np.zeros((3, HEIGHT, WIDTH), np.float32), "flat"), None)


# --- ready masters


def ready(tmp_path: Path, data: np.ndarray, kind: str = "dark", **settings: object) -> MasterSpec:
    return write_set(
        tmp_path / f"ready-{kind}-{len(list(tmp_path.iterdir()))}",
        data[np.newaxis],
        kind,
        ready=True,
        **settings,
    )


def test_a_ready_master_is_taken_as_it_is_or_gets_its_bias_back(tmp_path: Path) -> None:
    bias, dark = noise(1, 1, 100)[0], noise(2, 1, 0.5)[0]
    below = ready(tmp_path, bias, "bias")
    cache = tmp_path / "cache"
    np.testing.assert_array_equal(load_master(ensure_master(ready(tmp_path, dark), cache)), dark)
    back = ready(tmp_path, dark, subtract=below, add_back=True)
    np.testing.assert_array_equal(load_master(ensure_master(back, cache)), dark + bias)
    off = ready(tmp_path, dark, subtract=below)
    np.testing.assert_array_equal(load_master(ensure_master(off, cache)), dark - bias)


def test_fractions_of_full_scale_become_counts(tmp_path: Path) -> None:
    dark = noise(2, 1, 500)[0]
    made = make_master(ready(tmp_path, dark / np.float32(65535)), None)
    np.testing.assert_allclose(made.data, dark, rtol=1e-5)
    assert "multiplied" in made.warnings[0]
    lost = make_master(ready(tmp_path, noise(3, 1, 0.0, 8.0)[0]), None)  # without its bias, but in counts
    assert lost.warnings == ()
    quiet = noise(4, 1, 0.0, 0.2)[0]  # and without a hot pixel in it
    np.testing.assert_array_equal(make_master(ready(tmp_path, quiet), None).data, quiet)


def test_a_ready_flat_is_made_grey(tmp_path: Path) -> None:
    flats, _, _ = mosaic_flats(1)
    made = make_master(ready(tmp_path, flats[0], "flat", cfa="GBRG"), None)
    assert np.mean(made.data[0::2, 1::2]) == pytest.approx(1, abs=1e-5)


# --- the cache


def test_a_master_is_made_once_and_read_from_then_on(tmp_path: Path) -> None:
    spec = write_set(tmp_path / "darks", noise(1, 5))
    cache = tmp_path / "deep" / "cache"
    path = ensure_master(spec, cache)
    assert path == master_path(spec, cache)
    assert [p.name for p in cache.iterdir()] == [path.name]
    header = fits.getheader(path)
    assert header["STACKCNT"] == 5 and header["MSTDIGST"] == spec.digest() and header["BITPIX"] == -32
    assert "winsorized" in header["MSTMETH"]
    first = path.stat().st_ino
    for file in spec.inputs:
        Path(file.path).unlink()
    assert ensure_master(spec, cache).stat().st_ino == first


def test_a_damaged_master_is_made_again(tmp_path: Path) -> None:
    spec = write_set(tmp_path / "darks", noise(1, 5))
    path = ensure_master(spec, tmp_path / "cache")
    whole = load_master(path)
    path.write_bytes(path.read_bytes()[:5000])
    np.testing.assert_array_equal(load_master(ensure_master(spec, tmp_path / "cache")), whole)


def spoil(file: InputFile, how: str) -> None:
    path = Path(file.path)
    if how == "vanished":
        path.unlink()
    elif how == "changed":
        os.utime(path, ns=(1, 1))
    else:
        path.write_bytes(path.read_bytes()[:6000])
        os.utime(path, ns=(file.mtime_ns, file.mtime_ns))


@pytest.mark.parametrize("how", ["vanished", "changed", "truncated"])
def test_an_unusable_input_is_named_and_can_be_left_out(tmp_path: Path, how: str) -> None:
    spec = write_set(tmp_path / "darks", noise(1, 4))
    spoil(spec.inputs[2], how)
    if how == "truncated":  # as it was when the plan was made
        spec = MasterSpec(spec.kind, tuple(InputFile.of(f.path) for f in spec.inputs), WIDTH, HEIGHT)
    with pytest.raises(FrameError, match=r"0002\.fits"):
        ensure_master(spec, tmp_path / "cache")
    assert [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []
    rest, skipped = without_unusable(spec)
    assert len(rest.inputs) == 3 and skipped[0].path == spec.inputs[2].path and skipped[0].reason
    assert rest.digest() != spec.digest()
    assert np.isfinite(load_master(ensure_master(rest, tmp_path / "cache"))).all()


def test_frames_of_another_size_are_named(tmp_path: Path) -> None:
    spec = write_set(tmp_path / "darks", noise(1, 3))
    odd = write(tmp_path / "odd.fits", np.zeros((10, 20), np.uint16))
    mixed = MasterSpec("dark", (*spec.inputs, InputFile.of(odd)), WIDTH, HEIGHT)
    with pytest.raises(FrameError, match=r"odd\.fits: is 20x10"):
        ensure_master(mixed, tmp_path / "cache")
    assert without_unusable(mixed)[0] == spec
    assert without_unusable(spec) == (spec, ())
    with pytest.raises(FrameError, match=r"odd\.fits"):
        without_unusable(MasterSpec("dark", (InputFile.of(odd),), WIDTH, HEIGHT, ready=True))
    with pytest.raises(PlanError):
        ensure_master(MasterSpec("dark", (), WIDTH, HEIGHT), tmp_path / "cache")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    spec = write_set(tmp_path / "darks", noise(1, 3))
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cache"):
        ensure_master(spec, tmp_path / "cache")


def _make_and_count(
    spec: MasterSpec, cache: Path, start: Callable[[], object], made: "multiprocessing.Queue[int]"
) -> None:
    start()
    told: list[int] = []
    ensure_master(spec, cache, workers=1, progress=lambda _stage, done, _total: told.append(done))
    made.put(len(told))


def test_two_processes_make_one_master_between_them(tmp_path: Path) -> None:
    cube = np.random.default_rng(1).normal(300, 8, (6, 400, 500)).astype(np.float32)
    spec = write_set(tmp_path / "darks", cube)
    context = multiprocessing.get_context("fork")
    barrier, made = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_make_and_count, args=(spec, tmp_path / "cache", barrier.wait, made))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    counts = sorted(made.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0, 0]
    assert counts[0] == 0 and counts[1] > 0  # one made it, the other waited and found it
    files = [p.name for p in (tmp_path / "cache").iterdir()]
    assert files == [master_path(spec, tmp_path / "cache").name]


def test_a_cancelled_master_leaves_nothing_behind(tmp_path: Path) -> None:
    spec = write_set(tmp_path / "darks", noise(1, 3))

    def cancel(_stage: str, _done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_master(spec, tmp_path / "cache", progress=cancel)
    assert list((tmp_path / "cache").iterdir()) == []
    assert ensure_master(spec, tmp_path / "cache").exists()


def test_the_cache_is_listed_and_pruned_from_the_least_used(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert list_masters(cache) == [] and prune_masters(cache, 0) == []
    specs = [
        write_set(tmp_path / str(i), noise(i, 3), kind) for i, kind in enumerate(("dark", "bias", "flat"))
    ]
    for age, spec in enumerate(specs):
        path = ensure_master(spec, cache)
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    (cache / "notes.txt").write_text("not a master")
    (cache / "other.fits").write_bytes(b"broken")
    write(cache / "dark-odd.fits", np.zeros((4, 4), np.float32), MSTDIGST="ffff", DATE="yesterday")
    os.utime(cache / "dark-odd.fits", (1, 1))
    assert list_masters(cache)[-1].created is None
    (cache / "dark-odd.fits").unlink()
    infos = list_masters(cache)
    assert [info.kind for info in infos] == ["dark", "bias", "flat"]
    assert infos[0].digest == specs[0].digest() and infos[0].inputs == 3
    assert (infos[0].width, infos[0].height) == (WIDTH, HEIGHT)
    ensure_master(specs[2], cache)  # used: now the youngest
    size = infos[0].size
    assert [info.kind for info in prune_masters(cache, 3 * size)] == []
    removed = prune_masters(cache, size, keep={specs[1].digest()})
    assert [info.kind for info in removed] == ["dark", "flat"]
    assert [info.kind for info in list_masters(cache)] == ["bias"]
    assert (cache / "notes.txt").exists() and (cache / "other.fits").exists()


def test_pruning_removes_what_dead_processes_left(tmp_path: Path) -> None:
    dead = multiprocessing.get_context("fork").Process(target=int)
    dead.start()
    dead.join()
    left = tmp_path / f".dark-0.fits.{dead.pid}.part"
    running = tmp_path / f".dark-1.fits.{os.getpid()}.part"
    for path in (left, running):
        path.write_bytes(b"x")
    prune_masters(tmp_path, 10**9)
    assert not left.exists() and running.exists()


def test_a_master_is_exported_by_the_begin_of_its_digest_and_overwrites_nothing(tmp_path: Path) -> None:
    cache, spec = tmp_path / "cache", write_set(tmp_path / "darks", noise(1, 3))
    path = ensure_master(spec, cache)
    out = tmp_path / "out.fits"
    assert export_master(spec.digest()[:8], cache, out) == out
    assert out.read_bytes() == path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        export_master(spec.digest(), cache, out)
    with pytest.raises(OutputError, match="nowhere"):
        export_master(spec.digest(), cache, tmp_path / "nowhere" / "out.fits")
    for wrong in ("", "zzz"):
        with pytest.raises(UsageError):
            export_master(wrong, cache, tmp_path / "new.fits")


def test_a_master_tells_how_its_frames_were_exposed(tmp_path: Path) -> None:
    cards = {"EXPTIME": 15.0, "GAIN": 80, "CCD-TEMP": -5.0, "INSTRUME": "DWARF II", "SITELAT": 51.0}
    files = [
        InputFile.of(write(tmp_path / f"{i}.fits", frame, **cards)) for i, frame in enumerate(noise(1, 3))
    ]
    spec = MasterSpec("dark", tuple(files), WIDTH, HEIGHT, cfa="GBRG", full_scale_adu=4095.0)
    header = fits.getheader(ensure_master(spec, tmp_path / "cache"))
    told = {key: header[key] for key in ("EXPTIME", "GAIN", "CCD-TEMP", "INSTRUME", "BAYERPAT", "SATURATE")}
    assert told == {
        "EXPTIME": 15.0, "GAIN": 80, "CCD-TEMP": -5.0, "INSTRUME": "DWARF II", "BAYERPAT": "GBRG", "SATURATE": 4095.0,
    }  # fmt: skip
    assert "SITELAT" not in header


def test_real_darks_give_a_master_less_noisy_than_one(tmp_path: Path, real_frames: Path) -> None:
    files = sorted((real_frames / "oscaar_tres1" / "darks").iterdir())
    with fits.open(files[0]) as first:
        height, width = first[0].shape
    spec = MasterSpec("dark", tuple(InputFile.of(f) for f in files), width, height)
    made = make_master(spec, None)
    one = fits.getdata(files[0]).astype(np.float32)
    rest = make_master(MasterSpec("dark", spec.inputs[1:], width, height), None)
    alone, together = one - rest.data, made.data - rest.data
    alone -= np.median(alone)  # the bias of this camera drifts from frame to frame
    together -= np.median(together)
    assert np.isfinite(made.data).all()
    assert np.median(np.abs(together)) < 0.2 * np.median(np.abs(alone))
    assert made.noise == pytest.approx(1.4826 * np.median(np.abs(alone)) / np.sqrt(1 + 1 / 9), rel=0.1)
