"""Freehand strokes: an outline whose width follows pressure or speed.

After the method of Steve Ruiz's perfect-freehand, which Excalidraw draws with:
the input is smoothed, each point gets a radius, and the points left and right
of the line make the outline.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from mosaic.render.drawing import Point, Step, ellipse, quadratic

THINNING = 0.6
STREAMLINE = 0.575
PRESSURE_RATE = 0.275
SIZE_OF_WIDTH = 4.25


def outline(
    points: Sequence[Point], pressures: Sequence[float], stroke_width: float
) -> tuple[Step, ...]:
    """The filled outline of a stroke.

    pressures: one for each point, from 0 to 1; empty if the pen told none, and
    then slow means thick.
    """
    size = stroke_width * SIZE_OF_WIDTH
    line = _streamlined(points)
    if not line:
        return ()
    radii = _radii(line, pressures, size)
    if len(line) == 1 or _length(line) < size / 8:
        x, y = line[0]
        return ellipse(x, y, radii[0], radii[0])
    left: list[Point] = []
    right: list[Point] = []
    for at, (x, y) in enumerate(line):
        ahead, behind = line[min(at + 1, len(line) - 1)], line[max(at - 1, 0)]
        dx, dy = ahead[0] - behind[0], ahead[1] - behind[1]
        far = math.hypot(dx, dy) or 1.0
        nx, ny = -dy / far * radii[at], dx / far * radii[at]
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    end = _cap(line[-1], left[-1])
    start = _cap(line[0], right[0])
    return _smooth([*left, *end, *reversed(right), *start])


def _streamlined(points: Sequence[Point]) -> list[Point]:
    """Each point follows the one before it; repeated ones are dropped."""
    line: list[Point] = []
    for at, (x, y) in enumerate(points):
        if line:
            last = line[-1]
            pull = 1.0 if at == len(points) - 1 else STREAMLINE
            x, y = last[0] + (x - last[0]) * pull, last[1] + (y - last[1]) * pull
            if math.hypot(x - last[0], y - last[1]) < 0.01:
                continue
        line.append((x, y))
    return line


def _length(line: Sequence[Point]) -> float:
    return sum(math.dist(a, b) for a, b in itertools.pairwise(line))


def _radii(
    line: Sequence[Point], pressures: Sequence[float], size: float
) -> list[float]:
    radii = []
    pressure = 0.25
    for at, point in enumerate(line):
        if at < len(pressures):
            pressure = pressures[at]
        elif at:
            speed = min(1.0, math.dist(point, line[at - 1]) / size)
            pressure += (1 - speed - pressure) * speed * PRESSURE_RATE
            pressure = min(1.0, max(0.0, pressure))
        share = 0.5 - THINNING * (0.5 - pressure)
        radii.append(max(size * math.sin(share * math.pi / 2), 0.05))
    return radii


def _cap(centre: Point, start: Point, parts: int = 6) -> list[Point]:
    """Points of the half circle that goes on from a point of the outline."""
    angle = math.atan2(start[1] - centre[1], start[0] - centre[0])
    radius = math.dist(centre, start)
    return [
        (
            centre[0] + radius * math.cos(angle - math.pi * part / parts),
            centre[1] + radius * math.sin(angle - math.pi * part / parts),
        )
        for part in range(1, parts)
    ]


def _smooth(ring: Sequence[Point]) -> tuple[Step, ...]:
    """A closed curve whose corners are rounded: through the middles."""
    middles = [
        ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)
    ]
    steps: list[Step] = [("M", middles[-1])]
    before = middles[-1]
    for corner, middle in zip(ring, middles, strict=True):
        steps.append(quadratic(before, corner, middle))
        before = middle
    steps.append(("Z", ()))
    return tuple(steps)
