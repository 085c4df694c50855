"""What the engine promises whatever it is given: the same pixels, bounded memory, no frame that stops the rest."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_sets import HEIGHT, WIDTH, SimulatedSet, Spec, make_set, plan_frame, read_result
from numpy.testing import assert_allclose, assert_array_equal

from astrotui.errors import OutputError, PlanError
from astrotui.imaging.types import StarList
from astrotui.stacking import sources
from astrotui.stacking.bands import choose_band_rows
from astrotui.stacking.engine import run_plan
from astrotui.stacking.plan import Calibration, InputFile
from sample_sessions.fitsfile import read_frame, write_frame


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSet:
    return make_set(tmp_path_factory.mktemp("set"), Spec(seed=4, frames=9, degrees=(0.0, 1.5)))


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSet:
    return make_set(
        tmp_path_factory.mktemp("turned"), Spec(seed=5, frames=4, degrees=(0.0, 69.5, 180.2), calibration=3)
    )


def stack(made: SimulatedSet, folder: Path, name: str = "s.fits", workers: int = 1, **changes: object):
    plan = made.plan(folder / name, **changes)
    return run_plan(plan, masters=made.folder / "masters", tag="test", workers=workers)


# --- the same plan, the same bytes


@pytest.mark.parametrize("kind", ["made", "turned"])
def test_the_division_of_work_changes_no_byte(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    chosen: SimulatedSet = request.getfixturevalue(kind)
    wholes = []
    for number, (rows, workers) in enumerate([(64, 1), (64, 3), (24, 2), (256, 1), (2, 2)]):
        output = tmp_path / f"{number}" / "s.fits"
        output.parent.mkdir()
        plan = replace(chosen.plan(output), band_rows=rows)
        run_plan(plan, masters=chosen.folder / "masters", tag="test", workers=workers)
        wholes.append(read_result(output))
    for data, maps in wholes[1:]:
        assert_array_equal(data.view(np.uint32), wholes[0][0].view(np.uint32))
        for name, values in maps.items():
            assert_array_equal(values, wholes[0][1][name])


def test_a_plan_gives_the_same_file_twice(made: SimulatedSet, tmp_path: Path) -> None:
    plan = made.plan(tmp_path / "s.fits")
    contents = []
    for _ in range(2):
        run_plan(plan, masters=made.folder / "masters", tag="test", workers=2)
        contents.append((tmp_path / "s.fits").read_bytes())
        (tmp_path / "s.fits").unlink()
    assert contents[0] == contents[1]


def test_few_open_files_are_enough(
    made: SimulatedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = read_result(stack(made, tmp_path, "a.fits").output)[0]
    monkeypatch.setattr(sources, "_allowed_files", lambda: sources._SPARE_FILES + 2)
    few = read_result(stack(made, tmp_path, "b.fits").output)[0]
    assert_array_equal(usual, few)


def test_the_kind_of_file_changes_no_pixel(made: SimulatedSet, tmp_path: Path) -> None:
    import gzip

    usual = read_result(stack(made, tmp_path, "usual.fits").output)[0]
    frames = []
    for i, frame in enumerate(made.frames):
        raw = read_frame(Path(frame.file.path))
        path = tmp_path / f"frame_{i}.fits"
        if i % 3 == 0:
            path = path.with_suffix(".fits.gz")
            path.write_bytes(gzip.compress(Path(frame.file.path).read_bytes(), 1))
        elif i % 3 == 1:
            write_float(path, raw)
        else:
            write_frame(path, raw, [], compress=True)
        frames.append(replace(frame, file=InputFile.of(path)))
    result = stack(made, tmp_path, "other.fits", frames=tuple(frames))
    assert result.frames_used == len(frames)
    assert_array_equal(read_result(result.output)[0], usual)


# --- memory


def test_groups_share_what_they_have_in_common(made: SimulatedSet, tmp_path: Path) -> None:
    from astrotui.stacking.calibration import load_calibrations

    own, bias = made.calibration, made.calibration.bias
    groups = [own, replace(own, flat=None), replace(own, dark=None), Calibration(bias=bias), own]
    loaded = load_calibrations(
        groups, made.folder / "masters", width=WIDTH, height=HEIGHT, planes=1, cfa="RGGB", cosmetic=True
    )
    assert loaded[0].dark is loaded[1].dark is loaded[4].dark
    assert loaded[2].dark is loaded[3].dark is not loaded[0].dark
    assert loaded[0].inverse is loaded[2].inverse is loaded[4].inverse
    assert loaded[1].inverse is None and loaded[3].defects is None
    assert loaded[0].defects is loaded[4].defects
    frames = tuple(replace(f, calibration=i % 2 * 4) for i, f in enumerate(made.frames))
    usual = read_result(stack(made, tmp_path, "usual.fits").output)[0]
    grouped = stack(made, tmp_path, "groups.fits", frames=frames, calibrations=tuple(groups))
    assert_array_equal(read_result(grouped.output)[0], usual)


def test_samples_of_many_frames_are_thinned(
    made: SimulatedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astrotui.stacking import passone

    usual = read_result(stack(made, tmp_path, "usual.fits").output)[0]
    monkeypatch.setattr(passone, "_SAMPLED_WHOLE", 3)  # of 9: every second value along each axis
    thinned = read_result(stack(made, tmp_path, "thinned.fits").output)[0]
    assert not np.array_equal(thinned, usual, equal_nan=True)
    assert_allclose(np.nanmedian(thinned, axis=(1, 2)), np.nanmedian(usual, axis=(1, 2)), atol=1)
    assert_allclose(np.nanstd(thinned - usual), 0, atol=1)


def test_bands_follow_the_budget(made: SimulatedSet, tmp_path: Path) -> None:
    big = replace(made.plan(tmp_path / "s.fits"), width=3840, height=2160)
    many = replace(big, frames=big.frames * 150)
    assert choose_band_rows(big, 1_000_000_000, 2) == 128
    assert 2 <= choose_band_rows(many, 1_000_000_000, 2) < 128
    with pytest.raises(PlanError, match=r"needs [\d,]+ MB \(--memory\)"):
        choose_band_rows(many, 350_000_000, 2)
    with pytest.raises(PlanError, match="--memory"):
        stack(made, tmp_path, memory_bytes=1_000_000)
    assert not list(tmp_path.iterdir())


# --- frames that cannot be used


def test_a_bad_frame_is_left_out_and_the_rest_goes_on(made: SimulatedSet, tmp_path: Path) -> None:
    frames = list(made.frames)
    short = tmp_path / "short.fits"
    short.write_bytes(Path(frames[1].file.path).read_bytes()[:60_000])
    frames[1] = replace(frames[1], file=InputFile.of(short))
    frames[2] = replace(frames[2], file=replace(frames[2].file, path=str(tmp_path / "gone.fits")))
    frames[3] = replace(frames[3], file=replace(frames[3].file, mtime_ns=1))
    small = tmp_path / "small.fits"
    write_frame(small, np.zeros((100, 100), np.uint16), [])
    frames[4] = replace(frames[4], file=InputFile.of(small))
    frames[5] = replace(frames[5], cfa=None)
    frames[6] = replace(frames[6], stars=StarList.empty())
    black = tmp_path / "black.fits"
    write_frame(black, np.zeros((HEIGHT, WIDTH), np.uint16), [])
    frames[6] = replace(frames[6], file=InputFile.of(black))
    result = stack(made, tmp_path, frames=tuple(frames))
    reasons = {Path(s.path).name: s.reason for s in result.frames_skipped}
    assert result.frames_used == 3
    assert "truncated" in reasons["short.fits"]
    assert "vanished" in reasons["gone.fits"]
    assert "changed" in reasons[Path(made.frames[3].file.path).name]
    assert "100x100" in reasons["small.fits"]
    assert "mono" in reasons[Path(made.frames[5].file.path).name]
    assert "same value" in reasons["black.fits"]
    assert [outcome.used for outcome in result.frames] == [True, *[False] * 6, True, True]
    assert all("\n" not in reason for reason in reasons.values())


def test_a_frame_behind_clouds_is_left_out(made: SimulatedSet, tmp_path: Path) -> None:
    frames = list(made.frames)
    path = tmp_path / "cloud.fits"
    write_frame(path, np.random.default_rng(0).normal(900, 9, (HEIGHT, WIDTH)).astype(np.uint16), [])
    frames[4] = plan_frame(path, "RGGB", 4)
    result = stack(made, tmp_path, frames=tuple(frames))
    assert [Path(s.path).name for s in result.frames_skipped] == ["cloud.fits"]
    assert "aligned" in result.frames_skipped[0].reason


def test_a_frame_beside_which_the_others_count_for_nothing_is_named(
    made: SimulatedSet, tmp_path: Path
) -> None:
    """Another exposure among the frames: at equal noise its stars are far brighter, and it would be the whole stack."""
    frames = list(made.frames)
    stars = frames[4].stars
    frames[4] = replace(frames[4], stars=replace(stars, flux=stars.flux * 12))
    result = stack(made, tmp_path, frames=tuple(frames))
    assert result.frames_used == 1
    [told] = [text for text in result.warnings if "count under 2 % beside" in text]
    name = Path(frames[4].file.path).name
    assert told.startswith(f"8 of 9 frames count under 2 % beside {name}, whose stars are 11.9 times as")
    assert not any("count under" in text for text in stack(made, tmp_path, "plain.fits").warnings)
    alike = stack(made, tmp_path, "alike.fits", frames=tuple(frames), weight="none")
    assert alike.frames_used == 9 and not any("count under" in text for text in alike.warnings)


def test_a_bias_that_the_dark_holds_is_neither_made_nor_named(made: SimulatedSet, tmp_path: Path) -> None:
    exact = made.calibration
    assert exact.bias is not None and set(exact.applied) == {"dark", "flat"}
    scaled, alone = replace(exact, dark_scale=0.5), replace(exact, dark=None)
    assert set(alone.applied) == {"bias", "flat"}
    assert set(scaled.applied) == {"dark", "bias", "flat"}
    result = stack(made, tmp_path, calibrations=(replace(exact, flat=None),))
    assert result.dark is not None and result.flat is None and result.bias is None


def test_a_frame_that_is_lost_in_the_second_pass_is_as_if_never_there(
    made: SimulatedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sources.FrameSources.read_stored
    victim = made.frames[4].file.path

    def read_stored(self, index: int, y0: int, *rest: object):
        if self._files[index].path == victim and y0 > 100:
            raise sources.LostFrameError(index, "truncated: the file ends at byte 1")
        return real(self, index, y0, *rest)

    monkeypatch.setattr(sources.FrameSources, "read_stored", read_stored)
    result = stack(made, tmp_path, "lost.fits")
    monkeypatch.undo()
    assert result.frames_used == len(made.frames) - 1
    assert [s.reason for s in result.frames_skipped] == ["truncated: the file ends at byte 1"]
    without = made.only([i for i in range(len(made.frames)) if i != 4])
    expected = read_result(stack(without, tmp_path, "without.fits").output)[0]
    assert_array_equal(read_result(result.output)[0], expected)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lost.fits", "without.fits"]


def test_the_reference_itself_may_be_lost(made: SimulatedSet, tmp_path: Path) -> None:
    frames = list(made.frames)
    frames[0] = replace(frames[0], file=replace(frames[0].file, path=str(tmp_path / "gone.fits")))
    result = stack(made, tmp_path, frames=tuple(frames))
    assert result.frames_used == len(frames) - 1
    data, _ = read_result(result.output)
    whole, _ = read_result(stack(made, tmp_path, "whole.fits").output)
    both = np.isfinite(data) & np.isfinite(whole)
    assert np.corrcoef(data[both], whole[both])[0, 1] > 0.98  # the sky lies where it did


def test_without_any_usable_frame_one_line_says_why(made: SimulatedSet, tmp_path: Path) -> None:
    gone = tuple(
        replace(f, file=replace(f.file, path=f"/nowhere/{i}.fits")) for i, f in enumerate(made.frames)
    )
    with pytest.raises(PlanError, match="no frame can be stacked: 9 of them: has vanished"):
        stack(made, tmp_path, frames=gone)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_frames_are_a_plain_mean(made: SimulatedSet, tmp_path: Path, count: int) -> None:
    some = made.only(list(range(0, 2 * count, 2)))
    result = stack(some, tmp_path, weight="none", normalize="none")
    assert result.frames_used == count
    assert any("plain mean" in warning for warning in result.warnings)
    assert result.rejected_fraction == 0


# --- output


def test_an_existing_file_is_never_written_over(made: SimulatedSet, tmp_path: Path) -> None:
    (tmp_path / "s.fits").write_text("mine")
    with pytest.raises(OutputError, match=r"s\.fits"):
        stack(made, tmp_path)
    assert (tmp_path / "s.fits").read_text() == "mine"


def test_cancelling_leaves_nothing(made: SimulatedSet, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    seen = []

    def progress(stage: str, done: int, total: int) -> None:
        seen.append(stage)
        if stage == "stacking" and done >= 128:
            raise StopError

    with pytest.raises(StopError):
        run_plan(
            made.plan(tmp_path / "s.fits"),
            masters=made.folder / "masters",
            tag="t",
            workers=2,
            progress=progress,
        )
    assert not list(tmp_path.iterdir())
    assert {"levels", "stacking"} <= set(seen)


def test_what_is_compiled_is_told_as_kernels(
    made: SimulatedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that is new to it, judging the result is a moment: its kernels came with the others."""
    from astrotui.imaging import warm

    told: list[str] = []
    whole = warm.warm_judging

    def compiling() -> None:
        told.append("compiled")
        whole()

    monkeypatch.setattr(warm, "warm_judging", compiling)
    run_plan(
        made.plan(tmp_path / "s.fits"), masters=made.folder / "masters", tag="t", workers=2,
        progress=lambda stage, done, total: told.append(stage),
    )  # fmt: skip
    assert told[0] == "kernels" and told.index("compiled") < told.index("levels") < told.index("judging")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(made: SimulatedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pwrite(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OutputError, match=r"s\.fits"):
        stack(made, tmp_path)
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())


