"""Notes as HTML, Markdown and Word: structure, and text that stays text."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docx import Document
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map
from twisted.trial.unittest import SynchronousTestCase

from mosaic.render.docx import write_docx
from mosaic.render.html import write_html
from mosaic.render.markdown import title_of, to_markdown
from mosaic.render.notes import (
    Block,
    ItemList,
    Paragraph,
    plain,
    read_notes,
    safe_link,
)
from mosaic.render.pictures import Pictures
from tests.support.rooms import Node, notes_of, paragraph, png

SHA256 = "cd" * 32
XHTML = "{http://www.w3.org/1999/xhtml}"
LINK = {"href": "https://example.org/?a=1&b=2"}

MARKS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["bold", "italic", "underline", "strike", "code"]),
    st.just({}),
    max_size=3,
)
WORDS = st.text(max_size=30)
LINE: st.SearchStrategy[Any] = st.builds(
    lambda words, marks: ("paragraph", {}, [(words, marks)]), WORDS, MARKS
)
TREE: st.SearchStrategy[Any] = st.recursive(
    LINE
    | st.builds(lambda words: ("codeBlock", {}, [(words, {})]), WORDS)
    | st.builds(lambda words: ("strange", {"on": words}, [(words, {})]), WORDS)
    | st.just(("horizontalRule", {}, [])),
    lambda inner: st.builds(
        lambda tag, nodes: (tag, {"checked": True, "start": "4"}, nodes),
        st.sampled_from(
            ["bulletList", "orderedList", "listItem", "taskList", "taskItem",
             "blockquote", "table", "tableRow", "tableCell", "tableHeader", "odd"]
        ),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)  # fmt: skip


def a_list(tag: str, *items: list[Node], **attributes: Any) -> Node:
    """A list of items, each made of blocks."""
    item = "taskItem" if tag == "taskList" else "listItem"
    return tag, attributes, [(item, {}, blocks) for blocks in items]


WHOLE: list[Node] = [
    ("heading", {"level": 1}, [("Plan <of> today", {})]),
    (
        "paragraph",
        {},
        [
            ("plain ", {}),
            ("bold", {"bold": {}}),
            (" ", {}),
            ("both", {"italic": {}, "strike": {}}),
            (" ", {}),
            ("under", {"underline": {}}),
            (" ", {}),
            ("x = 1", {"code": {}}),
            (" ", {}),
            ("a link", {"link": LINK}),
        ],
    ),
    a_list(
        "bulletList",
        [paragraph("one"), a_list("orderedList", [paragraph("deep")], start=3)],
        [paragraph("two")],
    ),
    a_list("orderedList", [paragraph("first")], [paragraph("second")]),
    ("taskList", {}, [("taskItem", {"checked": True}, [paragraph("done")])]),
    ("blockquote", {}, [paragraph("quoted")]),
    ("codeBlock", {"language": "python"}, [("if a < b:\n    pass", {})]),
    ("horizontalRule", {}, []),
    (
        "table",
        {},
        [
            (
                "tableRow",
                {},
                [
                    ("tableHeader", {}, [paragraph("Who")]),
                    ("tableHeader", {}, [paragraph("What")]),
                ],
            ),
            ("tableRow", {}, [("tableCell", {}, [paragraph("Ada | Bo")])]),
        ],
    ),
    ("image", {"src": f"/api/v1/rooms/100000009/blobs/{SHA256}", "alt": "ours"}, []),
    ("image", {"src": "https://evil.example/x.png", "alt": "theirs"}, []),
]


class NotesCase(SynchronousTestCase):
    """The three formats of some nodes."""

    def setUp(self) -> None:
        """One picture of the room."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "picture").write_bytes(png())

    def blocks(self, nodes: list[Node]) -> tuple[Block, ...]:
        return read_notes(notes_of(nodes))

    def pictures(self) -> Pictures:
        return Pictures({SHA256: self.folder / "picture"}, budget_bytes=10**6)

    def html(self, nodes: list[Node]) -> tuple[str, ElementTree.Element]:
        """The page, and as an XML parser has it."""
        out = io.StringIO()
        write_html(self.blocks(nodes), out, title="A <room>", pictures=self.pictures())
        text = out.getvalue()
        return text, ElementTree.fromstring(text.replace("<!DOCTYPE html>", ""))

    def word(self, nodes: list[Node]) -> Any:
        """The document, read back."""
        path = self.folder / "notes.docx"
        write_docx(
            self.blocks(nodes), str(path), title="A <room>", pictures=self.pictures()
        )
        return Document(str(path))


