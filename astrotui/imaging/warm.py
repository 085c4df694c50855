"""Compile the kernels of stacking, or fetch them from disk, before the work begins."""

import numpy as np

from astrotui.imaging.combine import new_tile, run_auto_tile, run_known_noise_tile, typical_noise
from astrotui.imaging.resample import warp_tile
from astrotui.imaging.warp import Interpolation, places, plan_warp

_SIZE = 24


def warm_stacking(*, mosaic: bool, method: Interpolation = "lanczos3") -> None:
    """Run one tiny tile through every kernel that a usual stack needs.

    Takes some 10 seconds of one processor the first time on a machine, then a fifth of a second.

    Parameters
    ----------
    mosaic : frames are color filter mosaics
    """
    from astrotui.imaging.calibrate_kernels import calibrate_stored_rows, fill_defects, mirror_edges
    from astrotui.imaging.debayer import MALVAR, STRIDE
    from astrotui.imaging.tap_kernels import FIRST_PASS_ROW

    planes = 3 if mosaic else 1
    master = np.zeros((_SIZE, _SIZE), np.float32)
    warp = plan_warp(np.eye(3), _SIZE, _SIZE, method)
    tile = new_tile(planes, _SIZE, _SIZE, 3)
    one, zero = np.ones(planes, np.float32), np.zeros(planes, np.float32)
    phase = (0, 0, MALVAR if mosaic else -1)
    for place, window in places(warp, 0, 0, _SIZE, _SIZE, STRIDE):
        pixels = np.zeros((1, window.height, STRIDE), np.float32)
        flat = pixels[0].reshape(-1)
        first = -window.y0 * STRIDE - window.x0
        calibrate_stored_rows(
            np.zeros((_SIZE, _SIZE), np.uint16),
            0,
            0,
            master,
            0,
            master,
            0,
            0,
            _SIZE,
            _SIZE,
            flat,
            first,
            STRIDE,
        )
        starts, columns = np.zeros(_SIZE + 1, np.int32), np.zeros(1, np.int32)
        fill_defects(flat, first, STRIDE, 0, 0, _SIZE, _SIZE, starts, columns, 2, np.zeros(1, np.float32))
        edges = (-window.y0, window.y0 + window.height - _SIZE, -window.x0, window.x0 + window.width - _SIZE)
        mirror_edges(flat, STRIDE, window.height, window.width, *edges)
        scratch = np.empty(window.height * FIRST_PASS_ROW, np.float32)
        levels = np.zeros(4, np.float32)
        for sample in range(3):
            warp_tile(
                warp, window, pixels, phase, levels, method, 1.0, one, zero, place, tile, sample, scratch
            )
    ones = np.ones((planes, 3), np.float32)
    value = np.empty((planes, _SIZE, _SIZE), np.float32)
    counts = np.empty((3, planes, _SIZE, _SIZE), np.uint16)
    # edges that few frames cover are judged by the known noise
    sky, limits = ones[:, 0].copy(), (5.0, 5.0)
    run_known_noise_tile(tile, _SIZE, 0, limits, ones, ones, sky, ones[0], value, counts)
    run_auto_tile(tile, _SIZE, 0, limits, ones, typical_noise(ones, ones), sky, ones[0], value, counts)


def warm_judging() -> None:
    """Measure one tiny field, as the middle of a result is measured; some seconds the first time on a machine."""
    from astrotui.imaging.quality import measure_frame

    field = np.random.default_rng(1).normal(1000.0, 10.0, (64, 64)).astype(np.float32)
    rows, columns = np.mgrid[:64, :64]
    for y, x in ((16.0, 16.0), (16.0, 48.0), (48.0, 32.0)):
        field += (3000.0 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 4.0)).astype(np.float32)
    measure_frame(np.broadcast_to(field, (3, *field.shape)), cfa_phase=None, full_scale_adu=None)


def warm_drizzle() -> None:
    """Run one tiny window through the kernels of a drizzle; about 10 seconds the first time on a machine."""
    from astrotui.imaging.drizzle import color_planes, grid_matrix
    from astrotui.imaging.drizzle_drop_kernels import drop_window, finish_tile
    from astrotui.imaging.drizzle_judge_kernels import judge_window, reject_crowds, tolerances
    from astrotui.imaging.drizzle_lens_kernels import places_through_lens

    window, marks = np.ones((_SIZE, _SIZE), np.float32), np.empty((_SIZE, _SIZE), np.int8)
    guide, counts = np.ones((1, _SIZE, _SIZE), np.float32), np.zeros((3, 1, _SIZE, _SIZE), np.uint16)
    one, five = np.ones(1, np.float32), np.float32(5)
    sums = np.zeros((2, 1, _SIZE, _SIZE, 2), np.float32)
    colors, matrix = color_planes(None), np.eye(3)
    allowed = np.empty((2, *guide.shape), np.float32)
    tolerances(guide, counts[0], counts[1], counts[2], 3, allowed)
    places, no_lens = np.empty((_SIZE + 2, _SIZE + 2, 2)), np.empty((0, 0, 2))
    places_through_lens(0, 0, matrix, np.array([0.0, 0.0, 1.0, 0.0, 0.0, np.inf]), places)
    judge_window(
        window,
        0,
        0,
        colors,
        matrix,
        no_lens,
        guide,
        allowed,
        0,
        0,
        five,
        five,
        one,
        one,
        five,
        one,
        one,
        one,
        marks,
    )
    reject_crowds(marks, 1, np.empty(marks.shape, np.int32))
    drop_window(
        window,
        marks,
        0,
        0,
        colors,
        grid_matrix(matrix, 1.0),
        no_lens,
        1.0,
        True,
        0,
        0,
        five,
        one,
        *sums,
        *counts,
    )
    finish_tile(sums[0], sums[1], one, five, guide, allowed[0, 0], counts[0], counts[1])
