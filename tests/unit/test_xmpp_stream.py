"""Cutting stanzas from bytes: any slicing, any bytes, and the known bombs."""

from __future__ import annotations

import time
from dataclasses import replace
from unittest import mock
from xml.parsers import expat

from hypothesis import given, settings
from hypothesis.strategies import binary, integers, lists, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp import stream
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import (
    Event,
    StreamEnd,
    StreamFault,
    StreamParser,
    StreamStart,
)
from mosaic.wire.xmpp.xml import Node, Xml, element, read_leaf, read_node

HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams' to='h' version='1.0' "
    b"xml:lang='en'>"
)
PIECES = (
    b"<presence/>",
    b"<presence></presence>",
    b" \n",
    b"<message to='a@h' from='liar@h'><body>x/></body></message>",
    b"<message>x/></message>",
    "<message><body>žluť 🐎 &lt;&#65;</body></message>".encode(),
    b"<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
    b"<message a='>' b=\"it's\"><![CDATA[ </message> ]]></message >",
    b"<iq\n id = 'x'\t><q xmlns:p='u' p:a='1'><p:z/></q></iq\n>",
    b"</stream:stream>",
    b"<!-- no -->",
    b"<x:y/>",
    b"<message></iq>",
    b"<?pi?>",
    b"loose",
    b"<message><body>&bomb;</body></message>",
)

SHREDS = (
    *PIECES, b"<", b">", b"'", b'"', b"<!", b"<![CDATA[", b"]]>", b"&", b"&lt;",
    b"<?xml ", b"?>", b"/", b"=", b" ", b"\xff", b"xmlns='u'", b"<message>",
)  # fmt: skip


def parse(data: bytes, *, size: int | None = None, limit: int = 65536) -> list[Event]:
    """All events, fed in pieces of some size (all at once by default)."""
    parser = StreamParser(max_stanza_bytes=limit)
    step = size or max(1, len(data))
    return [
        event
        for start in range(0, len(data), step)
        for event in parser.feed(data[start : start + step])
    ]


def untold(events: list[Event]) -> list[Event]:
    """Without the words for people: of two faults in one tag either is told."""
    return [replace(e, text="") if isinstance(e, StreamFault) else e for e in events]


def only_stanza(raw: bytes, header: bytes = HEADER) -> Stanza:
    """The one stanza of a stream."""
    start, stanza = parse(header + raw)
    assert isinstance(start, StreamStart)
    assert isinstance(stanza, Stanza)
    return stanza


