"""Restoring: the content is that of then, the history goes on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from mosaic.workspace.documents import EMPTY_UPDATE, check_state_vector, check_update
from mosaic.workspace.restore import contents, restoring_update
from mosaic.workspace.versions import NotRestored

NOW_MS = 1.7e12

words = st.text("aä😀 ", min_size=1, max_size=4)
plain = st.one_of(
    st.booleans(), st.none(), st.floats(0, 9).map(round).map(float), words,
    st.dictionaries(words, st.booleans(), max_size=2),
)  # fmt: skip
marks: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["bold", "italic"]), st.just({}), max_size=2
)
digits = st.integers(0, 9)
steps = st.lists(st.tuples(digits, digits, words, marks, plain), max_size=12)
drawn = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(1, 9), st.integers(0, 3))
)


def numbers() -> Any:
    """Different numbers, as a random source would give."""
    values: Iterator[int] = count(77)
    return lambda: next(values)


def restored(doc: Doc[Any], then: bytes, document: str = "notes/main") -> bytes:
    """Restore a document in place; the update."""
    update = restoring_update(
        doc.get_update(), then, document=document, at_ms=NOW_MS, random=numbers()
    )
    check_update(update)
    doc.apply_update(update)
    return update


def write(doc: Doc[Any], changes: list[Any]) -> None:
    """Some edits to a rich text, a map, a list and a text."""
    page, keyed = doc.get("default", type=XmlFragment), doc.get("m", type=Map)
    listed, text = doc.get("l", type=Array), doc.get("t", type=Text)
    for what, where, word, attributes, value in changes:
        blocks = len(page.children)
        size = len(text)
        match what:
            case 0 | 1:
                name = "paragraph" if where % 2 else "heading"
                block = XmlElement(name, {}, [XmlText(word)])
                page.children.insert(where % (blocks + 1), block)
            case 2 if blocks:
                block = page.children[where % blocks]
                block.children[0].insert(0, word, attributes)
                block.attributes["level"] = value
            case 3 if blocks:
                line = page.children[where % blocks].children[0]
                first = "".join(str(run) for run, _ in line.diff())[:1]
                line.format(0, len(first.encode()), attributes)
            case 4 if blocks:
                del page.children[where % blocks]
            case 5:
                keyed[word] = value
            case 6:
                keyed[word] = Map({"deep": Text(word)})
            case 7:
                listed.insert(where % (len(listed) + 1), value)
            case 8 if len(listed):
                del listed[where % len(listed)]
            case 9:
                text.insert(size if where % 2 else 0, word, attributes)


class RestoreTests(TestCase):
    """Any kind of document."""

    @given(steps, steps)
    def test_the_content_is_that_of_then(self, first: Any, second: Any) -> None:
        """Whatever was written before and after."""
        doc: Doc[Any] = Doc()
        write(doc, first)
        then = doc.get_update()
        write(doc, second)
        restored(doc, then)
        self.assertEqual(contents(doc.get_update()), contents(then))

    @given(steps, steps, steps)
    def test_it_merges_with_what_others_write_meanwhile(
        self, first: Any, second: Any, third: Any
    ) -> None:
        """Both orders of arrival give the same, and nothing breaks."""
        doc: Doc[Any] = Doc()
        write(doc, first)
        then = doc.get_update()
        write(doc, second)
        other: Doc[Any] = Doc()
        other.apply_update(doc.get_update())
        update = restored(doc, then)
        write(other, third)
        theirs = other.get_update()
        other.apply_update(update)
        doc.apply_update(theirs)
        self.assertEqual(contents(doc.get_update()), contents(other.get_update()))
        vectors = [check_state_vector(one.get_state()) for one in (doc, other)]
        self.assertEqual(*vectors)

    @given(steps)
    def test_nothing_to_do_is_no_edit(self, changes: Any) -> None:
        """A second restore of the same changes nothing."""
        doc: Doc[Any] = Doc()
        write(doc, changes)
        self.assertEqual(restored(doc, doc.get_update()), EMPTY_UPDATE)

    def test_what_is_the_same_is_not_touched(self) -> None:
        """Somebody who writes in an unchanged paragraph goes on writing there."""
        doc: Doc[Any] = Doc()
        page = doc.get("default", type=XmlFragment)
        for word in ("one", "two", "three"):
            page.children.append(XmlElement("paragraph", {}, [XmlText(word)]))
        then = doc.get_update()
        other: Doc[Any] = Doc()
        other.apply_update(then)
        del page.children[1]
        other.get("default", type=XmlFragment).children[2].children[0].insert(5, "!")
        restored(doc, then)
        doc.apply_update(other.get_update())
        texts = ["".join(map(str, block.children)) for block in page.children]
        self.assertEqual(texts, ["one", "two", "three!"])

    def test_true_is_not_one(self) -> None:
        """Python takes them for equal; a page does not."""
        doc: Doc[Any] = Doc()
        keyed = doc.get("m", type=Map)
        keyed["x"] = True
        then = doc.get_update()
        keyed["x"] = 1.0
        restored(doc, then)
        self.assertIs(keyed["x"], True)

    def test_an_empty_state_empties_the_document(self) -> None:
        """Also that of a document before its first edit."""
        doc: Doc[Any] = Doc()
        write(doc, [(0, 0, "x", {}, None), (9, 0, "y", {}, None)])
        restored(doc, b"")
        self.assertEqual(contents(doc.get_update()), {})

    def test_what_cannot_be_compared_is_refused(self) -> None:
        """A root that was used as something else; text where pycrdt would hang."""
        doc: Doc[Any] = Doc()
        doc.get("x", type=Map)["a"] = 1.0
        other: Doc[Any] = Doc()
        other.get("x", type=Text).insert(0, "text")
        with self.assertRaises(NotRestored):
            restored(doc, other.get_update())
        doc.get("m", type=Map)["list"] = Array(["a"])
        doc.get("t", type=Text).insert(0, "ä")
        with self.assertRaises(NotRestored):
            restored(doc, doc.get_update())

    def test_a_list_inside_a_map(self) -> None:
        """Where all text is plain it is compared."""
        doc: Doc[Any] = Doc()
        keyed = doc.get("m", type=Map)
        keyed["list"] = Array(["a", Map({"b": 1.0})])
        then = doc.get_update()
        keyed["list"].insert(1, "new")
        keyed["list"][2]["b"] = 2.0
        restored(doc, then)
        self.assertEqual(contents(doc.get_update()), contents(then))


def element(version: int, **more: Any) -> dict[str, Any]:
    """A drawn element."""
    base = {"id": "a", "type": "rectangle", "isDeleted": False, "x": 1.0}
    stamps = {"version": float(version), "versionNonce": 5.0, "updated": 7.0}
    return {**base, **stamps, **more}


def shown(doc: Doc[Any]) -> dict[str, Any]:
    """What the board shows, without stamps."""
    stamps = {"version", "versionNonce", "updated"}
    return {
        key: {k: v for k, v in one.items() if k not in stamps}
        for key, one in doc.get("elements", type=Map).to_py().items()
        if not one["isDeleted"]
    }


class BoardTests(TestCase):
    """Elements: the newer stamp wins on every page."""

    def setUp(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.elements = self.doc.get("elements", type=Map)

    def test_restored_elements_are_newer_than_what_pages_show(self) -> None:
        """A page with version 9 must take the restored one."""
        self.elements["a"] = element(3)
        then = self.doc.get_update()
        self.elements["a"] = element(9, x=50.0)
        restored(self.doc, then, "board")
        self.assertEqual(self.elements["a"]["x"], 1.0)
        self.assertEqual(self.elements["a"]["version"], 10.0)
        self.assertEqual(self.elements["a"]["updated"], NOW_MS)

    def test_what_was_not_there_yet_is_deleted_as_a_person_would(self) -> None:
        """Marked, so that a page which has it unsaved drops it."""
        then = self.doc.get_update()
        self.elements["a"] = element(2)
        restored(self.doc, then, "board")
        self.assertTrue(self.elements["a"]["isDeleted"])
        self.assertEqual(self.elements["a"]["version"], 3.0)

    def test_what_was_deleted_or_pruned_comes_back(self) -> None:
        """As it was drawn then."""
        self.elements["a"], self.elements["b"] = element(1), element(1, id="b")
        then = self.doc.get_update()
        self.elements["a"] = element(2, isDeleted=True)
        del self.elements["b"]
        restored(self.doc, then, "board")
        self.assertEqual(sorted(shown(self.doc)), ["a", "b"])

    def test_stamps_alone_are_no_change(self) -> None:
        """Moved away and back is where it was."""
        self.elements["a"] = element(1)
        then = self.doc.get_update()
        self.elements["a"] = element(3)
        self.assertEqual(restored(self.doc, then, "board"), EMPTY_UPDATE)

    @given(drawn, drawn)
    def test_the_board_shows_what_it_showed(self, first: Any, second: Any) -> None:
        """Whatever happened to its elements; 0 stands for a deleted one."""
        doc: Doc[Any] = Doc()
        elements = doc.get("elements", type=Map)
        for key, (version, x) in first.items():
            elements[key] = element(version, id=key, x=float(x), isDeleted=x == 0)
        then, wanted = doc.get_update(), shown(doc)
        for key, (version, x) in second.items():
            elements[key] = element(version, id=key, x=float(x), isDeleted=x == 0)
        restored(doc, then, "board")
        self.assertEqual(shown(doc), wanted)