def test_the_result_tells_what_it_is(made: SimulatedSet, tmp_path: Path) -> None:
    from astropy.io import fits

    result = stack(made, tmp_path)
    with fits.open(result.output) as hdus:
        header = hdus[0].header
        assert [hdu.name for hdu in hdus[1:]] == ["COVERAGE", "REJ_LOW", "REJ_HIGH"]
        assert hdus[0].data.shape == (3, HEIGHT, WIDTH)
    assert header["BITPIX"] == -32
    assert header["STACKCNT"] == 9 and header["TOTALEXP"] == result.integration_s == 180.0
    assert header["OBJECT"] == "Simulated field"
    assert "BAYERPAT" not in header
    assert header["REJECT"] == "winsorized" and header["NORMALIZ"] == "stars"
    assert_allclose(header["FWHM"], result.fwhm_px)
    assert_allclose(header["NOISE"], result.noise_adu)
    assert header["CALSTAT"] == "BDF"
    assert result.dark and result.flat and result.bias  # the dark holds it; it was taken off the flat
    assert set(result.stages) >= {"masters", "levels", "stacking", "writing"}


# --- pixels that are missing


def test_missing_pixels_and_corners_never_spread(tmp_path: Path) -> None:
    made = make_set(
        tmp_path, Spec(seed=6, frames=5, cfa=None, degrees=(0.0, 25.0), calibration=0, trail_in=None)
    )
    frames = []
    rng = np.random.default_rng(1)
    for i, frame in enumerate(made.frames):
        raw = read_frame(Path(frame.file.path)).astype(">f4")
        bad = rng.random(raw.shape) < 0.002
        raw[bad] = rng.choice([np.nan, np.inf, -np.inf], bad.sum())
        path = tmp_path / f"float_{i}.fits"
        write_float(path, raw)
        frames.append(replace(frame, file=InputFile.of(path)))
    result = stack(made, tmp_path, frames=tuple(frames), calibrations=(Calibration(),), cosmetic="off")
    data, maps = read_result(result.output)
    assert np.isfinite(data[:, maps["COVERAGE"] > 0]).all()
    assert np.isnan(data[:, maps["COVERAGE"] == 0]).all()
    assert not np.isinf(data).any()
    assert maps["COVERAGE"].max() == 5
    assert (maps["COVERAGE"][20:-20, 60:-60] >= 2).mean() > 0.99