class SlicingTests(SynchronousTestCase):
    """What comes out for what comes in."""

    def test_header_tells_its_attributes(self) -> None:
        """`to`, version and language are for the caller to judge."""
        self.assertEqual(
            parse(HEADER),
            [StreamStart(attributes={"to": "h", "version": "1.0"}, lang="en")],
        )

    def test_stanza_is_its_own_bytes(self) -> None:
        """Not one byte is rebuilt."""
        for raw in PIECES[:2] + PIECES[3:9]:
            self.assertEqual(only_stanza(raw).raw, raw)

    def test_stanza_start_is_parsed(self) -> None:
        """Routing needs the start tag and the first child's name only."""
        stanza = only_stanza(
            b"<iq type='get' id='&lt;1' to='h'><a xmlns='u'/><b/></iq>"
        )
        self.assertEqual((stanza.name, stanza.ns), ("iq", "jabber:client"))
        self.assertEqual((stanza.type, stanza.id, stanza.to), ("get", "<1", "h"))
        self.assertEqual(stanza.payload, ("u", "a"))
        self.assertTrue(stanza.is_stanza)
        self.assertFalse(only_stanza(b"<iq xmlns='other'/>").is_stanza)

    def test_another_parser_goes_on(self) -> None:
        """Between two stanzas, with nothing but the header."""
        stanza = b"<message to='a@b'><body>x</body></message>"
        for header in (HEADER, HEADER.replace(b"to=", b"xmlns:x='y' to=")):
            for at in range(len(stanza) + 1):
                parser = StreamParser(max_stanza_bytes=65536)
                parser.feed(header)
                events: list[Event] = []
                lent = 0
                for part in (stanza[:at], stanza[at:], b" ", stanza, b"<a/>"):
                    events += parser.feed(part)
                    if parser.idle:
                        before, lent = parser, lent + 1
                        parser = StreamParser(max_stanza_bytes=65536)
                        parser.at(before.header)
                events += parser.feed(b"</stream:stream>")
                self.assertFalse(parser.idle)
                self.assertEqual(lent, 5 if at in (0, len(stanza)) else 4)
                kinds = [type(event) for event in events]
                self.assertEqual(kinds, [Stanza] * 3 + [StreamEnd], at)
                for event in events[:2]:
                    assert isinstance(event, Stanza)
                    self.assertEqual(event.raw, stanza)
                    self.assertEqual(bool(event.inherited), header != HEADER)

    def test_an_end_that_is_not_its_own_stays_outside(self) -> None:
        """Behind an empty element there may be anything: it does not become a
        part of what is sent on to others, whole or in pieces."""
        raws = (b"<m a='1'/>", b"<m/>", b"<m  />", b"<m>x</m>", b"<m><b/></m>")
        behinds = (b"</m>", b"</b>", b"</x", b"</stream:stream>", b"</s:x>")
        for raw in (*raws, b"<m a='1' />", b"<m a='1' ></m>"):
            for behind in (*behinds, b"</m a='2'>", b"<m a='2'>", b"</ma='2'>"):
                for at in (len(raw), len(raw) - 1, 1):
                    parser = StreamParser(max_stanza_bytes=65536)
                    parser.feed(HEADER)
                    events = parser.feed(raw[:at] if at > 1 else raw + behind)
                    events += parser.feed(raw[at:] + behind if at > 1 else b"")
                    first = events[0]
                    assert isinstance(first, Stanza)
                    self.assertEqual(first.raw, raw, behind)

    def test_end_of_stream(self) -> None:
        """After the end nothing counts any more."""
        events = parse(HEADER + b"<presence/></stream:stream><message/>")
        self.assertEqual(events[-1], StreamEnd())
        self.assertEqual(len(events), 3)

    def test_white_space_keeps_a_line_alive_without_growing(self) -> None:
        """RFC 6120 section 4.6.1: and it is no part of any limit."""
        parser = StreamParser(max_stanza_bytes=300)
        parser.feed(HEADER)
        for _ in range(500):
            self.assertEqual(parser.feed(b" \r\n\t"), [])
        self.assertEqual(parser.feed(b" " * 299 + b" <pres"), [])
        self.assertEqual(len(parser.feed(b"ence/> ")), 1)
        self.assertEqual(len(parser.feed(b"<presence/>")), 1)

    @settings(max_examples=150, deadline=None)
    @given(lists(sampled_from(PIECES), max_size=6), integers(1, 9))
    def test_any_slicing_gives_the_same_events(
        self, pieces: list[bytes], size: int
    ) -> None:
        """TCP and TLS cut where they like, also within a character."""
        data = HEADER + b"".join(pieces)
        whole = untold(parse(data))
        self.assertEqual(untold(parse(data, size=size)), whole)
        self.assertEqual(untold(parse(data, size=1)), whole)

    @settings(max_examples=150, deadline=None)
    @given(lists(sampled_from(SHREDS), max_size=8), integers(1, 30), integers(0, 150))
    def test_shreds_are_refused_alike(
        self, shreds: list[bytes], size: int, at: int
    ) -> None:
        """Broken in the header or behind it: nothing may hide in a slice."""
        broken = b"".join(shreds)
        for data in (HEADER + broken, HEADER[:at] + broken + HEADER[at:]):
            whole = [type(event) for event in parse(data)]
            for step in (1, size):
                sliced = [type(event) for event in parse(data, size=step)]
                self.assertEqual(sliced, whole, data)

    @settings(max_examples=150, deadline=None)
    @given(lists(sampled_from(SHREDS)))
    def test_any_mixture_is_safe(self, pieces: list[bytes]) -> None:
        """Only events come out; after the last fault nothing does."""
        parser = StreamParser(max_stanza_bytes=2000)
        events = parser.feed(HEADER + b"".join(pieces))
        ends = [e for e in events if isinstance(e, StreamEnd | StreamFault)]
        self.assertLessEqual(len(ends), 1)
        if ends:
            self.assertIs(events[-1], ends[0])
            self.assertEqual(parser.feed(b"<presence/>"), [])

    @settings(max_examples=150, deadline=None)
    @given(binary(max_size=60), integers(1, 5))
    def test_any_bytes_are_safe(self, data: bytes, size: int) -> None:
        """A stranger's first bytes cost nothing but his stream."""
        self.assertEqual(parse(data, size=size, limit=50)[1:], [])
        self.assertIsInstance(parse(HEADER + data, size=size)[0], StreamStart)

    def test_a_long_stream_outlives_its_parser(self) -> None:
        """expat is replaced between stanzas; nobody can tell."""
        raws = [b"<message n%d='1'><a%d/></message>" % (n, n) for n in range(50)]
        data = HEADER + b"".join(raws)
        with mock.patch.object(stream, "RENEW_BYTES", 100):
            for size in (1, 7, 100):
                events = parse(data, size=size)
                cut = [e.raw for e in events if isinstance(e, Stanza)]
                self.assertEqual(cut, raws)


