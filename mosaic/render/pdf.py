"""A drawing as a PDF of one page, and as PNG made from that page."""

from __future__ import annotations

import io
from typing import Any

import pypdfium2
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import FILL_EVEN_ODD, FILL_NON_ZERO, Canvas

from mosaic.render.drawing import (
    Drawing,
    Group,
    Item,
    Picture,
    Shape,
    Step,
    Stroke,
    TextLine,
)
from mosaic.render.fonts import Face, FontShelf
from mosaic.render.pictures import Pictures
from mosaic.render.values import PAPER, Colour

POINTS_PER_PX = 0.75
MAX_PAGE_POINTS = 14_000.0
"""PDF readers take pages of at most 14,400 points."""
MAX_PICTURE_PX = 2_400
MAX_PNG_PX = 24_000_000
MAX_PNG_SIDE_PX = 12_000


def write_pdf(
    drawing: Drawing, path: str, *, fonts: FontShelf, pictures: Pictures
) -> None:
    """Write one page as large as the drawing."""
    _Writer(drawing, path, fonts, pictures).write()


def write_png(pdf: str, path: str, *, width_px: float, height_px: float) -> None:
    """Draw the first page of a PDF, at twice the drawing's size if that is
    not too large. width_px, height_px: the drawing's."""
    area = max(width_px * height_px, 1.0)
    scale = min(
        2.0,
        MAX_PNG_SIDE_PX / max(width_px, height_px, 1.0),
        (MAX_PNG_PX / area) ** 0.5,
    )
    document = pypdfium2.PdfDocument(pdf)
    try:
        page = document[0]
        wide, _ = page.get_size()
        bitmap = page.render(scale=max(width_px * scale, 1.0) / wide)
        bitmap.to_pil().save(path, format="PNG")
    finally:
        document.close()


