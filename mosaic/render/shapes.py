"""What each kind of element looks like, in its own coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable

from mosaic.render.arrowheads import arrowhead
from mosaic.render.drawing import (
    Group,
    Item,
    Picture,
    Point,
    Shape,
    Step,
    Stroke,
    TextLine,
    box,
    ellipse,
    polyline,
    quadratic,
    rounded_box,
    spline,
)
from mosaic.render.elements import MAX_FONT_SIZE, Element
from mosaic.render.fonts import METRICS, family_of
from mosaic.render.freehand import outline
from mosaic.render.values import INK, Colour, number, text

MAX_HATCH_LINES = 400
HATCH_ANGLE = math.radians(-41)
MAX_LINES = 2_000
CLOSED_WITHIN = 8.0
"""Scene units between the first and last point of a line that is a loop."""

_FRAME_INK = Colour(0xBB, 0xBB, 0xBB)
_NAME_INK = Colour(0x99, 0x99, 0x99)
_QUIET = Colour(0xF1, 0xF3, 0xF5)


def draw(element: Element) -> tuple[Item, ...]:
    """The items of one element, its left upper corner at 0, 0."""
    make = _KINDS.get(element.kind)
    return () if make is None else tuple(make(element))


def pen(element: Element) -> Stroke | None:
    """How the element's lines are drawn; None for a transparent stroke."""
    if element.stroke is None:
        return None
    width = element.stroke_width
    match element.stroke_style:
        case "dashed":
            return Stroke(element.stroke, width + 0.5, (8.0, 8.0 + width))
        case "dotted":
            return Stroke(element.stroke, width + 0.5, (1.5, 6.0 + width))
    return Stroke(element.stroke, width)


def filled(element: Element, path: tuple[Step, ...]) -> list[Item]:
    """A closed path: its fill below its stroke."""
    colour = element.background
    stroke = pen(element)
    if colour is None:
        return [Shape(path, stroke=stroke)] if stroke else []
    if element.fill_style == "solid":
        return [Shape(path, colour, stroke)]
    angles = [HATCH_ANGLE]
    if element.fill_style == "cross-hatch":
        angles.append(HATCH_ANGLE + math.pi / 2)
    thin = Stroke(colour, max(element.stroke_width / 2, 0.5))
    x, y, width, height = extent(path)
    lines = tuple(
        Shape(_hatch(x, y, width, height, angle, element.stroke_width * 4), stroke=thin)
        for angle in angles
    )
    items: list[Item] = [Group(lines, clip=path)]
    return [*items, Shape(path, stroke=stroke)] if stroke else items


def _hatch(
    x: float, y: float, width: float, height: float, angle: float, gap: float
) -> tuple[Step, ...]:
    """Parallel lines across a box; the clip makes them a fill."""
    reach = math.hypot(width, height) / 2
    gap = max(gap, 2 * reach / MAX_HATCH_LINES, 0.5)
    cx, cy = x + width / 2, y + height / 2
    dx, dy = math.cos(angle), math.sin(angle)
    steps: list[Step] = []
    for at in range(-int(reach / gap), int(reach / gap) + 1):
        mx, my = cx - dy * at * gap, cy + dx * at * gap
        steps.append(("M", (mx - dx * reach, my - dy * reach)))
        steps.append(("L", (mx + dx * reach, my + dy * reach)))
    return tuple(steps)


def extent(path: tuple[Step, ...]) -> tuple[float, float, float, float]:
    """x, y, width and height around a path, control points included."""
    xs = [value for _, values in path for value in values[0::2]] or [0.0]
    ys = [value for _, values in path for value in values[1::2]] or [0.0]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _rectangle(element: Element) -> list[Item]:
    return filled(element, _rounded(element))


def _rounded(element: Element) -> tuple[Step, ...]:
    width, height = element.width, element.height
    radius = element.corner(min(abs(width), abs(height)))
    if radius > 0 and width > 0 and height > 0:
        return rounded_box(width, height, min(radius, width / 2, height / 2))
    return box(0.0, 0.0, width, height)