class RefusalTests(SynchronousTestCase):
    """Each refusal has its RFC 6120 condition, however it is sliced."""

    def assert_refused(self, data: bytes, condition: str, limit: int = 65536) -> None:
        """Whole and byte by byte, it ends in this fault."""
        for size in (None, 1, 1000):
            last = parse(data, size=size, limit=limit)[-1]
            self.assertIsInstance(last, StreamFault, (data[:100], size))
            assert isinstance(last, StreamFault)
            self.assertEqual(last.condition, condition, (data[-60:], size))

    def test_restricted_xml(self) -> None:
        """RFC 6120 section 11.1."""
        for data in (
            b"<!DOCTYPE x><stream/>",
            b"<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY l 'ha'>]>",
            HEADER + b"<!-- x -->",
            HEADER + b"<message><!-- x --></message>",
            HEADER + b"<?php x?>",
            HEADER + b"<message>&nope;</message>",
            HEADER + b"<message a='&nope;'/>",
            HEADER + b"<!ELEMENT",
            b"<?xml version='1.0'? " + HEADER[21:],
        ):
            self.assert_refused(data, "restricted-xml")

    def test_not_well_formed(self) -> None:
        """Also for namespaces: an unbound prefix dies at its sender."""
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b'"' + HEADER + b"<presence/>",
            HEADER[:21] + b"'" + HEADER[21:],
            b"\x16\x03\x01\x02\x00",
            HEADER + b"<a></b>",
            HEADER + b"<x:message/>",
            HEADER + b"<message x:y='1'/>",
            HEADER + b"loose text<presence/>",
            HEADER + b"<message a='1' a='2'/>",
            HEADER + b"<message>\xff</message>",
            HEADER + b"<message>\x00</message>",
            HEADER + b"<message a='<'/>",
            HEADER + HEADER,
        ):
            self.assert_refused(data, "not-well-formed")

    def test_wrong_streams(self) -> None:
        """Not a client's stream of XMPP."""
        self.assert_refused(b"<stream>", "invalid-namespace")
        self.assert_refused(
            HEADER.replace(b"jabber:client", b"jabber:server"), "invalid-namespace"
        )
        self.assert_refused(HEADER.replace(b"stream:stream", b"stream:x"), "bad-format")
        self.assert_refused(
            b"<?xml version='1.0' encoding='ISO-8859-1'?><x/>", "unsupported-encoding"
        )

    def test_limits(self) -> None:
        """Size, depth, attributes and namespaces: 64 KiB, 64, 64, 64."""
        for raw in (
            b"<message>" + b"x" * 70_000 + b"</message>",
            b"<message a='" + b"x" * 70_000,
            b"<message>" + b"x" * 70_000,
            b"<message>" + b"<a/>" * 17_500 + b"</message>",
            b"<a>" * 64,
            b"<m %b/>" % b" ".join(b"a%d='1'" % n for n in range(65)),
            b"<m %b/>" % b" ".join(b"xmlns:a%d='u'" % n for n in range(65)),
        ):
            self.assert_refused(HEADER + raw, "policy-violation")
        self.assert_refused(b"<stream:stream a='" + b"x" * 70_000, "policy-violation")

    def test_just_within_the_limits(self) -> None:
        """One less is fine."""
        deep = b"<a>" * 63 + b"</a>" * 63
        wide = b"<m %b/>" % b" ".join(b"a%d='1'" % n for n in range(64))
        long = b"<m>" + b"x" * (65536 - 7) + b"</m>"
        for raw in (deep, wide, long):
            self.assertEqual(only_stanza(raw).raw, raw)

    def test_bombs_cost_no_time(self) -> None:
        """DESIGN: bad input never costs more than its sender; each < 50 ms of
        CPU but for the byte by byte one, which is 65 536 calls."""
        laughs = b"<!DOCTYPE l [<!ENTITY a 'ha'>" + b"".join(
            b"<!ENTITY a%d '%b'>" % (n, b"&a;" * 10) for n in range(9)
        )
        for data, size, bound_s in (
            (laughs, 100, 0.05),
            (HEADER + b"<a>" * 1_000_000, 65536, 0.05),
            (HEADER + b"<m a='" + b"x" * 1_000_000, 1024, 0.05),
            (HEADER + b"<m a='" + b">" * 65_000, 64, 0.05),
            (HEADER + b"<m>" + b"&lt;" * 80_000, 65536, 0.05),
            (HEADER + b"<m " + b"b='' " * 80_000, 65536, 0.05),
            (HEADER + b"<m a='" + b"x" * 70_000, 1, 0.5),
        ):
            parser = StreamParser(max_stanza_bytes=65536)
            begun = time.process_time()
            events: list[Event] = []
            for start in range(0, len(data), size):
                events += parser.feed(data[start : start + size])
                if events and isinstance(events[-1], StreamFault):
                    break
            spent = time.process_time() - begun
            if data.endswith(b">" * 100):
                self.assertEqual(len(events), 1)  # still waiting, within limits
            else:
                self.assertIsInstance(events[-1], StreamFault, data[:120])
            self.assertLess(spent, bound_s, data[:120])