class _Writer:
    def __init__(
        self, drawing: Drawing, path: str, fonts: FontShelf, pictures: Pictures
    ) -> None:
        self._drawing = drawing
        self._fonts = fonts
        self._pictures = pictures
        self._readers: dict[tuple[str, int, int], Any] = {}
        self._alpha = 1.0
        self._scale = min(
            POINTS_PER_PX,
            MAX_PAGE_POINTS / max(drawing.width, drawing.height, 1.0),
        )
        size = (
            max(drawing.width * self._scale, 3.0),
            max(drawing.height * self._scale, 3.0),
        )
        self._canvas: Any = Canvas(path, pagesize=size, pageCompression=1)
        self._height = size[1]

    def write(self) -> None:
        canvas, drawing = self._canvas, self._drawing
        canvas.setTitle(drawing.title)
        canvas.setCreator("Mosaic")
        canvas.setFillColorRGB(*_rgb(PAPER))
        canvas.rect(0, 0, *canvas._pagesize, stroke=0, fill=1)
        canvas.setLineCap(1)
        canvas.setLineJoin(1)
        scale = self._scale
        canvas.transform(
            scale,
            0,
            0,
            -scale,
            -drawing.x * scale,
            self._height + drawing.y * scale,
        )
        for item in drawing.items:
            self._item(item)
        canvas.showPage()
        canvas.save()

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
        canvas = self._canvas
        canvas.saveState()
        before = self._alpha
        self._alpha *= group.opacity
        if group.clip:
            path = self._path(group.clip)
            canvas.clipPath(path, stroke=0, fill=0, fillMode=FILL_EVEN_ODD)
        if group.matrix is not None:
            canvas.transform(*group.matrix)
        for item in group.items:
            self._item(item)
        self._alpha = before
        canvas.restoreState()

    def _path(self, steps: tuple[Step, ...]) -> Any:
        path = self._canvas.beginPath()
        for kind, values in steps:
            match kind:
                case "M":
                    path.moveTo(*values)
                case "L":
                    path.lineTo(*values)
                case "C":
                    path.curveTo(*values)
                case _:
                    path.close()
        return path

    def _shape(self, shape: Shape) -> None:
        if not shape.path or (shape.fill is None and shape.stroke is None):
            return
        if shape.fill is not None:
            self._fill(shape.fill)
        if shape.stroke is not None:
            self._stroke(shape.stroke)
        self._canvas.drawPath(
            self._path(shape.path),
            stroke=int(shape.stroke is not None),
            fill=int(shape.fill is not None),
            fillMode=FILL_NON_ZERO,
        )

    def _fill(self, colour: Colour) -> None:
        self._canvas.setFillColorRGB(*_rgb(colour))
        self._canvas.setFillAlpha(colour.alpha * self._alpha)

    def _stroke(self, stroke: Stroke) -> None:
        canvas = self._canvas
        canvas.setStrokeColorRGB(*_rgb(stroke.colour))
        canvas.setStrokeAlpha(stroke.colour.alpha * self._alpha)
        canvas.setLineWidth(stroke.width)
        canvas.setDash(list(stroke.dash))

    def _text(self, line: TextLine) -> None:
        runs = self._fonts.runs(line.text, line.family)
        width = self._fonts.width(runs) * line.size
        x = line.x - {"middle": width / 2, "end": width}.get(line.anchor, 0.0)
        canvas = self._canvas
        canvas.saveState()
        self._fill(line.colour)
        canvas.transform(1, 0, 0, -1, x, line.y)
        far = 0.0
        for run in runs:
            canvas.setFont(registered(run.face), line.size)
            canvas.drawString(far, 0, run.text)
            far += run.face.width(run.text) * line.size
        canvas.restoreState()

    def _picture(self, picture: Picture) -> None:
        canvas = self._canvas
        reader = self._reader(picture)
        if reader is None:
            frame = Stroke(Colour(0xBB, 0xBB, 0xBB), 1.0)
            self._fill(Colour(0xF1, 0xF3, 0xF5))
            self._stroke(frame)
            canvas.rect(
                picture.x, picture.y, picture.width, picture.height, stroke=1, fill=1
            )
            return
        left, top, right, bottom = picture.crop
        wide = picture.width / (right - left)
        high = picture.height / (bottom - top)
        canvas.saveState()
        area = canvas.beginPath()
        area.rect(picture.x, picture.y, picture.width, picture.height)
        canvas.clipPath(area, stroke=0, fill=0)
        canvas.setFillAlpha(self._alpha)
        mirror_x, mirror_y = picture.flip
        x = picture.x + (picture.width if mirror_x else 0.0)
        y = picture.y + (picture.height if mirror_y else 0.0)
        canvas.transform(-1 if mirror_x else 1, 0, 0, -1 if mirror_y else 1, x, y)
        # Pictures stand upright where y grows upwards.
        canvas.transform(1, 0, 0, -1, -left * wide, high - top * high)
        canvas.drawImage(reader, 0, 0, wide, high, mask="auto")
        canvas.restoreState()

    def _reader(self, picture: Picture) -> Any:
        file = self._pictures.get(picture.sha256)
        if file is None:
            return None
        left, top, right, bottom = picture.crop
        wide = min(int(2 * picture.width / (right - left)) + 1, MAX_PICTURE_PX)
        high = min(int(2 * picture.height / (bottom - top)) + 1, MAX_PICTURE_PX)
        key = (picture.sha256, wide, high)
        if key not in self._readers:
            try:
                self._readers[key] = ImageReader(file.scaled(wide, high))
            except (OSError, ValueError, SyntaxError):
                self._readers[key] = None
        return self._readers[key]


def registered(face: Face) -> str:
    """The face's name, once reportlab knows it; Helvetica for a broken one."""
    if face.name not in pdfmetrics.getRegisteredFontNames():
        try:
            pdfmetrics.registerFont(TTFont(face.name, io.BytesIO(face.truetype)))
        except (TTFError, OSError, ValueError, KeyError):
            return "Helvetica"
    return face.name


def _rgb(colour: Colour) -> tuple[float, float, float]:
    return colour.red / 255, colour.green / 255, colour.blue / 255
