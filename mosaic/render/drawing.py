"""A drawing as a list of plain things, which SVG and PDF are written from.

Lengths are scene units (CSS pixels), y grows downwards, angles are radians.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from mosaic.render.values import Colour

Point = tuple[float, float]
Step = tuple[str, tuple[float, ...]]
"""("M", (x, y)), ("L", (x, y)), ("C", (x1, y1, x2, y2, x, y)) or ("Z", ())."""

Matrix = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f as in SVG: x' = a x + c y + e, y' = b x + d y + f."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """How a path is drawn. dash: lengths of lines and gaps."""

    colour: Colour
    width: float
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """A path with a fill, a stroke or both."""

    path: tuple[Step, ...]
    fill: Colour | None = None
    stroke: Stroke | None = None


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text; x, y: its anchor ("start", "middle", "end") on the
    baseline. family: a name of fonts.FAMILIES."""

    x: float
    y: float
    text: str
    size: float
    family: str
    colour: Colour
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of the room in a box. crop: left, top, right and bottom of the
    part that is shown, as fractions of the whole. flip: mirrored x, y."""

    x: float
    y: float
    width: float
    height: float
    sha256: str
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    flip: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True)
class Group:
    """Things under one transformation, opacity and clip.

    clip: only what is inside this path is drawn, by the even-odd rule.
    """

    items: tuple[Item, ...]
    matrix: Matrix | None = None
    opacity: float = 1.0
    clip: tuple[Step, ...] = ()


Item = Shape | TextLine | Picture | Group


@dataclass(frozen=True, slots=True)
class Drawing:
    """Items and the box around them."""

    x: float
    y: float
    width: float
    height: float
    items: tuple[Item, ...] = field(default=())
    title: str = ""


def polyline(points: Iterable[Point], *, closed: bool = False) -> tuple[Step, ...]:
    """Straight lines from point to point."""
    steps: list[Step] = [
        ("L" if at else "M", (x, y)) for at, (x, y) in enumerate(points)
    ]
    if closed and steps:
        steps.append(("Z", ()))
    return tuple(steps)


def box(x: float, y: float, width: float, height: float) -> tuple[Step, ...]:
    """A rectangle."""
    right, bottom = x + width, y + height
    return polyline(((x, y), (right, y), (right, bottom), (x, bottom)), closed=True)


def rounded_box(width: float, height: float, radius: float) -> tuple[Step, ...]:
    """A rectangle at 0, 0 whose corners are quadratic curves."""
    r, w, h = radius, width, height
    return (
        ("M", (r, 0.0)),
        ("L", (w - r, 0.0)),
        quadratic((w - r, 0.0), (w, 0.0), (w, r)),
        ("L", (w, h - r)),
        quadratic((w, h - r), (w, h), (w - r, h)),
        ("L", (r, h)),
        quadratic((r, h), (0.0, h), (0.0, h - r)),
        ("L", (0.0, r)),
        quadratic((0.0, r), (0.0, 0.0), (r, 0.0)),
        ("Z", ()),
    )


def quadratic(start: Point, control: Point, end: Point) -> Step:
    """A quadratic curve as the cubic that is the same."""
    (x0, y0), (cx, cy), (x, y) = start, control, end
    return (
        "C",
        (
            x0 + (cx - x0) * 2 / 3,
            y0 + (cy - y0) * 2 / 3,
            x + (cx - x) * 2 / 3,
            y + (cy - y) * 2 / 3,
            x,
            y,
        ),
    )


_KAPPA = 0.5522847498
"""Handle length of the cubic nearest to a quarter of a circle."""


def ellipse(cx: float, cy: float, rx: float, ry: float) -> tuple[Step, ...]:
    """An ellipse in four curves."""
    kx, ky = rx * _KAPPA, ry * _KAPPA
    return (
        ("M", (cx + rx, cy)),
        ("C", (cx + rx, cy + ky, cx + kx, cy + ry, cx, cy + ry)),
        ("C", (cx - kx, cy + ry, cx - rx, cy + ky, cx - rx, cy)),
        ("C", (cx - rx, cy - ky, cx - kx, cy - ry, cx, cy - ry)),
        ("C", (cx + kx, cy - ry, cx + rx, cy - ky, cx + rx, cy)),
        ("Z", ()),
    )


def spline(points: list[Point]) -> tuple[Step, ...]:
    """A Catmull-Rom curve through the points, its ends doubled."""
    if len(points) < 3:
        return polyline(points)
    padded = [points[0], *points, points[-1]]
    steps: list[Step] = [("M", points[0])]
    for at in range(1, len(padded) - 2):
        before, start, end, after = padded[at - 1 : at + 3]
        first = (
            start[0] + (end[0] - before[0]) / 6,
            start[1] + (end[1] - before[1]) / 6,
        )
        second = end[0] + (start[0] - after[0]) / 6, end[1] + (start[1] - after[1]) / 6
        steps.append(("C", (*first, *second, *end)))
    return tuple(steps)


def placed(x: float, y: float, width: float, height: float, angle: float) -> Matrix:
    """From a box at 0, 0 to its place: moved, and turned around its middle."""
    cos, sin = math.cos(angle), math.sin(angle)
    cx, cy = width / 2, height / 2
    return (
        cos,
        sin,
        -sin,
        cos,
        x + cx - cos * cx + sin * cy,
        y + cy - sin * cx - cos * cy,
    )


def through(matrix: Matrix, point: Point) -> Point:
    """Where a point goes."""
    a, b, c, d, e, f = matrix
    return a * point[0] + c * point[1] + e, b * point[0] + d * point[1] + f


def rotated(point: Point, centre: Point, angle: float) -> Point:
    """A point turned around another."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = point[0] - centre[0], point[1] - centre[1]
    return centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y
