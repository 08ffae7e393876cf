"""Our components under another server (XEP-0114), without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras import outside
from mosaic.services.xmpp.extras.outside import OutsideParent
from mosaic.wire.xmpp.component import handshake
from mosaic.wire.xmpp.jid import Jid, parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from tests.support.xmpp_house import XmppCase
from tests.unit.test_xmpp_facts import stanza

HEADER = (
    "<stream:stream xmlns='jabber:component:accept' id='i1' from='part.example.org' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)
PARTS = ("part.example.org", "rooms.part.example.org")


class Server:
    """The other end of the newest connection."""

    def __init__(self, reactor: MemoryReactorClock, at: int) -> None:
        factory = reactor.tcpClients[at][2]
        self.transport = StringTransport()
        protocol: Any = factory.buildProtocol(None)
        self.protocol = protocol
        self.transport.abortConnection = self.drop  # type: ignore[method-assign]
        self.transport.loseConnection = self.drop  # type: ignore[method-assign]
        self.gone = False
        self.protocol.makeConnection(self.transport)

    def drop(self) -> None:
        """The connection ends."""
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def send(self, text: str) -> None:
        """Say something."""
        self.protocol.dataReceived(text.encode())

    def heard(self) -> str:
        """What was said since the last look."""
        text: str = self.transport.value().decode()
        self.transport.clear()
        return text

    def let_in(self) -> None:
        """Shake hands."""
        self.send(HEADER)
        self.send("<handshake/>")
        self.heard()


class OutsideTests(SynchronousTestCase):
    """Two addresses of ours."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = clientFromString(self.reactor, "tcp:127.0.0.1:5347")
        self.parent = OutsideParent(self.reactor, endpoint, secret="open sesame")
        self.got: list[tuple[Stanza, Jid, Jid]] = []
        self.others: list[Jid] = []
        self.outlets = [
            self.parent.host(PARTS[0], lambda *all_: self.got.append(all_)),
            self.parent.host(PARTS[1], lambda _, __, to: self.others.append(to)),
        ]
        self.patch(outside, "retry_after", lambda tries: 2.0**tries)
        self.parent.start()

    def connect(self) -> Server:
        """The first address stands."""
        server = Server(self.reactor, 0)
        server.let_in()
        return server

    def test_each_address_shakes_hands(self) -> None:
        """With the digest of the stream's id and the secret."""
        self.assertEqual(len(self.reactor.tcpClients), len(PARTS))
        for at, domain in enumerate(PARTS):
            server = Server(self.reactor, at)
            self.assertIn(f"to='{domain}'", server.heard())
            server.send(HEADER)
            self.assertIn(handshake("i1", "open sesame"), server.heard())
            self.assertNotIn(domain, self.parent.connected)
            server.send("<handshake/>")
            self.assertIn(domain, self.parent.connected)

    def test_stanzas_come_as_those_of_clients(self) -> None:
        """Bytes in the namespace that all our parts know."""
        server = self.connect()
        server.send(
            "<message from='ann@x/r' to='part.example.org' type='chat'>"
            "<body>hi &amp; bye</body><a xmlns='u'><b/></a></message>"
        )
        [(got, sender, to)] = self.got
        self.assertEqual((str(sender), str(to)), ("ann@x/r", PARTS[0]))
        self.assertTrue(got.is_stanza)
        self.assertEqual(got.payload, ("jabber:client", "body"))
        again = stanza(got.raw.decode())
        self.assertEqual(again.attributes, got.attributes)
        self.assertNotIn(b"component", got.raw)

    def test_what_is_dropped(self) -> None:
        """Other hosts' stanzas, those in our own name, and bad addresses."""
        server = self.connect()
        for sender, to in (
            ("ann@x", "else.example.org"),
            (f"x@{PARTS[1]}", PARTS[0]),
            ("a@b@c", PARTS[0]),
            ("ann@x", "a@b@c"),
        ):
            server.send(f"<message from='{sender}' to='{to}'/>")
        server.send(f"<message from='ann@x'/><message to='{PARTS[0]}'/>")
        server.send(f"<other from='ann@x' to='{PARTS[0]}'/>")
        self.assertEqual(self.got, [])

    def test_whichever_stream_a_stanza_comes_by(self) -> None:
        """ejabberd with `global_routes` gives one stream those of all."""
        self.connect().send(f"<message from='ann@x' to='a@{PARTS[1]}'/>")
        self.assertEqual(self.got, [])
        self.assertEqual([str(to) for to in self.others], [f"a@{PARTS[1]}"])

    def test_bytes_go_out_as_they_are(self) -> None:
        """But for the namespace in a start tag."""
        server = self.connect()
        to = parse_jid("ann@x/r")
        sent = b"<message xmlns='jabber:client' from='part.example.org' to='ann@x/r'/>"
        self.assertTrue(self.outlets[0].send(to, sent))
        self.assertEqual(
            server.heard(), "<message from='part.example.org' to='ann@x/r'/>"
        )
        self.outlets[0].deliver(stanza("<message id='1'/>"), parse_jid(PARTS[0]), to)
        self.assertEqual(
            server.heard(), '<message from="part.example.org" to="ann@x/r" id=\'1\'/>'
        )

    def test_while_there_is_no_stream(self) -> None:
        """Nothing is kept for later; who can be told is told."""
        to = parse_jid("ann@x/r")
        self.assertTrue(self.outlets[0].send(to, b"<message/>"))
        with self.assertRaises(Undeliverable) as caught:
            self.outlets[0].deliver(stanza("<iq/>"), parse_jid(PARTS[0]), to)
        self.assertEqual(caught.exception.condition, "remote-server-timeout")
        self.assertEqual(self.connect().heard(), "")

    def test_it_tries_again_later_and_later(self) -> None:
        """A server that is not there, and one that refuses us."""
        connector: Any = self.reactor.tcpClients[0][2]
        refused = Failure(ConnectionRefusedError())
        connector.clientConnectionFailed(None, refused)
        self.reactor.advance(1.9)
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.reactor.advance(0.2)
        self.assertEqual(len(self.reactor.tcpClients), 3)
        server = Server(self.reactor, 2)
        server.send(HEADER)
        server.send(
            "<stream:error><not-authorized xmlns="
            "'urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        )
        self.assertTrue(server.gone)
        self.reactor.advance(3.9)
        self.assertEqual(len(self.reactor.tcpClients), 3)
        self.reactor.advance(0.2)
        Server(self.reactor, 3).let_in()
        self.assertEqual(self.parent.connected, {PARTS[0]})

    def test_a_server_that_says_nothing(self) -> None:
        """Is left after ten seconds."""
        server = Server(self.reactor, 0)
        self.reactor.advance(10)
        self.assertTrue(server.gone)

    def test_a_stream_that_is_lost_comes_back(self) -> None:
        """After a short while: a good stream has ended the back-off."""
        self.connect().drop()
        self.assertEqual(self.parent.connected, frozenset())
        self.reactor.advance(2.1)
        Server(self.reactor, 2).let_in()
        self.assertEqual(self.parent.connected, {PARTS[0]})

    def test_bad_xml_ends_the_stream(self) -> None:
        """And it comes back."""
        server = self.connect()
        server.send("<a></b>")
        self.assertTrue(server.gone)
        self.reactor.advance(2.1)
        self.assertEqual(len(self.reactor.tcpClients), 3)

    def test_a_server_that_does_not_read(self) -> None:
        """It does not fill our memory."""
        server = self.connect()
        producer: Any = server.transport.producer
        producer.pauseProducing()
        to, text = parse_jid("ann@x/r"), b"<message>%s</message>" % (b"x" * (1 << 20))
        for _ in range(15):
            self.outlets[0].send(to, text)
        self.assertFalse(server.gone)
        for _ in range(2):
            self.outlets[0].send(to, text)
        self.assertTrue(server.gone)

    def test_the_end(self) -> None:
        """Streams are closed, and nothing is tried any more."""
        server = self.connect()
        self.successResultOf(self.parent.stop())
        self.assertTrue(server.heard().endswith("</stream:stream>"))
        self.assertTrue(server.gone)
        tries = len(self.reactor.tcpClients)
        self.reactor.advance(1000)
        self.assertEqual(len(self.reactor.tcpClients), tries)


class HouseOutsideTests(XmppCase):
    """A house whose components hang elsewhere too."""

    def setUp(self) -> None:
        secret = Path(self.mktemp())
        secret.write_text("open sesame\n")
        self.reactor = MemoryReactorClock()
        self.xmpp = {
            "component": "tcp:127.0.0.1:5347",
            "component_domain": "mosaic.example.org",
            "component_secret_file": str(secret),
            "component_accounts": "example.org",
        }
        super().setUp()

    def endpoints(self) -> dict[str, Any]:
        """Into memory."""
        return {"connect": lambda text: clientFromString(self.reactor, text)}

    def ask_from_outside(self, sender: str, inner: str, kind: str = "get") -> str:
        """What Mosaic itself answers at the other server."""
        facts = f"id='1' type='{kind}' from='{sender}' to='mosaic.example.org'"
        self.server.send(f"<iq {facts}>{inner}</iq>")
        return self.server.heard()

    def test_whom_the_other_server_vouches_for(self) -> None:
        """ann of its domain is ann; ann of ours or of anywhere is not."""
        self.server = Server(self.reactor, 0)
        self.server.let_in()
        command = (
            "<command xmlns='http://jabber.org/protocol/commands' "
            "node='http://jabber.org/protocol/admin#get-registered-users-num'/>"
        )
        for sender, expected in (
            ("ann@example.org/x", "completed"),
            ("bob@example.org/x", "forbidden"),
            ("ann@localhost/a", "forbidden"),
            ("ann@elsewhere.org/x", "forbidden"),
            ("example.org", "forbidden"),
        ):
            said = self.ask_from_outside(sender, command, "set")
            self.assertIn(expected, said, sender)

    def test_rooms_hang_there_too(self) -> None:
        """They are listed beside the uploads."""
        self.server = Server(self.reactor, 0)
        self.server.let_in()
        items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
        said = self.ask_from_outside("ann@example.org/x", items)
        for domain in ("upload.mosaic.example.org", "rooms.mosaic.example.org"):
            self.assertIn(f'jid="{domain}"', said)


class BackoffTests(SynchronousTestCase):
    """The policy that is used."""

    def test_it_grows_and_is_not_the_same_for_all(self) -> None:
        """So that a site does not come back at one moment."""
        first = {outside.retry_after(1) for _ in range(20)}
        self.assertGreater(len(first), 10)
        self.assertLess(max(first), 3)
        late = [outside.retry_after(50) for _ in range(20)]
        self.assertLess(max(late), 75)
        self.assertGreater(min(late), 40)
