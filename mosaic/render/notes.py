"""Notes as a tree of plain blocks, read from the editor's shared document.

TipTap keeps its document in a Y.XmlFragment: elements are nodes, attributes of
text are marks. Anybody may have written anything: what is unknown keeps its
text, and depth is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from mosaic.render.values import text

FIELD = "default"
"""The fragment's name; the web client's editor says the same."""
MAX_DEPTH = 40
_LINK = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x20\x7f]+", re.IGNORECASE)
_BLOB = re.compile(r"(?:/api/v1/rooms/[0-9]{9}/blobs/|blob:sha256/)([0-9a-f]{64})")
_MARK_HASH = re.compile(r"--[A-Za-z0-9+/=]{8}$")
"""What y-tiptap adds to the name of a mark that overlaps another of its kind."""


@dataclass(frozen=True, slots=True)
class Span:
    """Text in one style. A line break is the text "\\n"."""

    text: str
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    code: bool = False
    link: str = ""

    @property
    def style(self) -> tuple[object, ...]:
        """Everything but the text."""
        return (
            self.bold,
            self.italic,
            self.underline,
            self.strike,
            self.code,
            self.link,
        )


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph, or a heading of level 1 to 6 (0: none)."""

    spans: tuple[Span, ...]
    level: int = 0


@dataclass(frozen=True, slots=True)
class ListItem:
    """checked: None where there is no box."""

    blocks: tuple[Block, ...]
    checked: bool | None = None


@dataclass(frozen=True, slots=True)
class ItemList:
    """A list. start: the first number; None without numbers."""

    items: tuple[ListItem, ...]
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A quotation."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Lines to be shown as they are."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across."""


@dataclass(frozen=True, slots=True)
class NotePicture:
    """A picture. sha256: of the room's file, "" for one from elsewhere, of
    which only the words are kept."""

    sha256: str
    alt: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Of a table."""

    blocks: tuple[Block, ...]
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; they may differ in length."""

    rows: tuple[tuple[Cell, ...], ...]


Block = Paragraph | ItemList | Quote | CodeBlock | Rule | NotePicture | Table


def read_notes(document: Doc[Any]) -> tuple[Block, ...]:
    """The blocks of a notes document."""
    fragment = document.get(FIELD, type=XmlFragment)
    return tuple(_blocks(fragment, 0))


def safe_link(value: Any) -> str:
    """The address if it is http, https or mail, else ""."""
    found = text(value, limit=4096).strip()
    return found if _LINK.fullmatch(found) else ""


def plain(spans: tuple[Span, ...]) -> str:
    """The words alone."""
    return "".join(span.text for span in spans)


def _blocks(parent: Any, depth: int) -> Iterator[Block]:
    loose: list[Span] = []
    for child in parent.children:
        if isinstance(child, XmlText) or _tag(child) in _INLINE:
            loose += _inline(child, depth)
            continue
        if loose:
            yield Paragraph(_joined(loose))
            loose = []
        if isinstance(child, XmlElement):
            yield from _block(child, depth + 1)
    if loose:
        yield Paragraph(_joined(loose))


_INLINE = {"hardBreak", "mention", "emoji"}


def _block(node: Any, depth: int) -> Iterator[Block]:
    attributes = _attributes(node)
    tag = _tag(node)
    if depth > MAX_DEPTH:
        return
    match tag:
        case "paragraph":
            yield Paragraph(_spans(node, depth))
        case "heading":
            yield Paragraph(_spans(node, depth), _whole(attributes.get("level"), 1, 6))
        case "bulletList" | "orderedList" | "taskList":
            items = tuple(_items(node, depth))
            start = _whole(attributes.get("start"), 1, 99_999)
            yield ItemList(items, start if tag == "orderedList" else None)
        case "blockquote":
            yield Quote(tuple(_blocks(node, depth)))
        case "codeBlock":
            words = plain(_spans(node, depth))
            yield CodeBlock(words, text(attributes.get("language"), limit=40))
        case "horizontalRule":
            yield Rule()
        case "image":
            match = _BLOB.fullmatch(text(attributes.get("src"), limit=400))
            alt = text(attributes.get("alt"), limit=1000)
            yield NotePicture(match[1] if match else "", alt)
        case "table":
            yield Table(tuple(_rows(node, depth)))
        case _:
            yield from _blocks(node, depth)


def _items(node: Any, depth: int) -> Iterator[ListItem]:
    for child in node.children:
        if not isinstance(child, XmlElement):
            continue
        checked = None
        if child.tag == "taskItem":
            checked = _attributes(child).get("checked") in (True, "true")
        yield ListItem(tuple(_blocks(child, depth + 1)), checked)


def _rows(node: Any, depth: int) -> Iterator[tuple[Cell, ...]]:
    for row in node.children:
        if not isinstance(row, XmlElement):
            continue
        cells = [cell for cell in row.children if isinstance(cell, XmlElement)]
        yield tuple(
            Cell(tuple(_blocks(cell, depth + 2)), cell.tag == "tableHeader")
            for cell in cells
        )


def _spans(node: Any, depth: int) -> tuple[Span, ...]:
    found: list[Span] = []
    for child in node.children:
        found += _inline(child, depth)
    return _joined(found)


def _inline(node: Any, depth: int) -> list[Span]:
    if isinstance(node, XmlText):
        return [
            _span(words, marks or {})
            for words, marks in node.diff()
            if isinstance(words, str)
        ]
    if depth > MAX_DEPTH or not isinstance(node, XmlElement):
        return []
    if node.tag == "hardBreak":
        return [Span("\n")]
    if node.tag in {"mention", "emoji"}:
        attributes = _attributes(node)
        return [Span(text(attributes.get("label") or attributes.get("name")))]
    return [span for child in node.children for span in _inline(child, depth + 1)]


def _span(words: str, marks: dict[str, Any]) -> Span:
    named = {_MARK_HASH.sub("", key): value for key, value in marks.items()}
    on = {key for key, value in named.items() if value is not None}
    link = named.get("link")
    return Span(
        text(words),
        bold="bold" in on,
        italic="italic" in on,
        underline="underline" in on,
        strike="strike" in on,
        code="code" in on,
        link=safe_link(link.get("href")) if isinstance(link, dict) else "",
    )


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """Neighbours of one style become one; empty ones go."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].style == span.style:
            found[-1] = replace(span, text=found[-1].text + span.text)
        elif span.text:
            found.append(span)
    return tuple(found)


def _tag(node: Any) -> str:
    tag = getattr(node, "tag", None)
    return tag if isinstance(tag, str) else ""


def _attributes(node: Any) -> dict[str, Any]:
    return dict(node.attributes)


def _whole(value: Any, low: int, high: int) -> int:
    """Whole numbers come as numbers or as text."""
    try:
        return min(max(int(float(value)), low), high)
    except (TypeError, ValueError, OverflowError):
        return low