def _ellipse(element: Element) -> list[Item]:
    rx, ry = element.width / 2, element.height / 2
    return filled(element, ellipse(rx, ry, rx, ry))


def _diamond(element: Element) -> list[Item]:
    w, h = element.width, element.height
    corners: list[Point] = [(w / 2, 0.0), (w, h / 2), (w / 2, h), (0.0, h / 2)]
    across, down = element.corner(abs(w / 2)), element.corner(abs(h / 2))
    if not across or not down:
        return filled(element, polyline(corners, closed=True))
    steps: list[Step] = []
    for at, (x, y) in enumerate(corners):
        before = corners[at - 1]
        after = corners[(at + 1) % 4]
        entry = _towards((x, y), before, across, down)
        leave = _towards((x, y), after, across, down)
        steps.append(("L" if steps else "M", entry))
        steps.append(("C", (x, y, x, y, *leave)))
    return filled(element, (*steps, ("Z", ())))


def _towards(corner: Point, other: Point, across: float, down: float) -> Point:
    return (
        corner[0] + math.copysign(across, other[0] - corner[0]),
        corner[1] + math.copysign(down, other[1] - corner[1]),
    )


def line_steps(element: Element, points: list[Point]) -> tuple[Step, ...]:
    """The path of a line or an arrow."""
    if element.raw.get("elbowed") is True:
        return _elbows(points)
    return spline(points) if element.radius_kind else polyline(points)


def _elbows(points: list[Point]) -> tuple[Step, ...]:
    """Straight parts with rounded corners."""
    steps: list[Step] = [("M", points[0])]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(16.0, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        entry, leave = _along(corner, before, radius), _along(corner, after, radius)
        steps += [("L", entry), quadratic(entry, corner, leave)]
    steps.append(("L", points[-1]))
    return tuple(steps)


def _along(start: Point, end: Point, far: float) -> Point:
    whole = math.dist(start, end)
    share = far / whole if whole else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (
        end[1] - start[1]
    ) * share


def is_loop(points: list[Point]) -> bool:
    """Whether a line ends where it began, and so has an inside."""
    return len(points) > 2 and math.dist(points[0], points[-1]) <= CLOSED_WITHIN


def _line(element: Element) -> list[Item]:
    points = element.points
    if len(points) < 2:
        return []
    path = line_steps(element, points)
    if is_loop(points) and element.kind == "line":
        return filled(element, (*path, ("Z", ())))
    stroke = pen(element)
    return [Shape(path, stroke=stroke)] if stroke else []


def _arrow(element: Element) -> list[Item]:
    points = element.points
    items = _line(element)
    if element.stroke is None or not items:
        return items
    for key, at_end in (("startArrowhead", False), ("endArrowhead", True)):
        kind = element.raw.get(key)
        if isinstance(kind, str):
            items += arrowhead(
                kind,
                line_steps(element, points),
                points,
                at_end=at_end,
                colour=element.stroke,
                width=element.stroke_width,
            )
    return items


def _freedraw(element: Element) -> list[Item]:
    points = element.points
    if not points:
        return []
    items: list[Item] = []
    if element.background is not None and is_loop(points):
        hull = polyline(points, closed=True)
        items += [
            item if isinstance(item, Group) else Shape(hull, item.fill)
            for item in filled(element, hull)
            if isinstance(item, Group) or (isinstance(item, Shape) and item.fill)
        ]
    if element.stroke is not None:
        given = element.raw.get("pressures")
        told = element.raw.get("simulatePressure") is False and isinstance(given, list)
        pressures = [number(one, 0.5, low=0.0, high=1.0) for one in given or ()]
        path = outline(points, pressures if told else (), element.stroke_width)
        items.append(Shape(path, fill=element.stroke))
    return items


def _text(element: Element) -> list[Item]:
    if element.stroke is None:
        return []
    raw = element.raw
    size = number(raw.get("fontSize"), 20.0, low=1.0, high=MAX_FONT_SIZE)
    family = family_of(raw.get("fontFamily"))
    metrics = METRICS[family]
    line_px = size * number(raw.get("lineHeight"), 1.25, low=0.5, high=10.0)
    gap = (line_px - size * metrics.ascent + size * metrics.descent) / 2
    anchor, x = {
        "center": ("middle", element.width / 2),
        "right": ("end", element.width),
    }.get(text(raw.get("textAlign"), limit=16), ("start", 0.0))
    lines = text(raw.get("text")).replace("\r\n", "\n").split("\n")[:MAX_LINES]
    return [
        TextLine(
            x,
            at * line_px + size * metrics.ascent + gap,
            line.replace("\t", "    "),
            size,
            family,
            element.stroke,
            anchor,
        )
        for at, line in enumerate(lines)
        if line.strip()
    ]


def _image(element: Element) -> list[Item]:
    width, height = element.width, element.height
    if not element.sha256 or width <= 0 or height <= 0:
        return _placeholder(element, "")
    scale = element.raw.get("scale")
    flip = (False, False)
    if isinstance(scale, list) and len(scale) >= 2:
        flip = number(scale[0], 1.0) < 0, number(scale[1], 1.0) < 0
    picture = Picture(0.0, 0.0, width, height, element.sha256, _crop(element), flip)
    if element.radius_kind:
        return [Group((picture,), clip=_rounded(element))]
    return [picture]


def _crop(element: Element) -> tuple[float, float, float, float]:
    crop = element.raw.get("crop")
    if not isinstance(crop, dict):
        return 0.0, 0.0, 1.0, 1.0
    wide = number(crop.get("naturalWidth"), 0.0)
    high = number(crop.get("naturalHeight"), 0.0)
    width, height = number(crop.get("width")), number(crop.get("height"))
    x, y = number(crop.get("x")), number(crop.get("y"))
    if min(wide, high, width, height) <= 0:
        return 0.0, 0.0, 1.0, 1.0
    found = x / wide, y / high, (x + width) / wide, (y + height) / high
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in found)
    return (left, top, right, bottom) if left < right and top < bottom else (0, 0, 1, 1)


