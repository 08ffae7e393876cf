"""Arrowheads, in the sizes and angles that Excalidraw draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mosaic.render.drawing import Point, Shape, Step, Stroke, ellipse, polyline, rotated
from mosaic.render.values import PAPER, Colour

SIZES = {"arrow": 25.0, "diamond": 12.0, "crowfoot": 20.0}
ANGLES = {"bar": 90.0, "arrow": 20.0}


def arrowhead(
    kind: str,
    steps: Sequence[Step],
    points: Sequence[Point],
    *,
    at_end: bool,
    colour: Colour,
    width: float,
) -> list[Shape]:
    """The shapes of one head; none for a kind that is unknown.

    steps: the line as drawn, which gives the direction. points: its corners,
    which bound the size.
    """
    base = kind.removesuffix("_outline")
    family = "crowfoot" if base.startswith("crowfoot") else base
    tip, back = _direction(steps, at_end=at_end)
    far = math.dist(tip, back)
    if far == 0:
        return []
    nx, ny = (tip[0] - back[0]) / far, (tip[1] - back[1]) / far
    last = math.dist(*((points[-1], points[-2]) if at_end else (points[0], points[1])))
    share = 0.25 if base == "diamond" else 0.5
    size = min(SIZES.get(family, 15.0), last * share)
    root = (tip[0] - nx * size, tip[1] - ny * size)
    angle = math.radians(ANGLES.get(base, 25.0))
    pen = Stroke(colour, width)
    fill = PAPER if kind.endswith("_outline") else colour
    wings = rotated(root, tip, -angle), rotated(root, tip, angle)
    match base:
        case "arrow":
            return [Shape(polyline((wings[0], tip, wings[1])), stroke=pen)]
        case "bar":
            return [Shape(polyline(wings), stroke=pen)]
        case "dot" | "circle":
            radius = max(size + width - 2, 1.0) / 2
            return [Shape(ellipse(*tip, radius, radius), fill, pen)]
        case "triangle":
            return [Shape(polyline((tip, *wings), closed=True), fill, pen)]
        case "diamond":
            behind = (tip[0] - nx * size * 2, tip[1] - ny * size * 2)
            ring = (tip, wings[0], behind, wings[1])
            return [Shape(polyline(ring, closed=True), fill, pen)]
    if family != "crowfoot":
        return []
    toes = rotated(tip, root, -angle), rotated(tip, root, angle)
    shapes = []
    if base != "crowfoot_one":
        shapes.append(Shape(polyline((toes[0], root, toes[1])), stroke=pen))
    if base != "crowfoot_many":
        shapes.append(Shape(polyline(wings), stroke=pen))
    return shapes


def _direction(steps: Sequence[Step], *, at_end: bool) -> tuple[Point, Point]:
    """The tip, and a point of the line that it points away from."""
    ends = [_end_of(step) for step in steps if step[1]]
    if at_end:
        start, step, tip = ends[-2], steps[-1], ends[-1]
        share = 0.7
    else:
        start, step, tip = ends[0], steps[1], ends[0]
        share = 0.3
    if step[0] == "C":
        return tip, _on_curve(start, step, share)
    return tip, start if at_end else ends[1]


def _end_of(step: Step) -> Point:
    return step[1][-2], step[1][-1]


def _on_curve(start: Point, step: Step, t: float) -> Point:
    x1, y1, x2, y2, x, y = step[1]
    a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
    return (
        a * start[0] + b * x1 + c * x2 + d * x,
        a * start[1] + b * y1 + c * y2 + d * y,
    )