class StampTests(SynchronousTestCase):
    """`from` is ours, everything else is the client's."""

    def test_from_is_replaced(self) -> None:
        """Whatever the client claimed (RFC 6120 section 8.1.2.1)."""
        stanza = only_stanza(
            b"<message  from='liar' to=\"b@h\"><body>x</body></message>"
        )
        self.assertEqual(
            stanza.stamped("a'&\"@h/r"),
            b'<message from="a\'&amp;&quot;@h/r" to="b@h"><body>x</body></message>',
        )

    def test_to_can_be_set(self) -> None:
        """A fan-out may be addressed, and an empty element stays one."""
        self.assertEqual(
            only_stanza(b"<presence to='x'/>").stamped("a@h", to="b@h"),
            b'<presence from="a@h" to="b@h"/>',
        )

    def test_stands_alone_in_a_websocket_frame(self) -> None:
        """RFC 7395: no stream header there declares the namespace."""
        for raw in (b"<presence/>", b"<presence xmlns='jabber:client'/>"):
            stamped = only_stanza(raw).stamped("a@h", alone=True)
            self.assertEqual(stamped.count(b"xmlns="), 1)

    def test_namespaces_of_the_header_go_along(self) -> None:
        """A receiver's stream does not have them."""
        header = HEADER.replace(b" to='h'", b" xmlns:e='urn:e' to='h'")
        stamped = only_stanza(b"<message><e:x/></message>", header).stamped("a@h")
        self.assertEqual(
            stamped, b'<message from="a@h" xmlns:e="urn:e"><e:x/></message>'
        )
        odd = (
            b"<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>"
        )
        stanza = only_stanza(b"<c:message><c:body>x</c:body></c:message>", odd)
        self.assertTrue(stanza.is_stanza)
        again = only_stanza(stanza.stamped("a@h"))
        self.assertEqual((again.name, again.ns), ("message", "jabber:client"))
        self.assertEqual(again.payload, ("jabber:client", "body"))

    @settings(max_examples=60, deadline=None)
    @given(text(max_size=20), sampled_from(PIECES[:2] + PIECES[3:9]))
    def test_stamped_bytes_parse_again(self, sender: str, raw: bytes) -> None:
        """Escaping holds for any sender, and the rest is untouched."""
        stanza = only_stanza(raw)
        try:
            expat.ParserCreate().Parse(element("x", {"a": sender}), True)
        except (expat.ExpatError, UnicodeEncodeError):
            return
        clean = "".join(c for c in sender if c.isprintable())
        again = only_stanza(stanza.stamped(clean))
        self.assertEqual(again.attributes, stanza.attributes | {"from": clean})
        self.assertEqual(read_node(again).children, read_node(stanza).children)


