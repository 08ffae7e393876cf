"""Hostile streams, whole: each is refused for less than it costs its sender.

What is counted is work: bytes that reach expat, elements that it tells of, and
bytes that are kept. None of it may grow with what the attacker goes on to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.streams.spare import SpareParsers
from mosaic.wire.xmpp.stream import StreamParser
from tests.support.websocket import TEXT, fragments, frame
from tests.support.xmpp import HEADER, MemoryXmpp, condition, sasl
from tests.support.xmpp_websocket import OPEN, MemorySocket

BEFORE, AFTER = 65_536, 262_144
PIECE = 4096


class Meter:
    """What parsers do and keep while it is on."""

    def __init__(self, case: SynchronousTestCase) -> None:
        self.reset()
        meter = self
        parse, feed, start = (
            StreamParser._parse, StreamParser.feed, StreamParser._started,
        )  # fmt: skip

        def parse_counted(self: StreamParser, complete: bytes) -> None:
            meter.parsed += len(complete)
            parse(self, complete)

        def start_counted(self: StreamParser, name: str, found: Any) -> None:
            meter.elements += 1
            start(self, name, found)

        def feed_counted(self: StreamParser, data: bytes) -> Any:
            events = feed(self, data)
            kept = len(self._gate.held) + len(self._pending)
            meter.kept = max(meter.kept, kept)
            return events

        case.patch(StreamParser, "_parse", parse_counted)
        case.patch(StreamParser, "_started", start_counted)
        case.patch(StreamParser, "feed", feed_counted)

    def reset(self) -> None:
        """Begin to count."""
        self.parsed = self.elements = self.kept = 0


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut."""
    return (data[at : at + size] for at in range(0, len(data), size))


