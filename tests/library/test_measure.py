"""Measuring through the catalogue: what is measured when, and what becomes of frames that are no good."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Session
from astrotui.errors import FrameError
from astrotui.frames import pixels
from astrotui.imaging import quality, register
from astrotui.library import measure, measuring
from astrotui.library.index import index_roots
from astrotui.library.listing import FrameRecord, list_frames
from astrotui.library.measure import MeasureReport, measure_sessions, sessions_by_need
from tests.library.simulated_night import HEIGHT, WIDTH, Light, Night, dithered


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path / "night")


def run(catalog: Catalog, night: Night, **options: Any) -> MeasureReport:
    """Index the night and measure what there is."""
    index_roots(catalog, [night.folder])
    with catalog.read() as db:
        sessions = list(db.scalars(select(Session.id)))
    return measure_sessions(catalog, sessions, workers=options.pop("workers", 1), **options)


def by_name(catalog: Catalog) -> dict[str, FrameRecord]:
    with catalog.read() as db:
        sessions = list(db.scalars(select(Session.id)))
    return {Path(f.path).name: f for f in list_frames(catalog, sessions)}


def reference(catalog: Catalog) -> int | None:
    with catalog.read() as db:
        return db.scalars(select(Session.reference_id)).one()


def measured_at(catalog: Catalog) -> dict[int, Any]:
    with catalog.read() as db:
        return dict(db.execute(select(Measurement.frame_id, Measurement.measured)).all())


# --- once, and again only when something changed -----------------------------------------------------------------


def test_later_frames_cost_only_themselves(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.take(dithered(5))
    run(catalog, night)
    before, held = measured_at(catalog), reference(catalog)
    registered: list[int] = []
    match = register.match_stars

    def counted(frame: Any, *others: Any, **options: Any) -> Any:
        registered.append(len(frame))
        return match(frame, *others, **options)

    monkeypatch.setattr(register, "match_stars", counted)
    # The newcomer is better than all the others, and even so the reference stays.
    night.take([Light(fwhm_px=2.0), Light(dx=5.0)], first=5)
    report = run(catalog, night)
    assert (report.measured, report.kept) == (2, 5)
    assert len(registered) == 2
    assert reference(catalog) == held
    after = measured_at(catalog)
    assert {i: after[i] for i in before} == before and len(after) == 7
    frames = by_name(catalog)
    assert frames["light_005.fits"].score == 100
    assert all(f.score is not None and f.score < 85 for name, f in frames.items() if name != "light_005.fits")
    # Nothing new: nothing is measured, registered or written.
    version = catalog.data_version()
    assert measure_sessions(catalog, [1]).kept == 7 and len(registered) == 2
    assert catalog.data_version() == version


def test_measured_again_when_the_code_or_the_content_changes(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    lights = dithered(4)
    night.take(lights)
    run(catalog, night)
    assert sessions_by_need(catalog) == []
    held = reference(catalog)
    changed = 1 if held != by_name(catalog)["light_001.fits"].id else 2
    old = by_name(catalog)[f"light_00{changed}.fits"]
    # Another exposure under the same name: found by its bytes, measured, registered anew.
    night.write(
        changed, night.pixels(99, replace(lights[changed], dx=lights[changed].dx + 30)), compress=True
    )
    report = run(catalog, night)
    assert (report.measured, report.kept) == (1, 3)
    new = by_name(catalog)[f"light_00{changed}.fits"]
    assert old.dx_px is not None and new.dx_px == pytest.approx(old.dx_px - 30, abs=0.1)
    assert reference(catalog) == held
    monkeypatch.setattr(quality, "MEASURE_VERSION", quality.MEASURE_VERSION + 1)
    assert sessions_by_need(catalog) == [1]
    assert run(catalog, night).measured == 4
    assert sessions_by_need(catalog) == []
    assert all(f.dx_px is not None and f.score for f in by_name(catalog).values())


def test_a_forced_measurement_is_registered_anew(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.take(dithered(3))
    run(catalog, night)
    shift = {name: (f.dx_px, f.dy_px) for name, f in by_name(catalog).items()}
    with catalog.write() as db:
        for row in db.scalars(select(Measurement)):
            row.dx_px = (row.dx_px or 0.0) + 50
    assert run(catalog, night, force=True).measured == 3
    again = {name: (f.dx_px, f.dy_px) for name, f in by_name(catalog).items()}
    assert again == pytest.approx(shift)


def test_when_the_reference_goes_bad_another_takes_its_place(catalog: Catalog, night: Night) -> None:
    night.take(dithered(5))
    run(catalog, night)
    first = reference(catalog)
    number = next(int(Path(f.path).stem[-3:]) for f in by_name(catalog).values() if f.id == first)
    night.write(number, night.pixels(number, Light(transparency=0.0)), compress=True)  # a cloud, after all
    run(catalog, night)
    assert reference(catalog) not in (first, None)
    frames = by_name(catalog)
    bad = frames.pop(f"light_{number:03}.fits")
    assert bad.score == 0 and bad.reasons == ("no stars",)
    assert all(f.score and f.score > 50 for f in frames.values())


def test_a_session_that_is_waited_for_is_slipped_in(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "_WRITE_EVERY", 2)
    nights = [Night(tmp_path / "root" / name, seed=i) for i, name in enumerate("abc")]
    for one in nights:
        one.take(dithered(4))
    index_roots(catalog, [tmp_path / "root"])
    with catalog.read() as db:
        ids = {row.folder: row.id for row in db.scalars(select(Session))}
    asked: list[dict[str, int]] = []

    def wanted() -> list[int]:
        with catalog.read() as db:
            rows = db.execute(
                select(Session.folder).join(Frame, Frame.session_id == Session.id).join(Measurement)
            )
            counts: dict[str, int] = {}
            for (folder,) in rows:
                counts[folder] = counts.get(folder, 0) + 1
        asked.append(counts)
        return [ids["c"]] if counts.get("a") == 2 else []

    report = measure_sessions(catalog, [ids["a"], ids["b"]], workers=1, wanted=wanted)
    assert report.sessions == 3 and report.measured == 12  # c was not even part of this run
    first_c = next(i for i, counts in enumerate(asked) if counts.get("c") == 4)
    assert asked[first_c].get("a") == 2 and "b" not in asked[first_c]
    assert all(f.score for f in list_frames(catalog, list(ids.values())))


# --- frames that are no good -------------------------------------------------------------------------------------


def noise(level: float, sigma: float = 5.0) -> NDArray[np.uint16]:
    return np.random.default_rng(5).normal(level, sigma, (HEIGHT, WIDTH)).clip(0, 65535).astype(np.uint16)


def doughnuts(night: Night) -> NDArray[np.uint16]:
    image = noise(300).astype(float)
    y, x = np.mgrid[-14:15, -14:15]
    ring = ((np.hypot(x, y) < 12) & (np.hypot(x, y) > 6)).astype(float)
    rng = np.random.default_rng(1)
    for _ in range(25):
        cx, cy = rng.integers(20, WIDTH - 20), rng.integers(20, HEIGHT - 20)
        image[cy - 14 : cy + 15, cx - 14 : cx + 15] += ring * rng.uniform(100, 2000)
    return image.clip(0, 65535).astype(np.uint16)


def daylight(night: Night) -> NDArray[np.uint16]:
    rng = np.random.default_rng(3)
    image = np.full((HEIGHT, WIDTH), 20000.0)
    for _ in range(200):
        x, y = rng.integers(0, WIDTH - 40), rng.integers(0, HEIGHT - 40)
        image[y : y + rng.integers(2, 40), x : x + rng.integers(2, 40)] *= rng.uniform(0.6, 1.4)
    return (image + rng.normal(0, 60, image.shape)).clip(0, 65535).astype(np.uint16)


def one_star(night: Night) -> NDArray[np.uint16]:
    image = noise(300).astype(float)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image += 5000 * np.exp(-((x - 300.3) ** 2 + (y - 200.8) ** 2) / 3)
    return image.astype(np.uint16)


def test_bad_frames_have_a_reason_and_no_score_and_spoil_nothing(catalog: Catalog, night: Night) -> None:
    night.take(dithered(4))
    bad = {
        4: np.zeros((HEIGHT, WIDTH), np.uint16),
        5: np.full((HEIGHT, WIDTH), 65535, np.uint16),
        6: noise(65500, 200),
        7: one_star(night),
        8: doughnuts(night),
        9: daylight(night),
        10: night.pixels(10, Light(transparency=0.0)),
        11: noise(0, 0.6),
    }
    for number, image in bad.items():
        night.write(number, image)
    report = run(catalog, night, workers=2)
    frames = by_name(catalog)
    good = [frames[f"light_{i:03}.fits"] for i in range(4)]
    assert all(f.score and f.score > 50 and f.status == "undecided" and not f.reasons for f in good)
    for number in bad:
        frame = frames[f"light_{number:03}.fits"]
        assert frame.score == 0 and frame.reasons, number
        assert frame.status == ("quarantined" if number in (4, 5) else "undecided")
    assert frames["light_004.fits"].reasons == ("black frame",)
    assert frames["light_010.fits"].reasons == ("no stars",)
    assert report.quarantined == 2 and report.measured == 10
    assert {Path(p["path"]).name for p in report.problems} == {f"light_{n:03}.fits" for n in bad}


def test_frames_without_a_valid_pixel_and_of_another_sky(catalog: Catalog, tmp_path: Path) -> None:
    from astropy.io import fits

    night = Night(tmp_path / "night", stars=24)
    night.take(dithered(3))
    header = fits.getheader(night.path(0))
    for key in ("BZERO", "BSCALE"):
        header.remove(key)
    header["DATE-OBS"] = "2025-06-01T22:30:00"
    fits.writeto(night.path(3), np.full((HEIGHT, WIDTH), np.nan, np.float32), header)
    elsewhere = Night(night.folder, seed=77, stars=30)  # with more stars than the right one
    night.write(4, elsewhere.pixels(4, Light()))
    small = night.pixels(5, Light())[:200]
    night.write(5, small)
    run(catalog, night)
    frames = by_name(catalog)
    assert frames["light_003.fits"].status == "quarantined"
    assert frames["light_003.fits"].reasons == ("no valid pixels",)
    assert frames["light_004.fits"].score == 0
    assert frames["light_004.fits"].reasons == ("cannot be aligned with the session's reference",)
    # A frame of another size is in no session with the others; a stack says that it does not fit.
    assert frames["light_005.fits"].session_id != frames["light_000.fits"].session_id


def test_an_empty_frame_is_measured_when_its_file_changes(catalog: Catalog, night: Night) -> None:
    night.take(dithered(3))
    night.write(3, np.zeros((HEIGHT, WIDTH), np.uint16))
    run(catalog, night)
    assert by_name(catalog)["light_003.fits"].status == "quarantined"
    assert run(catalog, night).measured == 0  # and not looked at again before
    night.write(3, night.pixels(3, Light()))  # the same header, date and size
    os.utime(night.path(3), ns=(1, 1))
    report = run(catalog, night)
    frame = by_name(catalog)["light_003.fits"]
    assert report.measured == 1 and frame.status == "undecided" and frame.score and frame.score > 50


def test_damaged_pixels_are_quarantined_until_the_file_changes(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.take(dithered(3))
    path = night.write(3, night.pixels(3, Light()), compress=True)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[-80_000:-20_000] = os.urandom(60_000)
    path.write_bytes(damaged)
    open_frame = pixels.open_frame

    def strict(path: Path | str, hdu: int = 0) -> Any:
        # What the decompressor makes of noise is its affair: here it notices.
        if Path(path).name == "light_003.fits" and Path(path).read_bytes() != whole:
            raise FrameError(path, "the compressed image is damaged")
        return open_frame(path, hdu)

    monkeypatch.setattr(pixels, "open_frame", strict)
    report = run(catalog, night)
    assert report.quarantined == 1
    frame = by_name(catalog)["light_003.fits"]
    assert frame.status == "quarantined" and frame.reasons == ("the compressed image is damaged",)
    assert run(catalog, night).quarantined == 0
    path.write_bytes(whole)
    os.utime(path, ns=(1, 1))
    assert run(catalog, night).measured == 1
    assert by_name(catalog)["light_003.fits"].status == "undecided"


def test_what_the_disk_kept_from_being_read_is_tried_again(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.take(dithered(4))
    with monkeypatch.context() as patch:

        def failing(path: Path | str, hdu: int = 0) -> Any:
            raise OSError(5, "Input/output error")

        patch.setattr(pixels, "open_frame", failing)
        report = run(catalog, night)
        assert report.quarantined == 4 and report.measured == 0
        frame = by_name(catalog)["light_000.fits"]
        assert frame.status == "quarantined" and frame.reasons == ("cannot be read: Input/output error",)
    assert sessions_by_need(catalog) == [1]
    assert run(catalog, night).measured == 4
    assert all(f.status == "undecided" and f.score for f in by_name(catalog).values())


def test_files_that_changed_or_went_since_they_were_indexed_wait(catalog: Catalog, night: Night) -> None:
    night.take(dithered(4))
    index_roots(catalog, [night.folder])
    night.path(1).write_bytes(night.path(1).read_bytes()[:-50_000])  # cut off
    night.path(2).unlink()
    report = measure_sessions(catalog, [1], workers=1)
    assert report.measured == 2
    reasons = {Path(p["path"]).name: p["reason"] for p in report.problems}
    assert "changed since it was indexed" in reasons["light_001.fits"]
    assert reasons["light_002.fits"] == "the file is gone"
    frames = by_name(catalog)
    assert [frames[f"light_00{i}.fits"].status for i in (1, 2)] == ["undecided", "undecided"]
    index_roots(catalog, [night.folder])
    frames = by_name(catalog)
    assert frames["light_002.fits"].status == "missing"
    with catalog.read() as db:
        reason = db.scalar(select(Frame.quarantine).where(Frame.path == "light_001.fits"))
    assert reason is not None and "truncated" in reason


def test_a_killed_process_takes_one_frame_with_it(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.take(dithered(7))
    deadly = night.pixels(4, dithered(7)[4])
    judge = quality.measure_frame

    def dying(raw: NDArray[Any], **options: Any) -> Any:
        if np.array_equal(raw, deadly):
            os._exit(9)
        return judge(raw, **options)

    monkeypatch.setattr(quality, "measure_frame", dying)
    report = run(catalog, night, workers=2)
    assert (report.measured, report.quarantined) == (6, 1)
    frames = by_name(catalog)
    assert frames["light_004.fits"].status == "quarantined"
    assert "ends the process" in frames["light_004.fits"].reasons[0]
    monkeypatch.setattr(quality, "measure_frame", judge)
    assert run(catalog, night, force=True).measured == 7  # a person may insist
    assert by_name(catalog)["light_004.fits"].status == "undecided"


def test_an_error_in_one_frame_is_its_reason(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.take(dithered(3))
    judge = quality.measure_frame
    odd = night.pixels(1, dithered(3)[1])

    def failing(raw: NDArray[Any], **options: Any) -> Any:
        if np.array_equal(raw, odd):
            raise Exception("internal pixel buffer full")  # as sep does
        return judge(raw, **options)

    monkeypatch.setattr(quality, "measure_frame", failing)
    run(catalog, night)
    frame = by_name(catalog)["light_001.fits"]
    assert frame.status == "quarantined"
    assert frame.reasons == ("cannot be measured: internal pixel buffer full",)


def test_a_dark_of_another_size_or_none_at_all_does_no_harm(
    catalog: Catalog, night: Night, tmp_path: Path
) -> None:
    night.take(dithered(3))
    index_roots(catalog, [night.folder])
    wrong = Night(tmp_path / "other", cfa=None)
    path = wrong.write(0, np.zeros((50, 60), np.uint16))
    assert measure_sessions(catalog, [1], workers=1, dark=lambda _: (path, "other")).measured == 3
    gone = tmp_path / "gone.fits"
    assert measure_sessions(catalog, [1], workers=1, force=True, dark=lambda _: (gone, "gone")).measured == 3


def test_a_folder_that_is_forgotten_meanwhile(catalog: Catalog, night: Night) -> None:
    night.take(dithered(3))
    index_roots(catalog, [night.folder])

    def forget(session_id: int) -> None:
        with catalog.write() as db:
            for frame in db.scalars(select(Frame)):
                db.delete(frame)

    assert measure_sessions(catalog, [1], workers=1, dark=forget).frames == 3
    shutil.rmtree(night.folder)
    assert by_name(catalog) == {}


def test_kernels_are_told_while_the_first_frame_of_a_kind_is_measured(
    catalog: Catalog, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_compiled", set())
    night.take(dithered(3))
    told: list[tuple[str, int, int]] = []
    run(catalog, night, progress=lambda *words: told.append(words))
    assert told == [("kernels", 0, 1), *(("measuring", done, 3) for done in (1, 2, 3))]
    night.take(dithered(2), first=3)
    told.clear()
    run(catalog, night, progress=lambda *words: told.append(words))
    assert told == [("measuring", 1, 2), ("measuring", 2, 2)]
