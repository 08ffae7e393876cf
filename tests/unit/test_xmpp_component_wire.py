"""The component protocol's bytes (XEP-0114)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.component import (
    ComponentParser,
    for_component,
    handshake,
    proves,
)
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamEnd, StreamFault, StreamStart

STREAM = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
    "xmlns:stream='http://etherx.jabber.org/streams' to='part.example.org'>"
)
MESSAGE = "<message from='part.example.org' to='a@b'><body>&lt;hi&gt;</body></message>"


def parse(*pieces: str | bytes) -> list[object]:
    """All events."""
    parser = ComponentParser(max_stanza_bytes=1000)
    found: list[object] = []
    for piece in pieces:
        found += parser.feed(piece.encode() if isinstance(piece, str) else piece)
    return found


class ParserTests(SynchronousTestCase):
    """What a component says, in the words of clients."""

    def test_stanzas_are_those_of_clients(self) -> None:
        """The same bytes: the namespace is in the header."""
        [start, stanza, end] = parse(STREAM, MESSAGE, "</stream:stream>")
        assert isinstance(start, StreamStart)
        assert isinstance(stanza, Stanza)
        self.assertEqual(start.attributes, {"to": "part.example.org"})
        self.assertTrue(stanza.is_stanza)
        self.assertEqual(stanza.raw, MESSAGE.encode())
        self.assertEqual(stanza.inherited, ())
        self.assertIsInstance(end, StreamEnd)

    def test_a_namespace_in_the_start_tag_goes_along(self) -> None:
        """Some libraries write it out."""
        said = MESSAGE.replace("<message", "<message xmlns='jabber:component:accept'")
        stanza = parse(STREAM, said)[1]
        assert isinstance(stanza, Stanza)
        self.assertTrue(stanza.is_stanza)
        self.assertNotIn(b"component", stanza.raw)

    def test_other_streams_are_refused(self) -> None:
        """A client's, and what is no stream."""
        for head in (
            STREAM.replace("component:accept", "client"),
            STREAM.replace("component:accept", "server"),
            STREAM.replace("xmlns='jabber:component:accept'", ""),
            "<a>",
            "GET / HTTP/1.1\r\n" + "x" * 5000,
        ):
            [fault] = parse(head, MESSAGE)
            self.assertEqual(fault, StreamFault(condition="invalid-namespace"), head)

    def test_limits_and_restrictions_hold(self) -> None:
        """Those of every stream of ours."""
        for said, why in (
            (f"<message>{'x' * 2000}</message>", "policy-violation"),
            ("<!-- -->", "restricted-xml"),
            ("<message></iq>", "not-well-formed"),
        ):
            fault = parse(STREAM, said)[-1]
            assert isinstance(fault, StreamFault)
            self.assertEqual(fault.condition, why)

    @given(st.lists(st.integers(0, len(STREAM + MESSAGE)), max_size=8))
    def test_however_it_is_cut(self, cuts: list[int]) -> None:
        """TCP knows no tags."""
        text = STREAM + MESSAGE
        places = [0, *sorted(cuts), len(text)]
        pieces = [text[a:b] for a, b in pairwise(places)]
        self.assertEqual(parse(*pieces), parse(text))

    @given(st.lists(st.binary(max_size=80), max_size=5))
    def test_any_bytes_are_safe(self, pieces: list[bytes]) -> None:
        """Before and after a good header."""
        parse(*pieces)
        parse(STREAM, *pieces)


class OutwardTests(SynchronousTestCase):
    """What a component is told."""

    def test_the_namespace_is_left_to_the_header(self) -> None:
        """In the start tag only: what is forwarded inside keeps its own."""
        inside = b"<forwarded xmlns='u'><message xmlns='jabber:client'/></forwarded>"
        for raw, expected in (
            (b"<message xmlns='jabber:client' to='a'/>", b"<message to='a'/>"),
            (b'<iq to="a" xmlns = "jabber:client">', b'<iq to="a">'),
            (b"<message>" + inside + b"</message>", None),
            (b"<message xmlns='other'/>", None),
        ):
            self.assertEqual(for_component(raw), expected or raw)

    def test_handshake(self) -> None:
        """The example of section 3, and nothing that differs."""
        said = handshake("3BF96D32", "test")
        self.assertEqual(said, "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e")
        self.assertTrue(proves(said, "3BF96D32", "test"))
        self.assertTrue(proves(f"\n{said} ", "3BF96D32", "test"))
        for wrong in ("", said[:-1], said.upper(), "\u00e4", handshake("x", "test")):
            self.assertFalse(proves(wrong, "3BF96D32", "test"))