class StructureTests(NotesCase):
    """What a reader finds."""

    def test_html(self) -> None:
        """Elements of HTML for everything."""
        _, root = self.html(WHOLE)
        body = root.find(f"{XHTML}body")
        assert body is not None
        tags = [node.tag.removeprefix(XHTML) for node in body]
        self.assertEqual(
            tags,
            ["h1", "p", "ul", "ol", "ul", "blockquote", "pre", "hr", "table", "p", "p"],
        )
        for tag, words in (
            ("strong", "bold"), ("s", "both"), ("u", "under"), ("code", "x = 1"),
            ("a", "a link"), ("th", "Who"),
        ):  # fmt: skip
            found = [
                "".join(node.itertext()).strip() for node in root.iter(XHTML + tag)
            ]
            self.assertIn(words, found)
        self.assertEqual(
            [node.get("href") for node in root.iter(XHTML + "a")], [LINK["href"]]
        )
        nested = body.find(f"{XHTML}ul/{XHTML}li/{XHTML}ol")
        assert nested is not None
        self.assertEqual(nested.get("start"), "3")
        box = body.find(f".//{XHTML}input")
        assert box is not None
        self.assertEqual(box.get("checked"), "checked")

    def test_pictures_of_the_room_alone(self) -> None:
        """Ours is inside; of another only the words are kept."""
        text, root = self.html(WHOLE)
        sources = [node.get("src", "") for node in root.iter(XHTML + "img")]
        self.assertEqual([one[:21] for one in sources], ["data:image/png;base64"])
        self.assertNotIn("evil.example", text)
        self.assertIn("[theirs]", text)

    def test_markdown(self) -> None:
        """As a person would write it."""
        found = to_markdown(self.blocks(WHOLE))
        self.assertEqual(
            found,
            "# Plan \\<of\\> today\n\n"
            "plain **bold** ~~*both*~~ under `x = 1`"
            " [a link](https://example.org/?a=1&b=2)\n\n"
            "- one\n  3. deep\n- two\n\n"
            "1. first\n2. second\n\n"
            "- [x] done\n\n"
            "> quoted\n\n"
            "```python\nif a < b:\n    pass\n```\n\n"
            "---\n\n"
            "| Who | What |\n| --- | --- |\n| Ada \\| Bo |  |\n\n"
            f"![ours](../blobs/{SHA256})\n\n"
            "\\[theirs\\]\n",
        )

    def test_word(self) -> None:
        """Styles that Word knows, text in its runs, one picture, one table."""
        document = self.word(WHOLE)
        found = [(p.style.name, p.text) for p in document.paragraphs if p.text]
        for expected in (
            ("Heading 1", "Plan <of> today"),
            ("Normal", "plain bold both under x = 1 a link"),
            ("List Bullet", "one"),
            ("List Number 2", "deep"),
            ("List Number", "second"),
            ("List Bullet", "☒ done"),
            ("Quote", "quoted"),
            ("No Spacing", "if a < b:\n    pass"),
        ):
            self.assertIn(expected, found)
        runs = {run.text: run for p in document.paragraphs for run in p.runs}
        self.assertTrue(runs["bold"].bold)
        self.assertTrue(runs["both"].italic and runs["both"].font.strike)
        self.assertEqual(len(document.inline_shapes), 1)
        cells = [[c.text for c in row.cells] for row in document.tables[0].rows]
        self.assertEqual(cells, [["Who", "What"], ["Ada | Bo", ""]])
        targets = [
            one.target_ref
            for one in document.part.rels.values()
            if "hyperlink" in one.reltype
        ]
        self.assertEqual(targets, [LINK["href"]])

    def test_each_numbered_list_begins_anew(self) -> None:
        """Two lists are two numberings."""
        twice = [a_list("orderedList", [paragraph("a")]), paragraph("x")] * 2
        document = self.word(twice)
        numbers = {
            p._p.pPr.numPr.numId.val
            for p in document.paragraphs
            if p.style.name == "List Number"
        }
        self.assertEqual(len(numbers), 2)

    def test_titles(self) -> None:
        """The first heading, else what was given."""
        self.assertEqual(title_of(self.blocks(WHOLE), "room"), "Plan <of> today")
        self.assertEqual(title_of(self.blocks([paragraph("x")]), "room"), "room")