class HostileTests(SynchronousTestCase):
    """Before login, after it, and on WebSockets."""

    def setUp(self) -> None:
        self.meter = Meter(self)
        self.house = MemoryXmpp()

    def refused(self, parts: Iterable[bytes], *, inside: bool = False) -> str:
        """The condition with which a stream is closed, for little."""
        limit = AFTER if inside else BEFORE
        meter = self.meter
        self.house.household.parsers = SpareParsers()
        client = self.house.client("ann") if inside else self.house.connect()
        client.transport.clear()
        meter.reset()
        sent = 0
        for part in parts if inside else chain([HEADER.encode()], parts):
            if not client.open:
                break
            sent += len(part)
            client.protocol.dataReceived(part)
        self.assertFalse(client.open, f"{sent} bytes, and still listening")
        self.assertLessEqual(sent, limit + 100_000)
        self.assertLessEqual(meter.parsed, limit + 100_000)
        self.assertLessEqual(meter.elements, 10_003)
        self.assertLessEqual(meter.kept, limit + 100_000)
        self.assertLess(len(client.transport.value()), 4000)
        return condition(client.receive()[-1])

    def test_what_never_ends(self) -> None:
        """A hundred megabytes of attribute, text, nesting or white space in a
        tag: nobody waits for the end, before login or after."""
        endless = repeat(b"x" * PIECE, 25_000)
        for begin, rest in (
            (b"<m a='", endless),
            (b"<m>", endless),
            (b"<m><a>", repeat(b"&lt;" * 1000, 25_000)),
            (b"<m ", repeat(b" " * PIECE, 25_000)),
            (b"<m><![CDATA[", endless),
            (b"<m>", repeat(b"<a/>" * 1000, 25_000)),
            (b"", repeat(b"<a>" * 1000, 1000)),
            (b"<m ", repeat(b"b='' " * 800, 25_000)),
            (b"<", endless),
            (b"<m a='", repeat(b">" * PIECE, 25_000)),
        ):
            for inside in (False, True):
                found = self.refused(chain([begin], rest), inside=inside)
                self.assertEqual(found, "policy-violation", begin)

    def test_small_pieces(self) -> None:
        """A megabyte of attribute in pieces of a kilobyte, and 64 KiB byte by
        byte: each byte is looked at once."""
        self.refused(pieces(b"<m a='" + b"x" * 1_000_000, 1024))
        client = self.house.connect()
        client.send(HEADER)
        self.meter.reset()
        for byte in pieces(b"<m a='" + b"x" * 20_000 + b"'><b/>", 1):
            client.protocol.dataReceived(byte)
        self.assertLessEqual(self.meter.parsed, 21_000)
        self.assertEqual(self.meter.elements, 2)

    def test_documents_with_more_in_them_than_elements(self) -> None:
        """DTDs with their bombs, comments, processing instructions, entities."""
        laughs = b"<!DOCTYPE l [<!ENTITY a 'ha'>" + b"".join(
            b"<!ENTITY a%d '%b'>" % (n, b"&a;" * 10) for n in range(9)
        )
        for data in (
            laughs,
            b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'>",
            b"<m><!-- " + b"x" * 9000,
            b"<?php ?>",
            b"<m>&nope;</m>",
            b"<m a='&nope;'/>",
            b"<!ENTITY a 'b'>",
        ):
            for inside in (False, True):
                found = self.refused(pieces(data, 700), inside=inside)
                self.assertEqual(found, "restricted-xml", data[:40])

    def test_what_is_no_xml(self) -> None:
        """Bad UTF-8, characters that do not exist, prefixes from nowhere."""
        for data in (
            b"<m>\xff</m>",
            b"<m>\xed\xa0\x80</m>",
            b"<m>\xc0\xaf</m>",
            b"<m>\xf4\x90\x80\x80</m>",
            b"<m>&#0;</m>",
            b"<m>&#xFFFE;</m>",
            b"<m>&#x110000;</m>",
            b"<m>&#xD800;</m>",
            b"<m a='\x01'/>",
            b"<p:m/>",
            b"<m p:a='1'/>",
            b"<m xmlns:xml='urn:x'/>",
            b"<m xmlns:p=''/>",
            b"<m a='1' a='2'/>",
            b"<m xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>",
            b"<m a=1/>",
            b"<m></n>",
            b"<m a='<'/>",
        ):
            for size in (1, 1000):
                for inside in (False, True):
                    found = self.refused(pieces(data, size), inside=inside)
                    self.assertEqual(found, "not-well-formed", data)

    def test_crowds_of_declarations(self) -> None:
        """Namespaces and attributes are counted together."""
        for word in (b"xmlns:a%d='urn:%d'", b"a%d='%d'"):
            data = b" ".join(word % (n, n) for n in range(3000))
            for inside in (False, True):
                found = self.refused([b"<m " + data + b"/>"], inside=inside)
                self.assertEqual(found, "policy-violation")

    def test_new_names_for_ever(self) -> None:
        """expat remembers each name; it does not live long enough to mind."""
        client = self.house.client("ann")
        client.receive()
        for number in range(3000):
            names = "".join(f"<n{number}x{n}x{'y' * 60}/>" for n in range(20))
            client.protocol.dataReceived(
                f"<message to='ann@localhost/x{number}'>{names}</message>".encode()
            )
            client.transport.clear()
        self.assertTrue(client.open)
        for waiting in self.house.household.parsers._spare.values():
            for parser in waiting:
                self.assertLess(parser._fed, 1_100_000)

    def test_streams_cannot_be_opened_for_ever(self) -> None:
        """A header within a stream, and `<open/>` after `<open/>`."""
        self.assertEqual(self.refused([HEADER[21:].encode()] * 70), "policy-violation")
        socket = MemorySocket(self.house)
        answers = socket.send(OPEN, *[OPEN] * 100)
        self.assertEqual([n.name for n in answers][:2], ["open", "features"])
        self.assertEqual(
            [n.name for n in answers][2:], ["error", "close"], "more was said"
        )
        self.assertEqual(condition(answers[2]), "policy-violation")

    def test_tries_of_every_kind_are_few(self) -> None:
        """Aborting or malforming a login is a try as well."""
        for element in (
            sasl("abort", b""),
            sasl("auth", b"n,,n=x", "SCRAM-SHA-256"),
            sasl("auth", b"x", "EXTERNAL"),
            "<abort xmlns='urn:xmpp:sasl:2'/>",
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'/>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
            + "!" * 60_000
            + "</auth>",
        ):
            client = self.house.connect()
            client.send(HEADER)
            answers = client.send(*[element] * 5)
            self.assertEqual(condition(answers[-1]), "policy-violation")
            self.assertEqual(len(answers), 6)

    def test_websocket_messages(self) -> None:
        """Halves, several, and fragments without end: one answer, one end."""
        for number, data in enumerate(
            (
                frame(TEXT, b""),
                frame(TEXT, b"<message xmlns='jabber:client'>"),
                frame(TEXT, b"<presence xmlns='jabber:client'/>" * 2),
                frame(TEXT, b"</w><w>"),
                frame(TEXT, b"<a xmlns='x'><b></a>"),
                b"".join(fragments(TEXT, b"<a>" + b"x" * 300_000, 1000)),
                b"".join(fragments(TEXT, b"x" * 70_000, 1)),
                frame(TEXT, b"<a>\xff</a>"),
            )
        ):
            client = MemorySocket(self.house)
            client.log_in("ann", "web")
            client.receive_raw()
            self.meter.reset()
            for part in pieces(data, 50_000):
                client.frames(part)
            client.receive_raw()
            self.assertEqual(client.open, number == 0, data[:60])
            self.assertLessEqual(self.meter.parsed, AFTER)

    def test_strangers_cannot_wait(self) -> None:
        """Whatever they trickle: ten seconds in all (slow senders)."""
        for trickle in (b" ", b"<", HEADER.encode()[:1], b""):
            client = self.house.connect()
            if trickle == b" ":
                client.protocol.dataReceived(HEADER.encode())
            for _ in range(9):
                client.protocol.dataReceived(trickle)
                self.house.clock.advance(1)
            self.house.clock.advance(1.1)
            self.assertFalse(client.open)