def write_float(path: Path, data: np.ndarray) -> None:
    from astropy.io import fits

    fits.PrimaryHDU(data.astype(np.float32)).writeto(path)


# --- choices of the recipe


def test_framings(turned: SimulatedSet, tmp_path: Path) -> None:
    sizes = {}
    for framing in ("reference", "union", "intersection"):
        result = stack(turned, tmp_path, f"{framing}.fits", frame=framing)
        data, maps = read_result(result.output)
        sizes[framing] = data.shape[1:]
        if framing == "intersection":
            assert maps["COVERAGE"].min() == 4
        if framing == "union":
            assert maps["COVERAGE"][:3].max() > 0 and maps["COVERAGE"][:, :3].max() > 0
            assert np.isnan(data[0, 0, 0]) == (maps["COVERAGE"][0, 0] == 0)
    assert sizes["reference"] == (HEIGHT, WIDTH)
    assert sizes["union"][0] > HEIGHT and sizes["union"][1] > WIDTH
    assert sizes["intersection"][0] < HEIGHT and sizes["intersection"][1] < WIDTH


def test_framings_show_the_same_sky(made: SimulatedSet, tmp_path: Path) -> None:
    from astrotui.stacking.framing import frame_field, outline

    data = {}
    for framing in ("reference", "union", "intersection"):
        result = stack(made, tmp_path, f"{framing}.fits", frame=framing)
        outlines = [outline(np.array(f.transform).reshape(3, 3), WIDTH, HEIGHT) for f in result.frames]
        data[framing] = (read_result(result.output)[0], frame_field(framing, outlines, WIDTH, HEIGHT))
    whole, origin = data["union"]
    for framing in ("reference", "intersection"):
        part, place = data[framing]
        y, x = place.y0 - origin.y0, place.x0 - origin.x0
        shown = whole[:, y : y + part.shape[1], x : x + part.shape[2]]
        # blocks of columns begin elsewhere, so that sums may differ in their last digit
        assert_allclose(part, shown, rtol=2e-5)