class HostileTests(NotesCase):
    """Anybody may write anything into the document."""

    def test_links(self) -> None:
        """http, https and mail; nothing that runs."""
        for good in ("https://a.example/", "HTTP://A", "mailto:a@b.example"):
            self.assertEqual(safe_link(good), good)
        hostile: tuple[Any, ...] = (
            "javascript:alert(1)", "data:text/html,x", "vbscript:x", "//a", "file:///",
            "https://a b", "java\nscript:alert(1)", "\x01https://a", "", None, 7, {},
        )  # fmt: skip
        for bad in hostile:
            self.assertEqual(safe_link(bad), "", bad)

    def test_overlapping_marks_have_names_with_a_hash(self) -> None:
        """As y-tiptap writes them."""
        blocks = self.blocks([paragraph("x", **{"link--AbCdEf12": LINK})])
        assert isinstance(blocks[0], Paragraph)
        self.assertEqual(blocks[0].spans[0].link, LINK["href"])

    @settings(max_examples=50, deadline=None)
    @given(st.lists(TREE, max_size=4))
    def test_any_tree_has_its_words_in_every_format(self, nodes: list[Node]) -> None:
        """Well-formed, readable, and nothing becomes markup."""
        text, root = self.html(nodes)
        tags = {node.tag.removeprefix(XHTML) for node in root.iter()}
        self.assertLessEqual(
            tags,
            {"html", "head", "meta", "title", "style", "body", "p", "ul", "ol", "li",
             "input", "blockquote", "pre", "code", "hr", "table", "tr", "td", "th",
             "strong", "em", "u", "s", "br"},
        )  # fmt: skip
        del text
        to_markdown(self.blocks(nodes))
        self.word(nodes)

    @settings(max_examples=80, deadline=None)
    @given(st.text(alphabet="<>&\"'`*_#[]()!|\\-+=~ab\n 1.", max_size=60))
    def test_words_come_back_from_html(self, words: str) -> None:
        """The parser sees the same text."""
        _, root = self.html([("codeBlock", {}, [(words, {})])])
        found = root.find(f".//{XHTML}code")
        assert found is not None or not words
        if found is not None:
            self.assertEqual("".join(found.itertext()), words)

    def test_markdown_escapes_markup(self) -> None:
        """HTML, headings, lists and rules are words."""
        for words, found in (
            ("<script>", "\\<script\\>"),
            ("# no", "\\# no"),
            ("1. no", "1\\. no"),
            ("- no", "\\- no"),
            ("*no*", "\\*no\\*"),
            ("![x](y)", "!\\[x\\](y)"),
        ):
            self.assertEqual(to_markdown(self.blocks([paragraph(words)])), found + "\n")

    def test_depth_is_bounded(self) -> None:
        """A list in a list in a list, a thousand times."""
        node = paragraph("deep")
        for _ in range(300):
            node = a_list("bulletList", [node])
        blocks = self.blocks([node])
        self.html([node])
        self.word([node])
        depth = 0
        while blocks and isinstance(blocks[0], ItemList):
            blocks = blocks[0].items[0].blocks if blocks[0].items else ()
            depth += 1
        self.assertLess(depth, 50)

    def test_another_type_under_the_fragments_name(self) -> None:
        """A map where notes should be is no notes, and no crash here."""
        document: Doc[Any] = Doc()
        document.get("default", type=Map)["x"] = 1
        other: Doc[Any] = Doc()
        other.apply_update(document.get_update())
        self.assertEqual(read_notes(other), ())

    def test_plain_words(self) -> None:
        """For titles."""
        blocks = self.blocks([paragraph("a", bold={})])
        assert isinstance(blocks[0], Paragraph)
        self.assertEqual(plain(blocks[0].spans), "a")
