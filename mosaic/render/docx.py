"""Notes as a Word document (Office Open XML), by python-docx."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from docx import Document
from docx.enum.text import WD_BREAK
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Inches, Pt, RGBColor

from mosaic.render.notes import (
    Block,
    CodeBlock,
    ItemList,
    ListItem,
    NotePicture,
    Paragraph,
    Quote,
    Rule,
    Span,
    Table,
)
from mosaic.render.pictures import Pictures

MAX_COLUMNS = 60
_WIDTH = Inches(6)
_INDENT = Inches(0.25)


def write_docx(
    blocks: Iterable[Block], path: str, *, title: str, pictures: Pictures
) -> None:
    """Write the document."""
    document: Any = Document()
    document.core_properties.title = title[:255]
    document.core_properties.author = "Mosaic"
    _Writer(document, pictures).blocks(document, blocks)
    document.save(path)


class _Writer:
    """place: the document, or a cell of a table. depth: of lists and quotes."""

    def __init__(self, document: Any, pictures: Pictures) -> None:
        self._document = document
        self._pictures = pictures

    def blocks(
        self, place: Any, blocks: Iterable[Block], *, depth: int = 0, style: str = ""
    ) -> None:
        for block in blocks:
            self._block(place, block, depth, style)

    def _block(self, place: Any, block: Block, depth: int, style: str) -> None:
        match block:
            case Paragraph(spans, level):
                made = place.add_paragraph()
                made.style = (
                    f"Heading {level}" if level and not style else style or "Normal"
                )
                self._indent(made, depth, style)
                self._spans(made, spans)
            case ItemList():
                self._list(place, block, depth)
            case Quote(blocks):
                self.blocks(place, blocks, depth=depth, style="Quote")
            case CodeBlock(words):
                self._code(place, words, depth)
            case Rule():
                _rule_under(place.add_paragraph())
            case NotePicture():
                self._picture(place, block)
            case Table():
                self._table(place, block)

    def _indent(self, made: Any, depth: int, style: str) -> None:
        if depth and not style.startswith("List"):
            made.paragraph_format.left_indent = _INDENT * (depth + 1)

    def _list(self, place: Any, block: ItemList, depth: int) -> None:
        level = min(depth, 2)
        kind = "List Bullet" if block.start is None else "List Number"
        style = kind if level == 0 else f"{kind} {level + 1}"
        number = None if block.start is None else self._numbering(style, block.start)
        for item in block.items:
            self._item(place, item, depth, style, number)

    def _item(
        self, place: Any, item: ListItem, depth: int, style: str, number: int | None
    ) -> None:
        made = place.add_paragraph(style=style)
        if number is not None:
            properties = made._p.get_or_add_pPr().get_or_add_numPr()
            properties.get_or_add_numId().val = number
            properties.get_or_add_ilvl().val = 0
        if item.checked is not None:
            made.add_run("\u2612 " if item.checked else "\u2610 ")
        blocks = list(item.blocks)
        if blocks and isinstance(blocks[0], Paragraph):
            self._spans(made, blocks[0].spans)
            blocks = blocks[1:]
        self.blocks(place, blocks, depth=depth + 1)

    def _numbering(self, style: str, start: int) -> int:
        """A numbering of its own for a list, so that each begins anew."""
        numbering = self._document.part.numbering_part.numbering_definitions._numbering
        of_style = self._document.styles[style].element.pPr.numPr.numId.val
        abstract = numbering.num_having_numId(of_style).abstractNumId.val
        made = numbering.add_num(abstract)
        made.add_lvlOverride(ilvl=0).add_startOverride(start)
        return int(made.numId)

    def _spans(self, made: Any, spans: Iterable[Span]) -> None:
        for span in spans:
            parent = _link(made, span.link) if span.link else None
            for at, piece in enumerate(span.text.split("\n")):
                run = made.add_run()
                if at:
                    run.add_break(WD_BREAK.LINE)
                run.add_text(piece)
                _dress(run, span)
                if parent is not None:
                    parent.append(run._r)

    def _code(self, place: Any, words: str, depth: int) -> None:
        made = place.add_paragraph(style="No Spacing")
        made.paragraph_format.left_indent = _INDENT * (depth + 1)
        _shade(made._p.get_or_add_pPr())
        for at, line in enumerate(words.split("\n")):
            run = made.add_run()
            if at:
                run.add_break(WD_BREAK.LINE)
            run.add_text(line)
            _monospace(run)

    def _picture(self, place: Any, block: NotePicture) -> None:
        made = place.add_paragraph()
        file = self._pictures.get(block.sha256)
        if file is not None:
            data = io.BytesIO()
            try:
                file.scaled(1600, 1600).save(data, format="PNG")
                data.seek(0)
                width = min(_WIDTH, Inches(file.width / 96))
                made.add_run().add_picture(data, width=width)
            except (OSError, ValueError, SyntaxError):
                file = None
        if file is None:
            made.add_run(f"[{block.alt or 'picture'}]").italic = True

    def _table(self, place: Any, block: Table) -> None:
        width = min(max((len(row) for row in block.rows), default=0), MAX_COLUMNS)
        if not width:
            return
        made = place.add_table(len(block.rows), width)
        made.style = "Table Grid"
        for row, cells in zip(block.rows, made.rows, strict=True):
            for cell, to in zip(row, cells.cells, strict=False):
                self.blocks(to, cell.blocks)
                if len(to.paragraphs) > 1 and not to.paragraphs[0].text:
                    to._tc.remove(to.paragraphs[0]._p)
                if cell.heading:
                    for run in (run for one in to.paragraphs for run in one.runs):
                        run.bold = True


def _dress(run: Any, span: Span) -> None:
    run.bold = span.bold or None
    run.italic = span.italic or None
    run.underline = span.underline or bool(span.link) or None
    run.font.strike = span.strike or None
    if span.code:
        _monospace(run)
    if span.link:
        run.font.color.rgb = RGBColor(0x0B, 0x5C, 0x63)


def _monospace(run: Any) -> None:
    run.font.name = "Courier New"
    run.font.size = Pt(9.5)


def _link(made: Any, address: str) -> Any:
    """A hyperlink element at the paragraph's end, for the runs inside."""
    relation = made.part.relate_to(
        address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True
    )
    link = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), relation)
    made._p.append(link)
    return link


def _shade(properties: Any) -> None:
    shade = OxmlElement("w:shd")
    for name, value in (("val", "clear"), ("color", "auto"), ("fill", "F3F1EC")):
        shade.set(qn(f"w:{name}"), value)
    properties.append(shade)


def _rule_under(made: Any) -> None:
    borders = OxmlElement("w:pBdr")
    line = OxmlElement("w:bottom")
    for name, value in (
        ("val", "single"),
        ("sz", "6"),
        ("space", "1"),
        ("color", "auto"),
    ):
        line.set(qn(f"w:{name}"), value)
    borders.append(line)
    made._p.get_or_add_pPr().append(borders)
