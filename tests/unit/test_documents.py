"""Updates and state vectors are walked before the CRDT sees them."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText
from twisted.trial.unittest import SynchronousTestCase

from mosaic.workspace.documents import (
    EMPTY_UPDATE,
    MalformedUpdate,
    UpdateSummary,
    check_state_vector,
    check_update,
    is_document_name,
)
from mosaic.workspace.plain import summarise

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**52), 2**52)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)

operations = st.lists(
    st.tuples(
        st.sampled_from(
            ["text", "format", "embed", "cut", "map", "drop", "array", "nest", "xml"]
        ),
        st.text(min_size=1, max_size=6),
        values,
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=12,
)

damage = st.lists(
    st.tuples(st.integers(0, 65535), st.integers(0, 255)), min_size=1, max_size=4
)


def perform(doc: Doc[Any], steps: list[tuple[str, str, Any, int]]) -> list[bytes]:
    """Edit a document in many ways; the update of each step."""
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    text = doc.get("t", type=Text)
    table = doc.get("m", type=Map)
    row = doc.get("a", type=Array)
    tree = doc.get("x", type=XmlFragment)
    for kind, word, value, at in steps:
        size = len(text.to_py() or "")
        match kind:
            case "text":
                text += word
            case "format" if size:
                text.format(
                    0, first_width(text), {"bold": True, "link": {"href": word}}
                )
            case "embed":
                text.insert_embed(0, {"image": word})
            case "cut" if size:
                del text[0 : first_width(text)]
            case "map":
                table[word] = value
            case "drop" if len(table):
                del table[next(iter(table.keys()))]
            case "array":
                row.insert(min(at, len(row)), value)
            case "nest":
                table[word] = Map({"text": Text(word), "list": Array([word, at])})
            case "xml":
                element = XmlElement("p", {"class": word})
                tree.children.append(element)
                element.children.append(XmlText(word))
    return updates


def first_width(text: Text) -> int:
    """Of what comes first in a text, in the bytes of UTF-8 that pycrdt counts
    by. One that is cut in half gets a block that refers to itself."""
    value = text.diff()[0][0]
    return len(value[0].encode()) if isinstance(value, str) else 1


class RealUpdateTests(SynchronousTestCase):
    """What Yjs writes passes."""

    @settings(max_examples=30, deadline=None)
    @given(operations)
    def test_updates_of_the_crdt_pass(
        self, steps: list[tuple[str, str, Any, int]]
    ) -> None:
        """Single steps and whole documents, and the summary tells the clocks."""
        doc: Doc[Any] = Doc()
        updates = perform(doc, steps)
        clocks: dict[int, int] = {}
        for update in updates:
            summary = check_update(update)
            self.assertTrue(summary.fits(clocks))
            summary.advance(clocks)
        check_update(doc.get_update())
        self.assertEqual(clocks, check_state_vector(doc.get_state()))

    @settings(max_examples=25, deadline=None)
    @given(operations, damage)
    def test_damage_raises_only_malformed(
        self,
        steps: list[tuple[str, str, Any, int]],
        changes: list[tuple[int, int]],
    ) -> None:
        """A changed byte is refused or harmless, never another error."""
        doc: Doc[Any] = Doc(client_id=77)
        perform(doc, steps)
        update = bytearray(doc.get_update())
        for at, byte in changes:
            update[at % len(update)] = byte
        cut = changes[0][0] % len(update)
        for damaged in (bytes(update), bytes(update[:cut])):
            try:
                check_update(damaged)
            except MalformedUpdate:
                continue

    def test_out_of_order_is_noticed(self) -> None:
        """An update whose predecessor is missing does not fit."""
        doc: Doc[Any] = Doc()
        first, second = perform(doc, [("text", "a", None, 0), ("text", "b", None, 0)])
        self.assertFalse(check_update(second).fits({}))
        clocks: dict[int, int] = {}
        check_update(first).advance(clocks)
        self.assertTrue(check_update(second).fits(clocks))

    def test_deletes_of_the_unknown_do_not_fit(self) -> None:
        """A delete set may wait for blocks, as blocks do."""
        doc: Doc[Any] = Doc()
        _, cut = perform(doc, [("text", "ab", None, 0), ("cut", "x", None, 0)])
        self.assertFalse(check_update(cut).fits({}))

    def test_wide_characters_count_twice(self) -> None:
        """Yjs counts text in UTF-16 units."""
        doc: Doc[Any] = Doc()
        (update,) = perform(doc, [("text", "\N{GRINNING FACE}a", None, 0)])
        self.assertEqual(list(check_update(update).ends.values()), [3])

    def test_the_empty_update_is_empty(self) -> None:
        """No blocks and no deletes."""
        self.assertTrue(check_update(EMPTY_UPDATE).is_empty)


class HostileTests(SynchronousTestCase):
    """A few bytes must not cost memory."""

    def refuse_update(self, data: bytes) -> None:
        """It raises MalformedUpdate."""
        self.assertRaises(MalformedUpdate, check_update, data)

    def test_announced_clients_must_be_there(self) -> None:
        """Five bytes cost the CRDT half a gigabyte."""
        hostile = bytes.fromhex("8080808001")
        self.assertRaises(MalformedUpdate, check_state_vector, hostile)
        self.refuse_update(hostile)
        self.refuse_update(bytes.fromhex("fea69968"))

    def test_unknown_contents_are_refused(self) -> None:
        """Moves and anything later would break the browsers."""
        for kind in (11, 12, 31):
            self.refuse_update(bytes((1, 1, 1, 0, kind, 1, 1, 0x61, 0)))

    def test_deep_values_are_refused(self) -> None:
        """Recursion in the CRDT would overflow its stack and end the process."""
        deep = b"\x75\x01" * 100_000 + b"\x7e"
        self.refuse_update(bytes((1, 1, 1, 0, 8, 1, 1, 0x61, 1)) + deep + b"\0")

    def test_clocks_do_not_run_over(self) -> None:
        """The CRDT counts in 32 bits."""
        self.refuse_update(bytes((1, 1, 1, 0, 0)) + b"\xff\xff\xff\xff\x0f\x00")
        block = bytes((1, 2, 1, 0)) + b"\x00\xff\xff\xff\xff\x07" * 2 + b"\0"
        self.refuse_update(block)

    def test_a_block_does_not_refer_to_itself(self) -> None:
        """The CRDT would keep it waiting for ever, and say nothing; whoever
        sent it would be told that it is saved. pycrdt makes such blocks where it
        is asked to cut a character in half."""
        for right in (b"\x02", b"\x03"):
            insert = b"\x01\x01\x07\x02\xc4\x07\x01\x07" + right + b"\x01a\x00"
            self.assertRaises(MalformedUpdate, check_update, insert)
            self.assertRaises(MalformedUpdate, summarise, insert)
        older = b"\x01\x01\x07\x02\xc4\x07\x01\x07\x00\x01a\x00"
        self.assertEqual(check_update(older).needs, {7: 2})
        other = b"\x01\x01\x07\x02\x84\x08\x09\x01a\x00"
        self.assertEqual(check_update(other).needs, {8: 10})

    def test_empty_blocks_are_refused(self) -> None:
        """Yjs writes none but empty texts, and they stop a clock."""
        self.refuse_update(bytes((1, 1, 1, 0, 0, 0, 0)))
        self.refuse_update(bytes((1, 1, 1, 0, 8, 1, 1, 0x61, 0, 0)))

    def test_trailing_bytes_are_refused(self) -> None:
        """An update ends where it ends."""
        self.refuse_update(EMPTY_UPDATE + b"\0")
        self.assertRaises(MalformedUpdate, check_state_vector, b"\0\0")

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=64))
    def test_any_bytes_are_safe(self, data: bytes) -> None:
        """Whatever arrives, the answer is a value or MalformedUpdate."""
        for check in (check_update, check_state_vector):
            try:
                check(data)
            except MalformedUpdate:
                continue

    @settings(max_examples=100, deadline=None)
    @given(st.dictionaries(st.integers(0, 2**53 - 1), st.integers(0, 2**31 - 1)))
    def test_state_vectors_are_read_back(self, clocks: dict[int, int]) -> None:
        """What is written is what is read."""
        data = _var(len(clocks))
        for client, clock in clocks.items():
            data += _var(client) + _var(clock)
        self.assertEqual(check_state_vector(data), clocks)


class NameTests(SynchronousTestCase):
    """Documents have three kinds of names."""

    def test_names(self) -> None:
        """board, room and notes/<slug>; nothing that walks up a path."""
        for good in ("board", "room", "notes/minutes", "notes/2026-11-23.v2"):
            self.assertTrue(is_document_name(good), good)
        for bad in ("", "boards", "notes/", "notes/../x", "notes/.x", "board\n"):
            self.assertFalse(is_document_name(bad), bad)
        self.assertFalse(is_document_name("notes/" + "a" * 65))


def _var(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class SummaryTests(SynchronousTestCase):
    """Clocks only grow."""

    def test_advance_never_lowers(self) -> None:
        """An old update leaves the clocks as they are."""
        clocks = {1: 9}
        UpdateSummary(first={1: 0}, ends={1: 4}).advance(clocks)
        self.assertEqual(clocks, {1: 9})
