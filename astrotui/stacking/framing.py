"""Where the result lies: common area of frames, and the field that reference, union and intersection framing give."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astrotui.errors import PlanError
from astrotui.imaging.mapping import Mapping
from astrotui.imaging.types import Float64Array, Mask

MAX_PIXELS = 400_000_000
"""More pixels than this in a union are a mistake in the choice of frames, not a mosaic."""

Polygon = Float64Array  # (corners, 2), x and y, counter-clockwise in the sense that inside is on the left


@dataclass(frozen=True)
class Field:
    """Pixels of the result: its first one is pixel (x0, y0) of the reference's grid."""

    x0: int
    y0: int
    width: int
    height: int


def outline(transform: Float64Array, width: int, height: int, inset: float = 0.0) -> Polygon:
    """Corners of a frame's outer pixel centers in reference pixels, (4, 2)."""
    a, b, c, d = inset, inset, width - 1 - inset, height - 1 - inset
    corners = np.array([[a, b, 1], [c, b, 1], [c, d, 1], [a, d, 1]], np.float64) @ np.asarray(transform).T
    inside_left = corners[:, :2] / corners[:, 2:]
    return inside_left[::-1] if np.linalg.det(np.asarray(transform)[:2, :2]) < 0 else inside_left


def bent_outline(mapping: Mapping, width: int, height: int, *, inner: bool) -> Polygon:
    """A convex outline of a frame whose sides a lens bends, in reference pixels.

    `inner` gives the largest quadrilateral along the sides that holds nothing but the frame, else the hull of it.
    """
    along = np.linspace(0.0, 1.0, 33)
    x0, x1 = np.zeros_like(along), np.full_like(along, width - 1.0)
    y0, y1 = np.zeros_like(along), np.full_like(along, height - 1.0)
    sides = [
        np.stack(mapping.to_reference(x, y), axis=1)
        for x, y in ((along * x1, y0), (x1, along * y1), (x1 - along * x1, y1), (x0, y1 - along * y1))
    ]
    points = np.concatenate(sides)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 3:
        return np.zeros((0, 2))
    hull = _hull(points)
    if not inner:
        return hull
    for whole in sides:
        side = whole[np.isfinite(whole).all(axis=1)]
        if len(side) < 2:
            continue
        start, end = side[0], side[-1]
        ahead = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
        left = np.array([-ahead[1], ahead[0]])
        start = start + left * max(0.0, float(((side - start) @ left).max()))
        far = 1e7
        hull = clip_polygon(
            hull,
            np.array(
                [
                    start - far * ahead,
                    start + far * ahead,
                    start + far * (ahead + left),
                    start + far * (left - ahead),
                ]
            ),
        )
    return hull


