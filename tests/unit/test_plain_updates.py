"""The short way through an update, with the full walk as the oracle."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.drcp.lib0 import var_uint
from mosaic.workspace.documents import MalformedUpdate, check_update
from mosaic.workspace.plain import PlainSummary, plain, summarise

clients = st.sampled_from([1, 2, 300, 2**32 - 5, 2**53 - 1, 2**53])
clocks = st.sampled_from([0, 1, 2, 15, 16, 127, 128, 200, 20_000, 2**28 - 1, 2**28])
ids = st.tuples(clients, clocks).map(lambda i: var_uint(i[0]) + var_uint(i[1]))
texts = st.text(st.characters(max_codepoint=200), max_size=20) | st.just("x" * 130)
inserts = st.builds(
    lambda own, info, left, right, text, end: (
        b"\x01\x01" + own + bytes((info,)) + left + right
        + var_uint(len(text.encode())) + text.encode() + end
    ),
    ids,
    st.sampled_from([0x84, 0xC4, 0x44, 0x04]),
    ids,
    ids | st.just(b""),
    texts,
    st.sampled_from([b"\0", b"", b"\0\0", b"\1"]),
)  # fmt: skip
deletes = st.builds(
    lambda client, clock, size: (
        b"\0\1" + var_uint(client) + b"\1" + var_uint(clock) + var_uint(size)
    ),
    clients,
    clocks,
    clocks,
)
longer = st.sampled_from([b"\x81\x00", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x00"])
spoilt = st.builds(
    lambda update, at, piece: update[:at] + piece + update[at:],
    inserts | deletes,
    st.integers(0, 20),
    longer | st.binary(max_size=3),
)


class OracleTests(SynchronousTestCase):
    """Whatever the short way takes, the full walk takes, and means the same."""

    @settings(max_examples=1000, deadline=None)
    @given(
        inserts | deletes | spoilt | st.binary(max_size=30),
        st.dictionaries(clients, clocks | st.integers(0, 300)),
    )
    @example(b"\x01\x01\x01\x10\x84\x01\x10\x01x\x00", {1: 16})
    def test_the_same_verdict(self, update: bytes, known: dict[int, int]) -> None:
        """Fits the same documents, and leaves the same clocks."""
        short = plain(update)
        if short is None:
            return
        full = check_update(update)  # raises nothing
        self.assertFalse(full.is_empty)
        self.assertEqual(list(short.writers), list(full.writers))
        self.assertEqual(short.fits(known), full.fits(known))
        after_short, after_full = dict(known), dict(known)
        short.advance(after_short)
        full.advance(after_full)
        self.assertEqual(after_short, after_full)

    @given(st.binary(max_size=60))
    def test_any_bytes_are_safe(self, update: bytes) -> None:
        """A summary, or MalformedUpdate."""
        try:
            summarise(update)
        except MalformedUpdate:
            pass

    def test_typing_and_deleting_are_plain(self) -> None:
        """What one person does all day takes the short way."""
        doc: Doc[Any] = Doc()
        updates: list[bytes] = []
        doc.observe(lambda event: updates.append(event.update))
        text = doc.get("t", type=Text)
        for number in range(300):
            text.insert(number, "x")
        text.insert(100, "middle")
        del text[50]
        kinds = [type(summarise(update)) for update in updates[1:]]
        self.assertEqual(set(kinds), {PlainSummary})
