"""XMPP in WebSocket messages (RFC 7395)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.frames import FrameParser, standing_alone, text_frame
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import Event, StreamEnd, StreamFault, StreamStart
from mosaic.wire.xmpp.xml import read_node
from tests.support.websocket import BINARY, CLOSE, TEXT, fragments, frame
from tests.support.xmpp import MemoryXmpp, condition
from tests.support.xmpp_websocket import END, OPEN, MemorySocket

NS_SM = "urn:xmpp:sm:3"
HELLO = "<message xmlns='jabber:client' to='%s'><body>hi</body></message>"


def feed(*messages: bytes) -> list[Event]:
    """All events of a fresh parser."""
    parser = FrameParser(max_stanza_bytes=65536)
    return [event for message in messages for event in parser.feed(message)]


class FrameParserTests(SynchronousTestCase):
    """One message, one element."""

    def test_messages_become_events(self) -> None:
        """`<open/>` and `<close/>` are the tags of a stream."""
        start, stanza, again, end = feed(
            OPEN.encode(),
            b"<message xmlns='jabber:client' to='a@b'><body>x</body></message>",
            OPEN.encode(),
            END.encode(),
        )
        assert isinstance(start, StreamStart)
        self.assertEqual(start.attributes, {"to": "localhost", "version": "1.0"})
        assert isinstance(stanza, Stanza)
        self.assertEqual(
            (stanza.name, stanza.to, stanza.payload),
            ("message", "a@b", ("jabber:client", "body")),
        )
        self.assertIsInstance(again, StreamStart)
        self.assertIsInstance(end, StreamEnd)

    def test_half_elements_and_two_are_refused(self) -> None:
        """Nothing of such a message is acted on, and nothing after it."""
        one = b"<a xmlns='x'/>"
        for message in (
            b"<a xmlns='x'>",
            one + one,
            one + b"<a",
            one + b"x",
            b"x",
            b"</a>",
            b"</w>",
            b"<w>",
            b"<a></b>",
            one + b"</w>",
            b"<!-- -->",
            b"<?xml version='1.0'?>" + one,
            b"<p:a/>",
            b"<stream:error/>",
            b"<a b='1' b='2'/>",
            b"<a>\xff</a>",
        ):
            events = feed(message, one)
            self.assertEqual([type(e) for e in events], [StreamFault], message)

    def test_limits_hold(self) -> None:
        """Size, depth and attributes, as on TCP."""
        for message in (
            b"<a>" + b"x" * 70_000 + b"</a>",
            b"<a>" * 70 + b"</a>" * 70,
            b"<a " + b" ".join(b"a%d='1'" % n for n in range(70)) + b"/>",
        ):
            [event] = feed(message)
            assert isinstance(event, StreamFault)
            self.assertEqual(event.condition, "policy-violation")

    def test_white_space_keeps_the_line_alive(self) -> None:
        """And grows into nothing."""
        self.assertEqual(feed(b" \n", b"", b"\t"), [])

    def test_many_messages_outlive_the_parser(self) -> None:
        """expat is renewed under them."""
        parser = FrameParser(max_stanza_bytes=65536)
        for number in range(3000):
            raw = b"<m%d xmlns='x'>%s</m%d>" % (number, b"y" * 600, number)
            [event] = parser.feed(raw)
            assert isinstance(event, Stanza)
            self.assertEqual(event.raw, raw)

    def test_no_default_namespace_is_told_on(self) -> None:
        """On a TCP stream the same bytes would stand in jabber:client."""
        [event] = feed(b"<c:message xmlns:c='jabber:client'><body/></c:message>")
        assert isinstance(event, Stanza)
        again = read_node(
            Stanza(raw=event.stamped("a@b"), name="message", ns="jabber:client")
        )
        self.assertEqual((again.ns, again.children[0].ns), ("jabber:client", ""))

    @settings(max_examples=300)
    @given(
        lists(
            sampled_from(
                [OPEN.encode(), END.encode(), b"<a/>", b"<", b"</w>", b"<w>", b" "]
            )
            | binary(max_size=12),
            max_size=6,
        )
    )
    def test_any_messages_are_safe(self, messages: list[bytes]) -> None:
        """One event a message at most, and none after the end."""
        parser = FrameParser(max_stanza_bytes=1000)
        over = False
        for message in messages:
            events = parser.feed(message)
            self.assertLessEqual(len(events), 0 if over else 1)
            over = over or any(not isinstance(e, Stanza | StreamStart) for e in events)


class AloneTests(SynchronousTestCase):
    """What stands on a stream has to stand without one."""

    def test_the_streams_namespaces_are_declared(self) -> None:
        """Once, and only where they are missing."""
        declared = b" xmlns='jabber:client'"
        stream = b" xmlns:stream='http://etherx.jabber.org/streams'"
        for raw, expected in (
            (b"<iq a='1'/>", b"<iq" + declared + b" a='1'/>"),
            (b"<iq/>", b"<iq" + declared + b"/>"),
            (b"<iq xmlns='x'/>", b"<iq xmlns='x'/>"),
            (
                b"<iq id=\" xmlns='x'>\"/>",
                b"<iq" + declared + b" id=\" xmlns='x'>\"/>",
            ),
            (
                b"<stream:features><a/></stream:features>",
                b"<stream:features" + declared + stream + b"><a/></stream:features>",
            ),
            (
                b"<message><stream:x/></message>",
                b"<message" + declared + stream + b"><stream:x/></message>",
            ),
        ):
            self.assertEqual(standing_alone(raw), expected)

    def test_frames_of_every_length(self) -> None:
        """RFC 6455 section 5.2: 7, 16 and 64 bits."""
        self.assertEqual(text_frame(b"x" * 125)[:2], b"\x81\x7d")
        self.assertEqual(text_frame(b"x" * 126)[:4], b"\x81\x7e\x00\x7e")
        self.assertEqual(
            text_frame(b"x" * 65536)[:10], b"\x81\x7f" + (65536).to_bytes(8, "big")
        )


class SocketTests(SynchronousTestCase):
    """Whole clients."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()

    def client(self, name: str = "ann", resource: str = "web") -> MemorySocket:
        """Logged in, with nothing unread."""
        client = MemorySocket(self.house)
        client.log_in(name, resource)
        client.receive()
        return client

    def test_login(self) -> None:
        """open, features, SCRAM, open, bind: each a message that stands alone."""
        client = MemorySocket(self.house)
        self.assertIn(b" 101 ", client.answer)
        self.assertIn(b"Sec-WebSocket-Protocol: xmpp\r\n", client.answer)
        opened, features = client.send(OPEN)
        self.assertEqual(opened.attributes["from"], "localhost")
        self.assertEqual(features.name, "features")
        self.assertEqual(features.children[0].name, "mechanisms")
        client = self.client()
        self.assertEqual(self.house.service.counters.sessions, 1)

    def test_the_subprotocol_is_needed(self) -> None:
        """RFC 7395 section 3.1."""
        self.assertIn(b" 400 ", MemorySocket(self.house, "drcp.1").answer)

    def test_between_web_and_tcp(self) -> None:
        """The same stanzas, written for each."""
        web, tcp = self.client(), self.house.client("bob")
        tcp.receive()
        web.receive()
        web.send(HELLO % "bob@localhost/r")
        [heard] = tcp.receive()
        self.assertEqual(heard.attributes["from"], "ann@localhost/web")
        tcp.send("<message to='ann@localhost/web'><body>ho</body></message>")
        [raw] = web.receive_raw()
        start = (
            b"<message xmlns='jabber:client' from=\"bob@localhost/r\" "
            b"to='ann@localhost/web'><body>ho</body><stanza-id "
        )
        self.assertEqual(raw[: len(start)], start)

    def test_answers_of_the_server_stand_alone(self) -> None:
        """Errors, results and presence too."""
        client = self.client()
        [pong] = client.send(
            "<iq xmlns='jabber:client' type='get' id='1'>"
            "<ping xmlns='urn:xmpp:ping'/></iq>"
        )
        self.assertEqual((pong.ns, pong.name), ("jabber:client", "iq"))
        [error] = client.send(HELLO % "nobody@localhost")
        self.assertEqual(error.attributes["type"], "error")

    def test_goodbye_of_the_client(self) -> None:
        """`<close/>` is answered, then the socket closes."""
        client = self.client()
        self.assertEqual([n.name for n in client.send(END)], ["close"])
        self.assertEqual(client.closed, 1000)
        client.frames(frame(CLOSE, b"\x03\xe8"))
        self.assertEqual(self.house.service.counters.streams, 0)

    def test_deaf_browser_is_cut_off(self) -> None:
        """Who does not answer our goodbye is not waited for."""
        client = self.client()
        client.send(END)
        self.house.clock.advance(5)
        self.assertTrue(client.transport.aborted)

    def test_errors_have_a_name_and_an_end(self) -> None:
        """A stream error in a message, `<close/>`, and the close of the socket."""
        for message, expected in (
            ("<message to='bob@localhost'>", "not-well-formed"),
            ("<presence/>", "unsupported-stanza-type"),
            ("<presence xmlns='jabber:client'/>" * 2, "not-well-formed"),
        ):
            client = self.client()
            error, close = client.send(message)
            self.assertEqual(condition(error), expected)
            self.assertEqual((close.name, client.closed), ("close", 1000))

    def test_binary_messages_are_refused(self) -> None:
        """RFC 7395 section 3.2: text."""
        client = self.client()
        client.frames(frame(BINARY, b"<presence xmlns='jabber:client'/>"))
        self.assertEqual(condition(client.receive()[0]), "not-well-formed")

    def test_fragments_are_one_message(self) -> None:
        """However the browser cuts it."""
        client, bob = self.client(), self.house.client("bob")
        bob.receive()
        for part in fragments(TEXT, (HELLO % "bob@localhost").encode(), 7):
            client.frames(part)
        self.assertEqual([n.name for n in bob.receive()], ["message"])

    def test_size_before_and_after_login(self) -> None:
        """64 KiB for strangers; past it the socket closes with 1009."""
        stranger = MemorySocket(self.house)
        stranger.send(OPEN)
        stranger.send("<x>" + "y" * 70_000 + "</x>")
        self.assertEqual(stranger.closed, 1009)
        client = self.client()
        client.send((HELLO % "ann@localhost").replace("hi", "y" * 100_000))
        self.assertTrue(client.open)
        client.send((HELLO % "ann@localhost").replace("hi", "y" * 300_000))
        self.assertEqual(client.closed, 1009)

    def test_strangers_meet_the_deadline(self) -> None:
        """As on TCP."""
        client = MemorySocket(self.house)
        self.house.clock.advance(10)
        names = [n.name for n in client.receive()]
        self.assertEqual(names, ["open", "error", "close"])

    def test_a_broken_socket_is_resumed(self) -> None:
        """On another, or on TCP: the session is the same."""
        client, bob = self.client(), self.house.client("bob")
        client.receive()
        [enabled] = client.send(f"<enable xmlns='{NS_SM}' resume='true'/>")
        client.transport.drop()
        bob.receive()
        bob.send("<message to='ann@localhost/web'><body>1</body></message>")
        again = self.house.connect()
        again.start()
        again.auth("ann", "secret")
        again.start()
        answers = again.send(
            f"<resume xmlns='{NS_SM}' previd='{enabled.attributes['id']}' h='0'/>"
        )
        self.assertEqual([n.name for n in answers], ["resumed", "message", "r"])

    def test_drain(self) -> None:
        """`system-shutdown`, and nobody new."""
        client = self.client()
        stopped = self.house.service.stopService()
        self.assertEqual(condition(client.receive()[0]), "system-shutdown")
        client.frames(frame(CLOSE, b"\x03\xe8"))
        self.successResultOf(stopped)
        self.assertIn(b" 503 ", MemorySocket(self.house).answer)

    def test_a_turns_messages_leave_together(self) -> None:
        """One write, one TLS record."""
        client, bob = self.client(), self.house.client("bob")
        client.receive()
        written: list[bytes] = []
        self.patch(client.transport, "write", written.append)
        bob.send("<message to='ann@localhost/web'/>" * 3)
        self.assertEqual([data.count(b"<message ") for data in written], [3])
