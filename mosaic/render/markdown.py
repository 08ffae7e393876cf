"""Notes as Markdown (CommonMark with GitHub's tables, tasks and strikes).

Text that looks like markup is escaped, HTML included. Underlines have no
Markdown and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mosaic.render.notes import (
    Block,
    Cell,
    CodeBlock,
    ItemList,
    NotePicture,
    Paragraph,
    Quote,
    Rule,
    Span,
    Table,
    plain,
)

_ANYWHERE = re.compile(r"([\\`*_\[\]<>~|&])")
_AT_START = re.compile(r"^(\s*)([#+=-]|\d{1,9}(?=[.)]))", re.MULTILINE)


def to_markdown(blocks: Iterable[Block]) -> str:
    """The whole document; pictures are named by their hash."""
    return "\n\n".join(_lines(blocks)) + "\n"


def _lines(blocks: Iterable[Block]) -> list[str]:
    found = [_block(block) for block in blocks]
    return [one for one in found if one]


def _block(block: Block) -> str:
    match block:
        case Paragraph(spans, 0):
            return _escape_start(_spans(spans).strip())
        case Paragraph(spans, level):
            line = _spans(spans).replace("\\\n", " ").replace("\n", " ").strip()
            return f"{'#' * level} {line}" if line else ""
        case ItemList():
            return _list(block)
        case Quote(blocks):
            return _indented("\n\n".join(_lines(blocks)) or "", "> ", "> ")
        case CodeBlock(words, language):
            fence = "`" * max(3, _longest(words) + 1)
            tag = re.sub(r"[^A-Za-z0-9+#._-]", "", language)
            return f"{fence}{tag}\n{words}\n{fence}"
        case Rule():
            return "---"
        case NotePicture(sha256, alt):
            words = _escape(" ".join(alt.split()) or "picture")
            return f"![{words}](../blobs/{sha256})" if sha256 else f"\\[{words}\\]"
        case Table(rows):
            return _table(rows)


def _list(block: ItemList) -> str:
    lines = []
    for at, item in enumerate(block.items):
        mark = "- " if block.start is None else f"{block.start + at}. "
        box = "" if item.checked is None else "[x] " if item.checked else "[ ] "
        inner = "\n\n".join(_lines(item.blocks))
        if all(isinstance(one, Paragraph | ItemList) for one in item.blocks):
            inner = "\n".join(_lines(item.blocks))
        lines.append(_indented(inner, mark + box, " " * len(mark)))
    return "\n".join(lines)


def _table(rows: tuple[tuple[Cell, ...], ...]) -> str:
    width = max((len(row) for row in rows), default=0)
    if not width:
        return ""
    lines = [
        "| " + " | ".join([*map(_cell, row), *[""] * (width - len(row))]) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    words = " ".join(_lines(cell.blocks))
    return " ".join(words.replace("\\\n", " ").split())


def _indented(words: str, first: str, rest: str) -> str:
    lines = words.split("\n")
    return "\n".join(
        ((first if at == 0 else rest) + line).rstrip()
        if line or at == 0
        else rest.rstrip()
        for at, line in enumerate(lines)
    )


def _spans(spans: Iterable[Span]) -> str:
    return "".join(_span(span) for span in spans)


def _span(span: Span) -> str:
    if span.text == "\n":
        return "\\\n"
    core = span.text.strip()
    if not core:
        return span.text.replace("\n", "\\\n")
    before = span.text[: len(span.text) - len(span.text.lstrip())]
    after = span.text[len(span.text.rstrip()) :]
    if span.code:
        ticks = "`" * (_longest(core) + 1)
        pad = " " if core.startswith("`") or core.endswith("`") else ""
        inner = f"{ticks}{pad}{' '.join(core.splitlines())}{pad}{ticks}"
    else:
        inner = _escape(core).replace("\n", "\\\n")
    for on, mark in ((span.bold, "**"), (span.italic, "*"), (span.strike, "~~")):
        if on:
            inner = f"{mark}{inner}{mark}"
    if span.link:
        target = span.link.replace("(", "%28").replace(")", "%29")
        target = target.replace("<", "%3C").replace(">", "%3E").replace("\\", "%5C")
        inner = f"[{inner}]({target})"
    return before + inner + after


def _escape(words: str) -> str:
    return _ANYWHERE.sub(r"\\\1", words)


def _escape_start(line: str) -> str:
    """What would begin a heading, a list or a rule does not."""
    return _AT_START.sub(
        lambda match: (
            match[1] + (match[2] + "\\" if match[2].isdigit() else "\\" + match[2])
        ),
        line,
    )


def _longest(words: str) -> int:
    """The longest row of backticks."""
    return max((len(row) for row in re.findall("`+", words)), default=0)


def title_of(blocks: Iterable[Block], default: str) -> str:
    """The first heading, for the document's title."""
    for block in blocks:
        if isinstance(block, Paragraph) and block.level and plain(block.spans).strip():
            return " ".join(plain(block.spans).split())[:200]
    return default
