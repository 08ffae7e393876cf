"""Taking stanzas apart by their bytes."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from mosaic.wire.xmpp.pieces import open_stanza, reopen
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamParser
from mosaic.wire.xmpp.xml import Node, element, read_node

HEADER = (
    "<stream:stream xmlns='jabber:client' version='1.0' "
    "xmlns:stream='http://etherx.jabber.org/streams' xmlns:q='urn:q'>"
)


def cut(text: str) -> Stanza:
    """The stanza as a client's stream gives it."""
    parser = StreamParser(max_stanza_bytes=1 << 16)
    found = [e for e in parser.feed((HEADER + text).encode()) if isinstance(e, Stanza)]
    return found[0]


def named(name: str, attributes: dict[str, str], *inner: str) -> str:
    """A child in a namespace of its own."""
    return element(name, attributes, *inner, ns=f"urn:{name}")


children = st.lists(
    st.builds(
        named,
        st.sampled_from(["keep", "drop"]),
        st.dictionaries(st.just("a"), st.text("x>/'\"<& é", max_size=5)),
        st.text("t>]'\"<&é", max_size=5),
    ),
    max_size=6,
)


class PiecesTests(TestCase):
    """Addresses go, the rest stays as it was."""

    def test_addresses_are_taken_off(self) -> None:
        """Everything else is byte for byte what the client said."""
        start = "<message to='a@b' id='1' from='c@d' xml:lang='de'>"
        opened = open_stanza(cut(f"{start}<body>hi</body></message>"))
        self.assertEqual(opened.inner, b"<body>hi</body>")
        self.assertIn(b" id='1' xml:lang='de'", opened.attributes)
        self.assertNotIn(b"from", opened.attributes)
        self.assertEqual(reopen(opened.whole().decode()), opened)

    def test_declarations_come_along(self) -> None:
        """A prefix of the stream header still means something elsewhere."""
        opened = open_stanza(cut("<message to='a@b'><q:x/></message>"))
        self.assertIn(b"xmlns:q='urn:q'", opened.attributes.replace(b'"', b"'"))

    def test_an_empty_stanza(self) -> None:
        """Nothing is inside."""
        opened = open_stanza(cut("<presence to='a@b'/>"), keep=lambda name: False)
        self.assertEqual((opened.name, opened.inner), (b"presence", b""))

    def test_what_looks_like_a_declaration_is_a_value(self) -> None:
        """Attributes are read one after the other."""
        opened = open_stanza(
            cut("""<presence to='a@b' id=" xmlns:z='urn:z' "/>"""),
            keep=lambda name: False,
        )
        self.assertNotIn(b"urn:z", opened.attributes)

    @given(children)
    def test_children_go_by_name(self, inside: list[str]) -> None:
        """Whatever quotes and brackets are in them or in their neighbours."""
        stanza = cut("<message>" + "".join(inside) + "</message>")
        opened = open_stanza(
            stanza, unwanted=lambda ns, name, attributes: ns == "urn:drop"
        )
        wanted = [n for n in read_node(stanza).children if n.ns != "urn:drop"]
        again = cut(opened.whole().decode())
        self.assertEqual(_plain(read_node(again).children), _plain(wanted))


def _plain(nodes: list[Node]) -> list[object]:
    return [(n.ns, n.name, n.attributes, n.text) for n in nodes]
