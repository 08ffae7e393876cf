"""A whole board: elements in their places, frames as clips, labels over arrows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mosaic.render.drawing import (
    Drawing,
    Group,
    Item,
    Matrix,
    Point,
    box,
    placed,
    through,
)
from mosaic.render.elements import Element, read_elements
from mosaic.render.shapes import draw, extent, line_steps
from mosaic.render.values import text

MARGIN = 20.0
FRAMES = {"frame", "magicframe"}
LINES = {"line", "arrow", "freedraw"}
_EMPTY = (0.0, 0.0, 320.0, 200.0)


def draw_board(values: Mapping[str, Any], *, title: str = "") -> Drawing:
    """Draw the map `elements` of a board's document."""
    elements = read_elements(values)
    frames = {one.id: one for one in elements if one.kind in FRAMES}
    labels = _labels(elements)
    items: list[Item] = []
    corners: list[Point] = []
    for element in elements:
        if element.opacity == 0:
            continue
        group = _group(element, labels.get(element.id))
        if group is None:
            continue
        frame = frames.get(element.frame_id)
        if frame is not None and frame is not element:
            group = Group((group,), clip=_area(frame))
        else:
            corners += _corners(element)
        items.append(group)
    x, y, width, height = _around(corners)
    return Drawing(x, y, width, height, tuple(items), title)


def _labels(elements: Iterable[Element]) -> dict[str, Element]:
    """The text that stands on an arrow, by the arrow's id."""
    return {
        text(one.raw.get("containerId"), limit=200): one
        for one in elements
        if one.kind == "text" and isinstance(one.raw.get("containerId"), str)
    }


def _group(element: Element, label: Element | None) -> Group | None:
    items = draw(element)
    if not items:
        return None
    matrix = matrix_of(element)
    if label is None or element.kind != "arrow":
        return Group(items, matrix, element.opacity)
    # The line does not run through its label.
    inner = Group(items, matrix, element.opacity)
    x, y, width, height = _around(_corners(element))
    far = 1000.0
    outer = box(x - far, y - far, width + 2 * far, height + 2 * far)
    hole = box(label.x - 4, label.y - 2, label.width + 8, label.height + 4)
    return Group((inner,), clip=outer + hole)


def matrix_of(element: Element) -> Matrix:
    """From the element's own coordinates to the board's."""
    left, top, width, height = _own_box(element)
    moved = placed(element.x + left, element.y + top, width, height, element.angle)
    a, b, c, d, e, f = moved
    return a, b, c, d, e - a * left - c * top, f - b * left - d * top


def _own_box(element: Element) -> tuple[float, float, float, float]:
    """The box that an element turns in: of a line around its points."""
    if element.kind in LINES and (points := element.points):
        if element.kind == "freedraw" or not element.radius_kind:
            xs, ys = [x for x, _ in points], [y for _, y in points]
            return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
        return extent(line_steps(element, points))
    return 0.0, 0.0, element.width, element.height


def _corners(element: Element) -> list[Point]:
    left, top, width, height = _own_box(element)
    if element.kind in FRAMES:
        top, height = top - 24, height + 24
    margin = element.stroke_width * (4 if element.kind == "freedraw" else 1)
    if element.kind == "arrow":
        margin += 12
    if element.kind in {"text", "image"}:
        margin = 0
    left, top = left - margin, top - margin
    right, bottom = left + width + 2 * margin, top + height + 2 * margin
    matrix = matrix_of(element)
    return [
        through(matrix, corner)
        for corner in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]


def _area(frame: Element) -> tuple[Any, ...]:
    return box(frame.x, frame.y, frame.width, frame.height)


def _around(corners: Sequence[Point]) -> tuple[float, float, float, float]:
    if not corners:
        return _EMPTY
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return (
        min(xs) - MARGIN,
        min(ys) - MARGIN,
        max(xs) - min(xs) + 2 * MARGIN,
        max(ys) - min(ys) + 2 * MARGIN,
    )