def _placeholder(element: Element, line: str) -> list[Item]:
    """A quiet box for what cannot be drawn, with a line about it."""
    path = box(0.0, 0.0, element.width, element.height)
    items: list[Item] = [Shape(path, _QUIET, Stroke(_FRAME_INK, 1.0))]
    if line and element.height >= 20:
        size = min(14.0, element.height / 3)
        room = max(int(element.width / (size * 0.55)), 1)
        short = line if len(line) <= room else line[: room - 1] + "…"
        items.append(
            TextLine(
                element.width / 2,
                element.height / 2 + size / 3,
                short,
                size,
                "Liberation Sans",
                INK,
                "middle",
            )
        )
    return items


def _embeddable(element: Element) -> list[Item]:
    return _placeholder(element, text(element.raw.get("link"), limit=300))


def _frame(element: Element) -> list[Item]:
    name = text(element.raw.get("name"), limit=300) or (
        "AI Frame" if element.kind == "magicframe" else "Frame"
    )
    width, height = element.width, element.height
    radius = min(8.0, width / 2, height / 2)
    path = (
        rounded_box(width, height, radius) if radius > 0 else box(0, 0, width, height)
    )
    return [
        Shape(path, stroke=Stroke(_FRAME_INK, 2.0)),
        TextLine(0.0, -8.0, " ".join(name.split()), 14.0, "Liberation Sans", _NAME_INK),
    ]


_KINDS: dict[str, Callable[[Element], list[Item]]] = {
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "diamond": _diamond,
    "line": _line,
    "arrow": _arrow,
    "freedraw": _freedraw,
    "text": _text,
    "image": _image,
    "embeddable": _embeddable,
    "iframe": _embeddable,
    "frame": _frame,
    "magicframe": _frame,
}