def test_rotated_edges_are_noisy_and_not_dark(turned: SimulatedSet, tmp_path: Path) -> None:
    data, maps = read_result(stack(turned, tmp_path, frame="union").output)
    thin, thick = maps["COVERAGE"] == 1, maps["COVERAGE"] >= 3
    for plane in data:
        assert abs(np.median(plane[thin]) - np.median(plane[thick])) < 4


@pytest.mark.parametrize(
    "recipe",
    [
        {"combine": "median"},
        {"reject": "sigma", "normalize": "add"},
        {"reject": "linear", "normalize": "addscale", "weight": "noise"},
        {"reject": "minmax", "low": 1, "high": 1, "weight": "fwhm"},
        {"reject": "none", "weight": "stars", "resample": "bilinear", "debayer": "bilinear"},
        {"align": "affine", "resample": "bicubic"},
        {"align": "homography"},
        {"align": "shift", "resample": "nearest", "normalize": "none"},
        {"align": "none", "normalize": "none", "cosmetic": "off"},
    ],
    ids=str,
)
def test_every_choice_gives_a_picture(made: SimulatedSet, tmp_path: Path, recipe: dict[str, object]) -> None:
    default, _ = read_result(stack(made, tmp_path, "default.fits").output)
    result = stack(made, tmp_path, "chosen.fits", **recipe)
    data, maps = read_result(result.output)
    # every second frame is turned by 1.5 degrees: a mere shift does not match its stars
    assert result.frames_used == (5 if recipe.get("align") == "shift" else 9)
    inner = np.s_[:, 40:-40, 40:-40]
    assert np.isfinite(data[inner]).all()
    assert maps["COVERAGE"][20:-20, 20:-20].min() >= 5
    level = np.median(default[inner], axis=(1, 2))
    if recipe.get("normalize") != "none":
        assert_allclose(np.median(data[inner], axis=(1, 2)), level, atol=3)
    if recipe.get("align") not in ("none", "shift"):
        bright = default[inner] > np.percentile(default[inner], 99.9)
        assert np.corrcoef(default[inner][bright], data[inner][bright])[0, 1] > 0.8


