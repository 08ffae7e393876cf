"""Notes as one HTML page: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TextIO

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
)
from mosaic.render.pictures import Pictures

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 1rem/1.6 "Source Sans 3", system-ui, sans-serif; color: #1c1a17;
  background: #fff; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
pre, code { font-family: ui-monospace, monospace; background: #f3f1ec; }
pre { padding: .75rem 1rem; overflow-x: auto; }
blockquote { margin-left: 0; padding-left: 1rem; border-left: 3px solid #b9b2a5; }
table { border-collapse: collapse; }
td, th { border: 1px solid #b9b2a5; padding: .25rem .5rem; vertical-align: top; }
img { max-width: 100%; }
ul.tasks { list-style: none; padding-left: 1rem; }
ul.tasks p { margin: 0; display: inline; }
""".strip()


def write_html(
    blocks: Iterable[Block], out: TextIO, *, title: str, pictures: Pictures
) -> None:
    """Write the page. It is well-formed XML as well."""
    out.write('<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml">\n<head>\n')
    out.write('<meta charset="utf-8"/>\n')
    out.write(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>\n')
    out.write('<meta name="viewport" content="width=device-width"/>\n')
    out.write(f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n")
    out.write("</head>\n<body>\n")
    _Writer(out, pictures).blocks(blocks)
    out.write("</body>\n</html>\n")


class _Writer:
    def __init__(self, out: TextIO, pictures: Pictures) -> None:
        self._put = out.write
        self._pictures = pictures

    def blocks(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self._block(block)

    def _block(self, block: Block) -> None:
        put = self._put
        match block:
            case Paragraph(spans, level):
                tag = f"h{level}" if level else "p"
                put(f"<{tag}>{_line(spans)}</{tag}>\n")
            case ItemList():
                self._list(block)
            case Quote(blocks):
                put("<blockquote>\n")
                self.blocks(blocks)
                put("</blockquote>\n")
            case CodeBlock(words, language):
                kind = f' class="language-{escape(language)}"' if language else ""
                put(f"<pre><code{kind}>{escape(words)}</code></pre>\n")
            case Rule():
                put("<hr/>\n")
            case NotePicture():
                self._picture(block)
            case Table(rows):
                put("<table>\n")
                for row in rows:
                    put("<tr>")
                    for cell in row:
                        self._cell(cell)
                    put("</tr>\n")
                put("</table>\n")

    def _list(self, block: ItemList) -> None:
        put = self._put
        tasks = any(item.checked is not None for item in block.items)
        if block.start is None:
            put('<ul class="tasks">\n' if tasks else "<ul>\n")
        else:
            put(f'<ol start="{block.start}">\n' if block.start != 1 else "<ol>\n")
        for item in block.items:
            put("<li>")
            if item.checked is not None:
                state = ' checked="checked"' if item.checked else ""
                put(f'<input type="checkbox" disabled="disabled"{state}/> ')
            self.blocks(item.blocks)
            put("</li>\n")
        put("</ul>\n" if block.start is None else "</ol>\n")

    def _cell(self, cell: Cell) -> None:
        tag = "th" if cell.heading else "td"
        self._put(f"<{tag}>")
        self.blocks(cell.blocks)
        self._put(f"</{tag}>")

    def _picture(self, block: NotePicture) -> None:
        file = self._pictures.get(block.sha256)
        if file is None:
            self._put(f"<p>[{escape(block.alt or 'picture')}]</p>\n")
            return
        self._put('<p><img src="')
        for piece in file.data_uri():
            self._put(piece)
        self._put(f'" alt="{escape(block.alt)}"/></p>\n')


def _line(spans: Iterable[Span]) -> str:
    return "".join(_span(span) for span in spans)


def _span(span: Span) -> str:
    found = escape(span.text).replace("\n", "<br/>")
    for on, tag in (
        (span.code, "code"),
        (span.bold, "strong"),
        (span.italic, "em"),
        (span.underline, "u"),
        (span.strike, "s"),
    ):
        if on:
            found = f"<{tag}>{found}</{tag}>"
    if span.link:
        found = f'<a href="{escape(span.link)}" rel="noreferrer">{found}</a>'
    return found
