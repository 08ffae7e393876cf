"""What a message carries is told from its bytes, and they are changed in place."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import floats, lists, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.payloads import (
    Carries,
    carries,
    children,
    delay,
    forwarded,
    standalone,
    with_child,
    without,
)
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import read_stanza
from mosaic.wire.xmpp.times import read_time, write_time
from mosaic.wire.xmpp.xml import read_node

PARTS = [
    "<body>hi</body>",
    "<body>a &lt; b &#38; <![CDATA[</body>]]></body>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='b@localhost' id='x>'/>",
    "<s:stanza-id xmlns:s=\"urn:xmpp:sid&#58;0\" by='b' id='y'></s:stanza-id>",
    "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>",
    "<no-store xmlns='urn:xmpp:hints'/>",
    "<x xmlns='u'><body xmlns='jabber:client'/><y/></x>",
    " \n",
]
STARTS = ["<message>", "<message to='a@b'>", '<message  to = "a>b" >']


def stanza(raw: str) -> Stanza:
    """From a client's stream."""
    return read_stanza(raw.encode())


def message(*parts: str) -> Stanza:
    """With these children."""
    return stanza(f"<message to='b@localhost'>{''.join(parts)}</message>")


class CarriesTests(SynchronousTestCase):
    """The rules of archives, carbons and hints ask for these."""

    def test_a_plain_message(self) -> None:
        """The usual one is not parsed, and says the same if it is."""
        for sent in (message("<body>x</body>"), message("<body>x&#33;</body>")):
            self.assertEqual(carries(sent), Carries.BODY | Carries.CONTENT)

    def test_nothing(self) -> None:
        """An empty message, and one of mere states."""
        self.assertEqual(carries(stanza("<message/>")), 0)
        state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        found = carries(message(state, "<thread>t</thread>"))
        self.assertEqual(found, Carries.IM | Carries.STATE)

    def test_hints(self) -> None:
        """XEP-0334: each of the four."""
        for name, expected in (
            ("no-store", Carries.NO_STORE),
            ("no-permanent-store", Carries.NO_PERMANENT_STORE),
            ("no-copy", Carries.NO_COPY),
            ("store", Carries.STORE),
        ):
            hint = f"<{name} xmlns='urn:xmpp:hints'/>"
            self.assertEqual(carries(message(hint)), expected)

    def test_what_lasts_without_a_body(self) -> None:
        """Receipts, markers, retractions, and call proposals."""
        for sent in (
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
            "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
        ):
            self.assertTrue(carries(message(sent)) & Carries.LASTING, sent)
        for sent in (
            "<request xmlns='urn:xmpp:receipts'/>",
            "<markable xmlns='urn:xmpp:chat-markers:0'/>",
            "<x xmlns='u'/>",
        ):
            self.assertFalse(carries(message(sent)) & Carries.LASTING, sent)

    def test_a_namespace_in_disguise(self) -> None:
        """References and the stream header may hide one."""
        disguised = "<stanza-id xmlns='ur&#110;:xmpp:sid&#x3a;0' by='b' id='i'/>"
        self.assertTrue(carries(message(disguised)) & Carries.STANZA_ID)
        inherited = Stanza(
            raw=b"<message><s:stanza-id by='b' id='i'/></message>",
            name="message",
            ns="jabber:client",
            inherited=((b"xmlns:s", b"'urn:xmpp:sid:0'"),),
        )
        self.assertTrue(carries(inherited) & Carries.STANZA_ID)


class BytesTests(SynchronousTestCase):
    """Children are cut out and put in; nothing else is touched."""

    @given(sampled_from(STARTS), lists(sampled_from(PARTS)), sampled_from(PARTS))
    def test_children_are_where_they_are(
        self, start: str, parts: list[str], last: str
    ) -> None:
        """Their bytes are the parts; without them only the rest is left."""
        sent = stanza(start + "".join([*parts, last]) + "</message>")
        found = children(sent)
        elements = [part.encode() for part in [*parts, last] if part.strip()]
        self.assertEqual([sent.raw[c.start : c.end] for c in found], elements)
        rest = without(sent.raw, [(child.start, child.end) for child in found])
        spaces = "".join(part for part in [*parts, last] if not part.strip())
        self.assertEqual(rest.decode(), start + spaces + "</message>")

    @given(
        sampled_from(
            [
                "<message/>",
                "<message />",
                "<message to='a/'/>",
                "<message></message >",
                "<c:message xmlns:c='jabber:client'><c:body/></c:message>",
                "<c:message xmlns:c='jabber:client'/>",
                *(start + "<body>/></body></message>" for start in STARTS),
            ]
        )
    )
    def test_a_child_is_put_in(self, raw: str) -> None:
        """It is the last one, and the others stay."""
        before = children(stanza(raw))
        after = read_stanza(with_child(raw.encode(), b"<new xmlns='n'/>"))
        found = children(after)
        self.assertEqual(len(found), len(before) + 1)
        self.assertEqual((found[-1].ns, found[-1].name), ("n", "new"))
        inside = standalone(after.raw)
        outer = stanza(f"<q xmlns='other'>{inside.decode()}</q>")
        [node] = read_node(outer).children
        self.assertEqual((node.ns, node.name), ("jabber:client", "message"))

    def test_standalone_keeps_a_default_of_its_own(self) -> None:
        """Twice declared would not be well-formed."""
        for raw in (
            b"<message xmlns='jabber:client'/>",
            b"<message a='' xmlns = 'x'/>",
        ):
            self.assertEqual(standalone(raw), raw)
        decoy = standalone(b"<message a=' xmlns='/>")
        self.assertEqual(decoy, b"<message xmlns='jabber:client' a=' xmlns='/>")

    def test_forwarded(self) -> None:
        """XEP-0297, with the moment of the original."""
        when = delay("2026-01-01T00:00:00.000000Z", "o'hara.example")
        wrapped = forwarded(b"<message><body>x</body></message>", when)
        node = read_node(stanza(f"<message>{wrapped.decode()}</message>"))
        moment, inner = node.children[0].children
        self.assertEqual(moment.attributes["from"], "o'hara.example")
        self.assertEqual(inner.children[0].text, "x")


class TimeTests(SynchronousTestCase):
    """XEP-0082."""

    @given(floats(min_value=0, max_value=4e9))
    def test_there_and_back(self, seconds: float) -> None:
        """To the microsecond."""
        self.assertLess(abs(read_time(write_time(seconds)) - seconds), 2e-6)

    def test_notations(self) -> None:
        """Zones, and any number of digits."""
        for text_ in (
            "1970-01-01T01:00:00Z",
            "1970-01-01T02:00:00.000+01:00",
            "1970-01-01T01:00:00.0Z",
            "1970-01-01T01:00:00.000000000Z",
        ):
            self.assertEqual(read_time(text_), 3600.0)

    @given(text())
    def test_anything_else_is_refused(self, any_text: str) -> None:
        """With a ValueError."""
        try:
            read_time(any_text)
        except ValueError:
            return
        self.assertIn("T", any_text)
