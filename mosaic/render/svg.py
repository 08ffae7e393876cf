"""A drawing as SVG: plain shapes, no script, no reference to anything outside.

Text and attribute values go through XML's own escaping. Fonts that are used
and pictures are inside, as data: URIs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from mosaic.render.drawing import (
    Drawing,
    Group,
    Item,
    Picture,
    Shape,
    Step,
    TextLine,
)
from mosaic.render.fonts import GENERIC, FontShelf
from mosaic.render.pictures import Pictures
from mosaic.render.values import PAPER, Colour


def write_svg(
    drawing: Drawing, out: TextIO, *, fonts: FontShelf, pictures: Pictures
) -> None:
    """Write the drawing on white paper."""
    _Writer(drawing, out, fonts, pictures).write()


class _Writer:
    def __init__(
        self, drawing: Drawing, out: TextIO, fonts: FontShelf, pictures: Pictures
    ) -> None:
        self._drawing = drawing
        self._out = out
        self._fonts = fonts
        self._pictures = pictures
        self._clips = 0

    def write(self) -> None:
        drawing = self._drawing
        area = " ".join(
            _n(one) for one in (drawing.x, drawing.y, drawing.width, drawing.height)
        )
        put = self._out.write
        put('<?xml version="1.0" encoding="UTF-8"?>\n')
        put(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{area}" ')
        put(f'width="{_n(drawing.width)}" height="{_n(drawing.height)}">\n')
        if drawing.title:
            put(f"<title>{escape(drawing.title)}</title>\n")
        self._defs()
        put(f'<rect x="{_n(drawing.x)}" y="{_n(drawing.y)}" fill="{PAPER.hex}" ')
        put(f'width="{_n(drawing.width)}" height="{_n(drawing.height)}"/>\n')
        for item in drawing.items:
            self._item(item)
        put("</svg>\n")

    def _defs(self) -> None:
        """The fonts and the pictures that the drawing uses, each once."""
        put = self._out.write
        put("<defs>\n<style>\n")
        for family, data in self._used_fonts():
            put(f'@font-face {{ font-family: "{family}"; src: url("')
            put("data:font/woff2;base64,")
            put(base64.b64encode(data).decode("ascii"))
            put('"); }\n')
        put("text { white-space: pre; }\n</style>\n")
        for sha256 in sorted(_pictures_in(self._drawing.items)):
            picture = self._pictures.get(sha256)
            if picture is None:
                continue
            put(f'<image id="p{sha256}" width="1" height="1" ')
            put('preserveAspectRatio="none" href="')
            for piece in picture.data_uri():
                put(piece)
            put('"/>\n')
        put("</defs>\n")

    def _used_fonts(self) -> Iterator[tuple[str, bytes]]:
        used: dict[str, set[str]] = {}
        for line in _lines_in(self._drawing.items):
            used.setdefault(line.family, set()).update(line.text)
        for family, chars in sorted(used.items()):
            codes = {ord(char) for char in chars if not char.isspace()}
            for face in self._fonts.family(family):
                if codes & face.cmap.keys():
                    yield family, face.path.read_bytes()
                    codes -= face.cmap.keys()

    def _item(self, item: Item) -> None:
        match item:
            case Group():
                self._group(item)
            case Shape():
                self._shape(item)
            case TextLine():
                self._text(item)
            case Picture():
                self._picture(item)

    def _group(self, group: Group) -> None:
        put = self._out.write
        clip = ""
        if group.clip:
            # The clip is in the coordinates outside of the transformation.
            self._clips += 1
            clip = f"c{self._clips}"
            put(f'<clipPath id="{clip}"><path clip-rule="evenodd" ')
            put(f'd="{_path(group.clip)}"/></clipPath>\n')
            put(f'<g clip-path="url(#{clip})">')
        put("<g")
        if group.matrix is not None:
            values = " ".join(_n(one, 5) for one in group.matrix)
            put(f' transform="matrix({values})"')
        if group.opacity < 1:
            put(f' opacity="{_n(group.opacity)}"')
        put(">\n")
        for item in group.items:
            self._item(item)
        put("</g></g>\n" if clip else "</g>\n")

    def _shape(self, shape: Shape) -> None:
        put = self._out.write
        put(f'<path d="{_path(shape.path)}"{_paint("fill", shape.fill)}')
        stroke = shape.stroke
        if stroke is not None:
            put(f'{_paint("stroke", stroke.colour)} stroke-width="{_n(stroke.width)}"')
            put(' stroke-linecap="round" stroke-linejoin="round"')
            if stroke.dash:
                dash = " ".join(_n(one) for one in stroke.dash)
                put(f' stroke-dasharray="{dash}"')
        put("/>\n")

    def _text(self, line: TextLine) -> None:
        family = f'"{line.family}", {GENERIC.get(line.family, "cursive")}'
        self._out.write(
            f'<text x="{_n(line.x)}" y="{_n(line.y)}"{_paint("fill", line.colour)}'
            f' font-family={quoteattr(family)} font-size="{_n(line.size)}"'
            f' text-anchor="{line.anchor}" xml:space="preserve">'
            f"{escape(line.text)}</text>\n"
        )

    def _picture(self, picture: Picture) -> None:
        put = self._out.write
        x, y, width, height = picture.x, picture.y, picture.width, picture.height
        if self._pictures.get(picture.sha256) is None:
            put(f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" ')
            put(f'height="{_n(height)}" fill="#f1f3f5" stroke="#bbbbbb"/>\n')
            return
        left, top, right, bottom = picture.crop
        wide, high = width / (right - left), height / (bottom - top)
        self._clips += 1
        clip = f"c{self._clips}"
        put(f'<clipPath id="{clip}"><rect x="{_n(x)}" y="{_n(y)}" ')
        put(f'width="{_n(width)}" height="{_n(height)}"/></clipPath>\n')
        put(f'<g clip-path="url(#{clip})"><use href="#p{picture.sha256}" ')
        across = _n(x + width + left * wide if picture.flip[0] else x - left * wide, 5)
        down = _n(y + height + top * high if picture.flip[1] else y - top * high, 5)
        wide, high = (
            -wide if picture.flip[0] else wide,
            -high if picture.flip[1] else high,
        )
        put(f'transform="translate({across} {down}) ')
        put(f'scale({_n(wide, 5)} {_n(high, 5)})"/></g>\n')


def _pictures_in(items: tuple[Item, ...]) -> set[str]:
    found: set[str] = set()
    for item in items:
        if isinstance(item, Group):
            found |= _pictures_in(item.items)
        elif isinstance(item, Picture):
            found.add(item.sha256)
    return found


def _lines_in(items: tuple[Item, ...]) -> Iterator[TextLine]:
    for item in items:
        if isinstance(item, Group):
            yield from _lines_in(item.items)
        elif isinstance(item, TextLine):
            yield item


def _paint(name: str, colour: Colour | None) -> str:
    if colour is None:
        return f' {name}="none"'
    opacity = f' {name}-opacity="{_n(colour.alpha)}"' if colour.alpha < 1 else ""
    return f' {name}="{colour.hex}"{opacity}'


def _path(steps: tuple[Step, ...]) -> str:
    return " ".join(
        kind + " ".join(_n(value) for value in values) for kind, values in steps
    )


def _n(value: float, digits: int = 2) -> str:
    """A number without needless zeros."""
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0"
