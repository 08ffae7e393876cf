"""One document in one format: what an archive and a quick export both write."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from pycrdt import Doc

from mosaic.export.documents import board_elements, ordered_elements
from mosaic.export.jobs import BlobEntry
from mosaic.render.board import draw_board
from mosaic.render.docx import write_docx
from mosaic.render.fonts import FontShelf
from mosaic.render.html import write_html
from mosaic.render.markdown import title_of, to_markdown
from mosaic.render.notes import read_notes
from mosaic.render.pdf import write_pdf, write_png
from mosaic.render.pictures import Pictures
from mosaic.render.svg import write_svg

BOARD_FORMATS = ("svg", "png", "pdf", "excalidraw")
NOTES_FORMATS = ("html", "md", "docx")
STATE = "ydoc"

MEDIA_TYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "excalidraw": "application/vnd.excalidraw+json",
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "ydoc": "application/octet-stream",
}
PICTURE_BUDGET_BYTES = 100 << 20
"""Of pictures inside one file of another format."""


def formats_of(name: str) -> tuple[str, ...]:
    """The formats that a document can be had in."""
    if name == "board":
        return (*BOARD_FORMATS, STATE)
    if name.startswith("notes/"):
        return (*NOTES_FORMATS, STATE)
    return (STATE,)


class Studio:
    """Writes documents as files. blobs: the room's files by hash; blob_paths:
    where they are. fonts: the web client's folder of fonts."""

    def __init__(
        self,
        *,
        blobs: Mapping[str, BlobEntry],
        blob_paths: Mapping[str, Path],
        fonts: Path,
        room_name: str,
    ) -> None:
        self._blobs = blobs
        self._paths = blob_paths
        self._fonts = FontShelf(fonts)
        self._room_name = room_name

    def _pictures(self) -> Pictures:
        return Pictures(self._paths, budget_bytes=PICTURE_BUDGET_BYTES)

    def write(self, name: str, document: Doc[Any], format_: str, path: Path) -> None:
        """Write one document in one of its formats."""
        if format_ == STATE:
            path.write_bytes(document.get_update())
        elif format_ in BOARD_FORMATS:
            self.board(document, {format_: path})
        else:
            self.notes(name, document, {format_: path})

    def board(self, document: Doc[Any], paths: Mapping[str, Path]) -> None:
        """The board in the formats given, by their paths. A PNG is drawn from
        the PDF, which is made for it if it is not wanted."""
        elements = board_elements(document)
        if path := paths.get("excalidraw"):
            with path.open("w", encoding="utf-8") as out:
                self.excalidraw(elements, out)
        if not paths.keys() & {"svg", "pdf", "png"}:
            return
        drawing = draw_board(elements, title=self._room_name)
        pictures = self._pictures()
        if path := paths.get("svg"):
            with path.open("w", encoding="utf-8") as out:
                write_svg(drawing, out, fonts=self._fonts, pictures=pictures)
        pdf = paths.get("pdf")
        png = paths.get("png")
        if pdf is None and png is not None:
            pdf = png.with_suffix(".for-png.pdf")
        if pdf is not None:
            write_pdf(drawing, str(pdf), fonts=self._fonts, pictures=pictures)
        if png is not None:
            write_png(
                str(pdf), str(png), width_px=drawing.width, height_px=drawing.height
            )

    def notes(self, name: str, document: Doc[Any], paths: Mapping[str, Path]) -> None:
        """Notes in the formats given, by their paths."""
        blocks = read_notes(document)
        slug = name.removeprefix("notes/")
        title = title_of(blocks, self._room_name if slug == "main" else slug)
        if path := paths.get("html"):
            with path.open("w", encoding="utf-8") as out:
                write_html(blocks, out, title=title, pictures=self._pictures())
        if path := paths.get("md"):
            path.write_text(to_markdown(blocks), encoding="utf-8")
        if path := paths.get("docx"):
            write_docx(blocks, str(path), title=title, pictures=self._pictures())

    def excalidraw(self, elements: dict[str, Any], out: TextIO) -> None:
        """An Excalidraw file, version 2, with its pictures inside."""
        ordered = ordered_elements(elements)
        out.write('{"type":"excalidraw","version":2,"source":"mosaic","elements":[')
        for at, element in enumerate(ordered):
            out.write(("," if at else "") + "\n" + _json(element))
        out.write('\n],"appState":{"gridSize":null,"viewBackgroundColor":"#ffffff"},')
        out.write('"files":{')
        for at, (sha256, blob, path) in enumerate(self._shown(ordered)):
            head = {
                "mimeType": blob.media_type,
                "id": sha256,
                "created": int(blob.created_at * 1000),
            }
            out.write(("," if at else "") + f'\n"{sha256}":{_json(head)[:-1]}')
            out.write(f',"dataURL":"data:{blob.media_type};base64,')
            for piece in _base64(path):
                out.write(piece)
            out.write('"}')
        out.write("\n}}\n")

    def _shown(
        self, elements: list[dict[str, Any]]
    ) -> Iterator[tuple[str, BlobEntry, Path]]:
        """The pictures of these elements, within the budget."""
        left = PICTURE_BUDGET_BYTES
        names = {one.get("fileId") for one in elements if one["type"] == "image"}
        for sha256 in sorted(name for name in names if isinstance(name, str)):
            blob, path = self._blobs.get(sha256), self._paths.get(sha256)
            if blob is None or path is None or not path.is_file():
                continue
            if not blob.media_type.startswith("image/") or blob.size_bytes > left:
                continue
            left -= blob.size_bytes
            yield sha256, blob, path


def _base64(path: Path) -> Iterator[str]:
    import base64

    with path.open("rb") as file:
        while chunk := file.read(3 * 65536):
            yield base64.b64encode(chunk).decode("ascii")


def _json(value: Any) -> str:
    """JSON of whatever a shared document can hold; no NaN, no bytes."""
    plain = _plain(value, 0)
    return json.dumps(plain, ensure_ascii=True, allow_nan=False, sort_keys=True)


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        # Shared documents know one kind of number; whole ones are written so.
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if value is None or isinstance(value, bool | int | str):
        return value
    if depth > 64:
        return None
    if isinstance(value, dict):
        return {str(key): _plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    return None