class XmlTests(SynchronousTestCase):
    """The small builder and reader."""

    def test_builder_escapes_text_and_keeps_xml(self) -> None:
        """Nobody can write markup through a name."""
        self.assertEqual(
            element("a", {"b": "\"<'", "c": None}, "<&", element("d", ns="u")),
            '<a b=\'"&lt;&apos;\'>&lt;&amp;<d xmlns="u"/></a>'.replace(
                "'\"&lt;&apos;'", '"&quot;&lt;\'"'
            ),
        )

    @given(text(), text())
    def test_anything_built_reads_back(self, value: str, inner: str) -> None:
        """Characters that XML cannot carry become U+FFFD."""
        raw = element("message", {"a": value}, element("b", None, inner)).encode(
            "utf-8", "surrogatepass"
        )
        node = read_node(only_stanza(raw))
        self.assertEqual(node.name, "message")
        self.assertIn("a", node.attributes)

    def test_reader_gives_children_and_text(self) -> None:
        """Enough for what the server answers itself."""
        node = read_node(only_stanza(b"<iq><bind xmlns='u'><r>x&amp;y</r></bind></iq>"))
        bind = node.child("u", "bind")
        assert bind is not None
        self.assertEqual(bind.children, [Node("u", "r", {}, [], "x&y")])
        self.assertIs(node.child("u", "other"), None)
        self.assertIsInstance(element("x"), Xml)


class LeafTests(SynchronousTestCase):
    """The short way to read an element of text."""

    @given(
        lists(
            sampled_from(
                ("x", "=", "/", " ", "\n", "\r", "&lt;", "&#13;", "<![CDATA[<]]>", "ž")
            ),
            max_size=6,
        ),
        sampled_from(
            ("<a{}>", "<a {} >", "<a b='>'{}>", "<a xml:lang='cs'{}>", "<a/>")
        ),
        sampled_from(("", " xmlns='urn:x'", " xmlns:p='urn:p' p:c='1' d = \"'\"")),
    )
    def test_it_reads_what_the_parser_reads(
        self, inner: list[str], start: str, declared: str
    ) -> None:
        """Or says that it cannot."""
        begun = start.format(declared)
        whole = begun if "/>" in begun else f"{begun}{''.join(inner)}</a >"
        found = [e for e in parse(HEADER + whole.encode()) if isinstance(e, Stanza)]
        for stanza in found:
            leaf = read_leaf(stanza)
            if leaf is not None:
                self.assertEqual(leaf, read_node(stanza))

    def test_logins_go_the_short_way(self) -> None:
        """What SASL sends is text; whatever has more to it is not."""
        for raw, short in (
            (b"<auth xmlns='urn:x' mechanism='M'>biws</auth>", True),
            (b"<abort xmlns='urn:x'/>", True),
            (b"<auth xmlns='urn:x'><b/></auth>", False),
            (b"<auth xmlns='urn:x'>&lt;</auth>", False),
        ):
            stanza = parse(HEADER + raw)[1]
            assert isinstance(stanza, Stanza)
            self.assertEqual(read_leaf(stanza) is not None, short, raw)
