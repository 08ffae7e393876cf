"""DRCP's wire: numbers, frames, sessions; vectors shared with other clients."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.drcp import client, hocuspocus, ywebsocket
from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.framing import websocket_frame
from mosaic.wire.drcp.lib0 import (
    MAX_VAR_UINT,
    ProtocolError,
    Reader,
    var_bytes,
    var_string,
    var_uint,
)
from mosaic.wire.drcp.native import Session, json_message
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    decode_all,
    decode_awareness,
    decode_one,
    encode_awareness,
    encode_sync,
)


def greeted() -> Session:
    """A session after hello, with channel 1 open."""
    session = Session()
    session.receive(client.hello("t", client="test"))
    session.receive(client.open_document(1, "board"))
    return session


class Lib0Tests(SynchronousTestCase):
    """Numbers, bytes and strings as lib0 writes them."""

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, MAX_VAR_UINT), st.binary(max_size=300), st.text())
    def test_round_trip(self, number: int, data: bytes, text: str) -> None:
        """What is written is read."""
        text = text.encode(errors="replace").decode()
        reader = Reader(var_uint(number) + var_bytes(data) + var_string(text))
        self.assertEqual(
            (reader.var_uint(), reader.bytes(), reader.string()), (number, data, text)
        )
        self.assertEqual(reader.left, 0)

    def test_numbers_are_bounded(self) -> None:
        """53 bits, as in JavaScript."""
        for hostile in (b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\xff\xff\xff\x7f"):
            self.assertRaises(ProtocolError, Reader(hostile).var_uint)
        self.assertRaises(ProtocolError, Reader(b"\x80").var_uint)

    def test_announced_bytes_must_be_there(self) -> None:
        """No memory is reserved for what is announced."""
        self.assertRaises(ProtocolError, Reader(b"\xff\xff\xff\x7fx").bytes)

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(
            st.builds(
                AwarenessEntry,
                st.integers(0, 2**53 - 1),
                st.integers(0, 2**31),
                st.text(st.characters(codec="utf-8"), max_size=20),
            ),
            max_size=5,
        )
    )
    def test_awareness_round_trip(self, entries: list[AwarenessEntry]) -> None:
        """What is written is read."""
        self.assertEqual(decode_awareness(encode_awareness(entries)), entries)

    @given(
        st.builds(
            lambda client, clock, text, more: (
                b"\x01" + var_uint(client) + var_uint(clock) + var_bytes(text) + more
            ),
            st.integers(0, 2**36),
            st.integers(0, 2**30),
            st.binary(max_size=140) | st.text(max_size=40).map(str.encode),
            st.just(b"") | st.binary(max_size=2),
        )
        | st.binary(max_size=30)
    )
    def test_the_short_way_reads_the_same(self, data: bytes) -> None:
        """What decode_one takes, decode_all takes, and finds the same in it."""
        one = decode_one(data)
        if one is not None:
            self.assertEqual([one], decode_all(data))

    def test_websocket_headers(self) -> None:
        """Three forms of length (RFC 6455 section 5.2)."""
        self.assertEqual(websocket_frame(b"x" * 125)[:2], b"\x82\x7d")
        self.assertEqual(websocket_frame(b"x" * 126)[:4], b"\x82\x7e\x00\x7e")
        long = websocket_frame(b"x" * 65536)
        self.assertEqual(long[:10], b"\x82\x7f" + (65536).to_bytes(8, "big"))


class NativeSessionTests(SynchronousTestCase):
    """Frames in, events out."""

    def test_hello_comes_first(self) -> None:
        """4401 for anything else."""
        (violation,) = Session().receive(client.ping())
        self.assertEqual(violation, ev.Violation(4401, "hello must come first"))

    def test_several_messages_in_a_frame(self) -> None:
        """In their order."""
        session = greeted()
        frame = client.ping() + client.sync(1, Step.UPDATE, b"\0\0") + client.ping(1)
        kinds = [type(event) for event in session.receive(frame)]
        self.assertEqual(kinds, [ev.Ping, ev.Update, ev.Ping])

    def test_unknown_types(self) -> None:
        """From 64 they are skipped, below they are an error."""
        session = greeted()
        frame = client.unknown(0, 200, b"x") + client.unknown(1, 99, b"") * 2
        self.assertEqual(session.receive(frame), [])
        (violation,) = session.receive(bytes((1, 40)))
        assert isinstance(violation, ev.Violation)
        self.assertEqual((violation.code, violation.channel), (4400, None))
        self.assertEqual(session.receive(client.ping()), [])

    def test_closed_channels(self) -> None:
        """A message for one is an error on the channel alone."""
        session = greeted()
        session.receive(client.close_channel(1))
        (violation,) = session.receive(client.sync(1, Step.UPDATE, b"\0\0"))
        assert isinstance(violation, ev.Violation)
        self.assertEqual((violation.code, violation.channel), (4404, 1))

    def test_a_channel_closed_as_hocuspocus_does_it(self) -> None:
        """It may be opened again."""
        session = greeted()
        session.receive(b"\x01\x07\x00")
        (event,) = session.receive(client.open_document(1, "board"))
        self.assertIsInstance(event, ev.Open)

    def test_channels_are_limited(self) -> None:
        """In number and in value."""
        session = Session(max_channels=1)
        session.receive(client.hello("t", client="test"))
        session.receive(client.open_document(1, "board"))
        (violation,) = session.receive(client.open_document(2, "room"))
        assert isinstance(violation, ev.Violation)
        self.assertEqual(violation.code, 4429)
        (violation,) = session.receive(client.open_document(256, "room"))
        assert isinstance(violation, ev.Violation)
        self.assertIsNone(violation.channel)

    def test_json_must_be_an_object(self) -> None:
        """Anything else is 4400."""
        values: list[Any] = [[], "x", 1, {"type": 3}]
        for value in values:
            (violation,) = greeted().receive(json_message(0, Type.EVENT, value))
            assert isinstance(violation, ev.Violation)
            self.assertEqual(violation.code, 4400)

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=80))
    def test_any_bytes_are_safe(self, frame: bytes) -> None:
        """Every door: events or a violation, never an exception."""
        Session().receive(frame)
        greeted().receive(frame)
        hocuspocus.HocuspocusSession().receive(frame)
        ywebsocket.YWebsocketSession().receive(frame)
        try:
            client.read_frame(frame)
        except ProtocolError:
            return

    @settings(max_examples=50, deadline=None)
    @given(st.integers(0, 40), st.integers(0, 255))
    def test_damaged_frames_are_safe(self, at: int, byte: int) -> None:
        """A changed byte is a violation or another message."""
        frame = bytearray(
            client.event("chat", {"text": "x"}) + client.sync(1, Step.UPDATE, b"\0\0")
        )
        frame[at % len(frame)] = byte
        for event in greeted().receive(bytes(frame)):
            self.assertIsInstance(event, ev.Event)


class CompatTests(SynchronousTestCase):
    """The framings of stock clients."""

    def test_hocuspocus_addresses(self) -> None:
        """With and without a session."""
        self.assertEqual(hocuspocus.split_address("1/notes/a"), ("1", "notes/a"))
        self.assertEqual(hocuspocus.split_address("1/board\0x1"), ("1", "board"))
        self.assertRaises(ProtocolError, hocuspocus.split_address, "board")

    def test_hocuspocus_token(self) -> None:
        """Provider 4 adds its version behind the token."""
        frame = hocuspocus.token_message("1/board", "t") + var_string("4.8.0")
        (event,) = hocuspocus.HocuspocusSession().receive(frame)
        self.assertEqual(event, ev.Authenticate("1/board", "t"))

    def test_hocuspocus_pings(self) -> None:
        """A single byte is of the connection."""
        session = hocuspocus.HocuspocusSession()
        self.assertEqual(session.receive(b"\x09"), [ev.Ping(None)])
        self.assertEqual(session.receive(b"\x0a"), [])
        (event,) = session.receive(var_string("1/board") + b"\x09")
        self.assertEqual(event, ev.Ping("1/board"))

    def test_hocuspocus_acknowledges_each_update(self) -> None:
        """The provider counts them one by one."""
        payloads = hocuspocus.HocuspocusFraming().status("a", True, 3)
        self.assertEqual(payloads, [b"\x01a\x08\x01"] * 3)

    def test_y_websocket_reads_one_message_a_frame(self) -> None:
        """Update and awareness go in two frames."""
        entry = AwarenessEntry(7, 1, "{}")
        payloads = ywebsocket.YWebsocketFraming().batch("", b"\0\0", [entry])
        self.assertEqual([payload[0] for payload in payloads], [0, 1])
        session = ywebsocket.YWebsocketSession()
        (event,) = session.receive(encode_sync(Step.ANSWER, b"\0\0"))
        self.assertEqual(event, ev.Update("", b"\0\0", True))
        (event,) = session.receive(b"\x03")
        self.assertEqual(event, ev.QueryAwareness(""))