def _hull(points: Polygon) -> Polygon:
    """Convex hull (Andrew 1979), its corners in the order of an outline."""
    ordered = sorted(map(tuple, points.tolist()))

    def half(row: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        kept: list[tuple[float, ...]] = []
        for p in row:
            while len(kept) > 1:
                (ax, ay), (bx, by) = kept[-2], kept[-1]
                if (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax) > 0:
                    break
                kept.pop()
            kept.append(p)
        return kept[:-1]

    return np.array(half(ordered) + half(ordered[::-1]), np.float64)


def clip_polygon(polygon: Polygon, by: Polygon) -> Polygon:
    """The part of one convex polygon that lies in another (Sutherland & Hodgman 1974); maybe without corners."""
    result = polygon
    for start, end in zip(by, np.roll(by, -1, axis=0), strict=True):
        if len(result) == 0:
            break
        edge = end - start
        side = edge[0] * (result[:, 1] - start[1]) - edge[1] * (result[:, 0] - start[0])
        kept = []
        for i in range(len(result)):
            j = (i + 1) % len(result)
            if side[i] >= 0:
                kept.append(result[i])
            if (side[i] > 0 > side[j]) or (side[i] < 0 < side[j]):
                t = side[i] / (side[i] - side[j])
                kept.append(result[i] + t * (result[j] - result[i]))
        result = np.array(kept).reshape(-1, 2)
    return result


def area(polygon: Polygon) -> float:
    """Area of a polygon in square pixels."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def inside(polygon: Polygon, x: Float64Array, y: Float64Array) -> Mask:
    """Which points lie in a convex polygon, bool of the shape of `x`."""
    result = np.ones(np.shape(x), np.bool_)
    if len(polygon) < 3:
        return ~result
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        result &= (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0]) >= 0
    return result


def common_area(outlines: Sequence[Polygon]) -> Polygon:
    """What all frames cover, in reference pixels."""
    result = outlines[0]
    for other in outlines[1:]:
        result = clip_polygon(result, other)
    return result


def frame_field(framing: str, outlines: Sequence[Polygon], width: int, height: int) -> Field:
    """The field of the result.

    Parameters
    ----------
    framing : reference, union, or intersection (the largest upright rectangle that all frames cover)
    outlines : of the frames that are used, in reference pixels
    width, height : of the reference

    Raises
    ------
    PlanError
        The frames have nothing in common, or lie so far apart that their union is absurd.
    """
    if framing == "reference":
        return Field(0, 0, width, height)
    if framing == "union":
        corners = np.concatenate(list(outlines))
        low = np.floor(corners.min(axis=0) + 1e-6).astype(int)
        high = np.ceil(corners.max(axis=0) - 1e-6).astype(int)
        size = high - low + 1
        if int(size[0]) * int(size[1]) > MAX_PIXELS:
            raise PlanError(
                f"the union of the frames is {size[0]}x{size[1]} pixels: they do not belong to one picture"
            )
        return Field(int(low[0]), int(low[1]), int(size[0]), int(size[1]))
    common = common_area(outlines)
    if area(common) < 64:
        raise PlanError("the frames have no area in common: choose --frame reference or union")
    return _largest_rectangle(common)


def _largest_rectangle(polygon: Polygon) -> Field:
    """The largest upright rectangle in a convex polygon, to whole pixels: its sides are sought among fine steps."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    tops = np.unique(np.concatenate([np.linspace(low[1], high[1], 257), polygon[:, 1]]))
    left, right = _span(polygon, tops)
    best, size = (0, 0), -1.0
    for i in range(len(tops)):
        # of a convex shape the narrower of both ends is what fits between
        widths = np.minimum(right[i], right[i:]) - np.maximum(left[i], left[i:])
        areas = np.maximum(widths, 0) * (tops[i:] - tops[i])
        j = int(np.argmax(areas))
        if areas[j] > size:
            best, size = (i, i + j), float(areas[j])
    i, j = best
    x0 = int(np.ceil(max(left[i], left[j]) - 1e-6))
    x1 = int(np.floor(min(right[i], right[j]) + 1e-6))
    y0, y1 = int(np.ceil(tops[i] - 1e-6)), int(np.floor(tops[j] + 1e-6))
    if x1 < x0 or y1 < y0:
        raise PlanError("the frames have hardly any area in common: choose --frame reference or union")
    return Field(x0, y0, x1 - x0 + 1, y1 - y0 + 1)


def _span(polygon: Polygon, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Left and right end of a convex polygon at heights `y`."""
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        low, high = sorted((start[1], end[1]))
        at = (y >= low - 1e-9) & (y <= high + 1e-9)
        rise = end[1] - start[1]
        t = np.clip((y[at] - start[1]) / rise, 0, 1) if abs(rise) > 1e-12 else np.zeros(int(at.sum()))
        x = start[0] + t * (end[0] - start[0])
        left[at], right[at] = np.minimum(left[at], x), np.maximum(right[at], x)
        if abs(rise) <= 1e-12:
            left[at], right[at] = np.minimum(left[at], end[0]), np.maximum(right[at], end[0])
    return left, right
