"""The whiteboard's elements as the document holds them, made sound.

The document `board` has one map, `elements`, from an id to an element of
Excalidraw's file format, version 2. Anybody may have written anything there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mosaic.render.drawing import Point
from mosaic.render.values import INK, Colour, colour, number, text

MAX_POINTS = 20_000
MAX_FONT_SIZE = 4_000.0
DEFAULT_RADIUS = 32.0
"""Excalidraw's adaptive corner, in scene units."""
PROPORTION = 0.25

_NUMBERS = ("version", "versionNonce", "x", "y", "width", "height")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Element:
    """One element. raw: as it was written, for what only its kind needs.

    angle: radians, around the middle. opacity: 0 to 1. radius_kind: 0 sharp,
    1 and 2 proportional, 3 adaptive.
    """

    id: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    angle: float
    stroke: Colour | None
    background: Colour | None
    fill_style: str
    stroke_width: float
    stroke_style: str
    opacity: float
    radius_kind: int
    frame_id: str
    raw: Mapping[str, Any]

    def corner(self, side: float) -> float:
        """The corner's radius along a side of this length."""
        if self.radius_kind in (1, 2):
            return side * PROPORTION
        if self.radius_kind == 3:
            value = (self.raw.get("roundness") or {}).get("value")
            fixed = number(value, DEFAULT_RADIUS, low=0.0)
            return side * PROPORTION if side <= fixed / PROPORTION else fixed
        return 0.0

    @property
    def points(self) -> list[Point]:
        """Of a line, an arrow or a freehand stroke: from the element's x, y."""
        given = self.raw.get("points")
        if not isinstance(given, list):
            return []
        return [
            (number(point[0]), number(point[1]))
            for point in given[:MAX_POINTS]
            if isinstance(point, list) and len(point) >= 2
        ]

    @property
    def sha256(self) -> str:
        """The picture's file, "" if there is none."""
        name = self.raw.get("fileId")
        return name if isinstance(name, str) and _SHA256.fullmatch(name) else ""


def read_elements(values: Mapping[str, Any]) -> list[Element]:
    """What is shown, the lowest first; what is no element is left out."""
    shown = [
        (index_of(value), id_, value)
        for id_, value in values.items()
        if is_element(id_, value) and value.get("isDeleted") is not True
    ]
    shown.sort(key=lambda entry: entry[:2])
    return [_element(value) for _, _, value in shown]


def is_element(id_: str, value: Any) -> bool:
    """The same rule as the web client's board binding."""
    return (
        isinstance(value, dict)
        and value.get("id") == id_
        and isinstance(value.get("type"), str)
        and all(_finite(value.get(key)) for key in _NUMBERS)
    )


def index_of(value: Mapping[str, Any]) -> str:
    """The fractional index that orders elements; none comes last."""
    index = value.get("index")
    return index if isinstance(index, str) and index else "~"


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _element(raw: dict[str, Any]) -> Element:
    roundness = raw.get("roundness")
    kind = roundness.get("type") if isinstance(roundness, dict) else 0
    return Element(
        id=text(raw["id"], limit=200),
        kind=raw["type"][:64],
        x=number(raw["x"]),
        y=number(raw["y"]),
        width=number(raw["width"]),
        height=number(raw["height"]),
        angle=number(raw.get("angle"), low=-1000.0, high=1000.0),
        stroke=colour(raw.get("strokeColor"), INK),
        background=colour(raw.get("backgroundColor")),
        fill_style=text(raw.get("fillStyle"), "solid", limit=32),
        stroke_width=number(raw.get("strokeWidth"), 2.0, low=0.1, high=200.0),
        stroke_style=text(raw.get("strokeStyle"), "solid", limit=32),
        opacity=number(raw.get("opacity"), 100.0, low=0.0, high=100.0) / 100,
        radius_kind=int(number(kind, 0.0, low=0.0, high=3.0)),
        frame_id=text(raw.get("frameId"), limit=200),
        raw=raw if isinstance(roundness, dict | None) else {**raw, "roundness": None},
    )