@pytest.mark.parametrize("frame", ["reference", "union", "intersection"])
def test_super_pixels_give_half_the_size_in_the_right_place(
    made: SimulatedSet, tmp_path: Path, frame: str
) -> None:
    from astropy.io import fits

    whole, maps = read_result(stack(made, tmp_path, "whole.fits", frame=frame).output)
    plan = made.plan(tmp_path / "half.fits", frame=frame, debayer="superpixel", header={"XPIXSZ": 2.0})
    result = run_plan(plan, masters=made.folder / "masters", tag="test", workers=2)
    half, half_maps = read_result(result.output)
    assert half.shape[1] == pytest.approx(whole.shape[1] / 2, abs=2)
    assert half_maps["COVERAGE"].max() == maps["COVERAGE"].max() == 9
    with fits.open(result.output) as hdus:
        assert hdus[0].header["XPIXSZ"] == 4.0
    if frame != "reference":
        return
    assert half.shape == (3, HEIGHT // 2, WIDTH // 2)
    binned = (
        whole[:, : HEIGHT // 2 * 2, : WIDTH // 2 * 2].reshape(3, HEIGHT // 2, 2, WIDTH // 2, 2).mean((2, 4))
    )
    for plane, wanted, own in zip(half, binned, (-0.25, 0.0, 0.25), strict=True):
        found, true = plane[20:-20, 20:-20], wanted[20:-20, 20:-20]
        assert abs(np.median(found) - np.median(true)) < 1
        # red and blue are where they are in the cell, a quarter of its size from its middle
        for slope in np.gradient(true):
            shift = -np.sum((found - true) * slope) / np.sum(slope * slope)
            assert abs(shift + own) < (0.15 if own else 0.08)


def test_percentile_is_refused_on_a_dark_subtracted_sky(made: SimulatedSet, tmp_path: Path) -> None:
    dim = np.full(3, 1.0)
    from astrotui.stacking import engine

    real = engine.first_pass

    def dark_sky(*arguments: object):
        found = real(*arguments)
        found.sky = dim
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "first_pass", dark_sky)
        with pytest.raises(PlanError, match="percentile"):
            stack(made, tmp_path, reject="percentile")
    assert not list(tmp_path.iterdir())


def test_hot_pixels_without_darks_go_by_persistence(tmp_path: Path) -> None:
    made = make_set(tmp_path, Spec(seed=8, frames=7, hot=150, calibration=0, trail_in=None))
    off = stack(made, tmp_path, "off.fits", cosmetic="off", reject="none", combine="average")
    on = stack(made, tmp_path, "on.fits", reject="none", combine="average")
    spread = []
    for result in (off, on):
        data, _ = read_result(result.output)
        streaks = data[1] - np.median(data[1])
        spread.append((np.abs(streaks) > 8 * 1.4826 * np.median(np.abs(streaks))).sum())
    assert spread[1] < 0.6 * spread[0]


def test_masters_of_another_size_are_one_line(made: SimulatedSet, tmp_path: Path) -> None:
    path = tmp_path / "dark.fits"
    write_frame(path, np.full((50, 60), 500, np.uint16), [])
    dark = made.calibration.dark
    assert dark is not None
    other = replace(dark, inputs=(InputFile.of(path),), width=60, height=50)
    with pytest.raises(PlanError, match="60x50"):
        stack(made, tmp_path, calibrations=(Calibration(dark=other),))


def test_frames_without_stars_are_stacked_unaligned_when_asked(made: SimulatedSet, tmp_path: Path) -> None:
    frames = tuple(replace(f, stars=StarList.empty(), fwhm_px=None, noise_adu=None) for f in made.frames)
    result = stack(made, tmp_path, frames=frames, align="none")
    assert result.frames_used == 9
    assert any("too few stars" in warning for warning in result.warnings)


def test_color_frames_stack_plane_by_plane(tmp_path: Path) -> None:
    made = make_set(tmp_path, Spec(seed=9, frames=4, cfa=None, calibration=0, trail_in=None))
    frames = []
    for i, frame in enumerate(made.frames):
        raw = read_frame(Path(frame.file.path)).astype(np.float32)
        path = tmp_path / f"color_{i}.fits"
        write_float(path, np.stack([raw * 2, raw, raw * 0.5]))
        frames.append(replace(plan_frame(Path(frame.file.path), None, i), file=InputFile.of(path), planes=3))
    mono = read_result(stack(made, tmp_path, "mono.fits", calibrations=(Calibration(),)).output)[0]
    result = stack(
        made, tmp_path, "color.fits", frames=tuple(frames), planes=3, calibrations=(Calibration(),)
    )
    data = read_result(result.output)[0]
    assert data.shape == (3, HEIGHT, WIDTH)
    both = np.isfinite(mono[0]) & np.isfinite(data[1])
    assert np.corrcoef(mono[0][both], data[1][both])[0, 1] > 0.998
    assert_allclose(np.nanmedian(data[0]) / np.nanmedian(data[2]), 4, rtol=0.02)
