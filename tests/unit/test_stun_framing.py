"""Cutting streams into STUN and ChannelData (RFC 8656 section 12.5)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary, integers, lists, one_of
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun.errors import FramingLost
from mosaic.wire.stun.framing import StreamSplitter
from mosaic.wire.stun.message import Class, Method, encode
from mosaic.wire.turn.channel import (
    ChannelNumberError,
    decode_channel_data,
    encode_channel_data,
)

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12))


class StreamTests(SynchronousTestCase):
    """However the bytes are cut, the messages are the same."""

    @given(
        lists(one_of(binary(max_size=40), integers(0x4000, 0x4FFF)), max_size=8),
        lists(integers(1, 50), min_size=1, max_size=20),
    )
    @settings(max_examples=150, deadline=None)
    def test_any_cut_gives_the_same_messages(
        self, wanted: list[bytes | int], cuts: list[int]
    ) -> None:
        """An int stands for STUN, bytes for a ChannelData payload."""
        whole = b""
        expected: list[bytes] = []
        for item in wanted:
            if isinstance(item, int):
                whole, expected = whole + BINDING, [*expected, BINDING]
            else:
                whole += encode_channel_data(0x4001, item, stream=True)
                expected.append(encode_channel_data(0x4001, item, stream=False))
        splitter, got, at = StreamSplitter(), [], 0
        while at < len(whole):
            size = cuts[at % len(cuts)]
            got += splitter.feed(whole[at : at + size])
            at += size
        self.assertEqual(got, expected)

    @given(binary(max_size=300))
    @settings(max_examples=200, deadline=None)
    def test_any_bytes(self, data: bytes) -> None:
        """Messages, or FramingLost and then for ever."""
        splitter = StreamSplitter()
        try:
            splitter.feed(data)
        except FramingLost:
            self.assertRaises(FramingLost, splitter.feed, BINDING)

    def test_http_is_noticed_at_once(self) -> None:
        """A stream that can never become STUN is not waited for."""
        for start in (b"\x16\x03\x01\x02", b"\0\1\0\0HTTP", b"\0\1\0\3", b"\x80\0\0\0"):
            self.assertRaises(FramingLost, StreamSplitter().feed, start)

    def test_text_is_no_request(self) -> None:
        """Letters look like ChannelData by their first bits; the channel is
        never bound, so nothing comes of it."""
        self.assertEqual(StreamSplitter().feed(b"GET / HTTP/1.1\r\n\r\n"), [])

    def test_padding_is_zero_and_not_counted(self) -> None:
        """RFC 8656 section 12.5, both ways."""
        frame = encode_channel_data(0x4000, b"abcde", stream=True)
        self.assertEqual(frame, b"\x40\0\0\5abcde\0\0\0")
        self.assertEqual(StreamSplitter().feed(frame), [frame[:9]])


class ChannelDataTests(SynchronousTestCase):
    """RFC 8656 section 12.4."""

    def test_empty_payload_is_legal(self) -> None:
        """It relays an empty datagram."""
        frame = encode_channel_data(0x4000, b"", stream=False)
        self.assertEqual(decode_channel_data(frame), (0x4000, b""))

    def test_header_counts_not_the_datagram(self) -> None:
        """Padding over UDP is ignored; a promise too long voids the message."""
        self.assertEqual(decode_channel_data(b"\x40\0\0\2abPAD"), (0x4000, b"ab"))
        self.assertIsNone(decode_channel_data(b"\x40\0\0\3ab"))
        self.assertIsNone(decode_channel_data(b"\x40\0\0"))

    def test_channel_out_of_range_is_not_encoded(self) -> None:
        """0x5000-0x7FFF are reserved."""
        for channel in (0x3FFF, 0x5000, 0x7FFF):
            with self.assertRaises(ChannelNumberError):
                encode_channel_data(channel, b"", stream=False)
