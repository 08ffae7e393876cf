"""The shared port decides once, in time, and then is out of the way."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IHandshakeListener, INegotiated
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer

from mosaic.tls.sharedport import SharedPort, UndecidedProtocol

CLIENT = IPv4Address("TCP", "192.0.2.7", 4000)
STUN = bytes.fromhex("000100002112a442") + b"twelve bytes"


@implementer(IHandshakeListener)
class Recorder(Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def connectionMade(self) -> None:
        self.events.append("made")

    def handshakeCompleted(self) -> None:
        self.events.append("handshake")

    def dataReceived(self, data: bytes) -> None:
        self.events.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append("lost")


class RecordingFactory(Factory):
    """A route: keeps its protocols, and counts starts and stops."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Recorder] = []
        self.addresses: list[object] = []
        self.running = 0
        self.refuses = False

    def startFactory(self) -> None:
        self.running += 1

    def stopFactory(self) -> None:
        self.running -= 1

    def buildProtocol(self, addr: object) -> Recorder | None:
        self.addresses.append(addr)
        if self.refuses:
            return None
        self.made.append(Recorder())
        return self.made[-1]


class SocketTransport(StringTransport):
    """A socket: it calls `protocol` and knows when it was aborted."""

    protocol: Protocol
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True


class TlsTransport(SocketTransport):
    """TLS, as far as a protocol that waits looks at it."""

    negotiatedProtocol: bytes | None = None

    def __init__(self) -> None:
        super().__init__(peerAddress=CLIENT)
        directlyProvides(self, INegotiated)


class SharedPortCase(SynchronousTestCase):
    """A port with all three routes, and ways to connect to it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.routes = {name: RecordingFactory() for name in ("http", "xmpp", "turn")}
        self.port = SharedPort(self.routes, self.clock, 10.0)

    def connect(
        self, port: SharedPort | None = None, transport: SocketTransport | None = None
    ) -> SocketTransport:
        """Open a connection."""
        transport = transport or SocketTransport(peerAddress=CLIENT)
        transport.protocol = (port or self.port).buildProtocol(CLIENT)
        transport.protocol.makeConnection(transport)
        return transport

    def connect_tls(
        self, alpn: bytes | None, port: SharedPort | None = None
    ) -> SocketTransport:
        """Open a connection and let its TLS handshake end."""
        transport = self.connect(port, TlsTransport())
        transport.negotiatedProtocol = alpn  # type: ignore[attr-defined]  # TlsTransport
        waiting = transport.protocol
        assert isinstance(waiting, UndecidedProtocol)
        waiting.handshakeCompleted()
        return transport

    def events(self, route: str) -> list[object]:
        """What the route's only connection saw."""
        (protocol,) = self.routes[route].made
        return protocol.events


class DecisionTests(SharedPortCase):
    """Who gets the connection."""

    def test_first_bytes_decide_on_a_plain_port(self) -> None:
        """However they are cut, nothing is lost and nothing comes twice."""
        for route, data in (("http", b"GET / "), ("xmpp", b" <x>"), ("turn", STUN)):
            for size in (1, 3, 100):
                self.routes[route].made.clear()
                transport = self.connect()
                for start in range(0, len(data), size):
                    transport.protocol.dataReceived(data[start : start + size])
                made, *chunks = self.events(route)
                self.assertEqual(made, "made")
                self.assertEqual(b"".join(chunks), data)  # type: ignore[arg-type]  # bytes all

    def test_alpn_decides_without_a_byte(self) -> None:
        """The server may speak first then."""
        for route, alpn in (
            ("http", b"http/1.1"),
            ("xmpp", b"xmpp-client"),
            ("turn", b"stun.turn"),
        ):
            self.connect_tls(alpn)
            self.assertEqual(self.events(route), ["made", "handshake"])

    def test_tls_without_alpn_goes_by_first_bytes(self) -> None:
        """Chromium's TURN client sends none."""
        transport = self.connect_tls(None)
        transport.protocol.dataReceived(STUN)
        self.assertEqual(self.events("turn"), ["made", "handshake", STUN])

    def test_alpn_of_an_absent_route_goes_by_first_bytes(self) -> None:
        """The contexts are shared between ports, the routes are not."""
        port = SharedPort({k: self.routes[k] for k in ("http", "xmpp")}, self.clock)
        transport = self.connect_tls(b"stun.turn", port)
        transport.protocol.dataReceived(b"<")
        self.assertEqual(self.events("xmpp")[-1], b"<")

    def test_what_fits_no_route_is_aborted(self) -> None:
        """Unknown bytes, and known ones that this port does not serve."""
        port = SharedPort({k: self.routes[k] for k in ("http", "xmpp")}, self.clock)
        for data in (b"\x80", STUN):
            transport = self.connect(port)
            transport.protocol.dataReceived(data)
            self.assertTrue(transport.aborted)
            transport.protocol.dataReceived(b"GET /")
        self.assertEqual(self.routes["http"].made, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_route_may_refuse(self) -> None:
        """A factory that builds nothing, as when it is full."""
        self.routes["http"].refuses = True
        transport = self.connect()
        transport.protocol.dataReceived(b"GET /")
        self.assertTrue(transport.aborted)
        self.assertEqual(self.port.undecided, 0)

    def test_route_names_are_checked(self) -> None:
        """A slip in the composition is seen at start."""
        for routes in ({}, {"smtp": RecordingFactory()}):
            self.assertRaises(ValueError, SharedPort, routes, self.clock)


class SingleRouteTests(SharedPortCase):
    """A service with a port of its own does not wait for bytes."""

    def setUp(self) -> None:
        super().setUp()
        self.port = SharedPort({"turn": self.routes["turn"]}, self.clock)

    def test_plain_connection_is_handed_over_at_once(self) -> None:
        """No deadline of ours runs on: the service has its own."""
        transport = self.connect()
        self.assertIs(transport.protocol, self.routes["turn"].made[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tls_connection_is_handed_over_after_the_handshake(self) -> None:
        """Whatever ALPN says."""
        for alpn in (None, b"http/1.1"):
            self.routes["turn"].made.clear()
            self.connect_tls(alpn)
            self.assertEqual(self.events("turn"), ["made", "handshake"])

    def test_tls_handshake_has_its_deadline(self) -> None:
        """A silent client costs ten seconds."""
        transport = self.connect(transport=TlsTransport())
        self.clock.advance(10)
        self.assertTrue(transport.aborted)

    def test_behind_a_proxy_the_route_sees_the_client(self) -> None:
        """The PROXY header arrives after the connection is made."""
        factory = WrappingFactory(self.port)
        wrapper = ProtocolWrapper(factory, self.port.buildProtocol(CLIENT))
        proxy = IPv4Address("TCP", "127.0.0.1", 9)
        transport = SocketTransport(peerAddress=proxy)
        wrapper.makeConnection(transport)
        self.assertEqual(self.routes["turn"].made, [])
        transport.peerAddr = CLIENT
        wrapper.dataReceived(b"anything")
        self.assertEqual(self.routes["turn"].addresses, [CLIENT])
        self.assertEqual(self.events("turn"), ["made", b"anything"])


class DeadlineTests(SharedPortCase):
    """Both deadlines are absolute."""

    def test_traffic_does_not_move_the_deadline_of_the_first_bytes(self) -> None:
        """One byte a second is no reason to wait."""
        transport = self.connect()
        for byte in STUN[:7]:
            transport.protocol.dataReceived(bytes([byte]))
            self.clock.advance(1)
        self.assertFalse(transport.aborted)
        self.clock.advance(2.9)
        self.assertFalse(transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.port.undecided, 0)

    def test_first_bytes_have_their_own_time_after_the_handshake(self) -> None:
        """Ten seconds for each."""
        transport = self.connect(transport=TlsTransport())
        self.clock.advance(9)
        waiting = transport.protocol
        assert isinstance(waiting, UndecidedProtocol)
        waiting.handshakeCompleted()
        self.clock.advance(9.9)
        self.assertFalse(transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(transport.aborted)

    def test_a_decision_ends_the_deadline(self) -> None:
        """A meeting lasts longer than ten seconds."""
        transport = self.connect()
        transport.protocol.dataReceived(b"GET")
        self.clock.advance(3600)
        self.assertFalse(transport.aborted)

    def test_a_lost_connection_leaves_nothing(self) -> None:
        """No timer holds what is gone."""
        transport = self.connect()
        self.assertEqual(self.port.undecided, 1)
        transport.protocol.connectionLost(Failure(connectionDone.value))
        self.assertEqual(self.port.undecided, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_local_socket_has_no_address_to_name(self) -> None:
        """The refusal is logged also for UNIX sockets."""
        transport = self.connect(
            transport=SocketTransport(peerAddress=UNIXAddress("/s"))
        )
        self.clock.advance(10)
        self.assertTrue(transport.aborted)


class HandOverTests(SharedPortCase):
    """After the decision the route's protocol stands where ours stood."""

    def test_a_socket_calls_the_route_itself(self) -> None:
        """No call of ours on the way of a read."""
        transport = self.connect()
        transport.protocol.dataReceived(b"GET")
        protocol = self.routes["http"].made[0]
        self.assertIs(transport.protocol, protocol)
        self.assertIs(protocol.transport, transport)

    def test_a_wrapper_calls_the_route_itself(self) -> None:
        """TLS and PROXY wrappers, under which Autobahn replaces protocols too."""
        factory = WrappingFactory(self.port)
        wrapper = ProtocolWrapper(factory, self.port.buildProtocol(CLIENT))
        wrapper.makeConnection(SocketTransport(peerAddress=CLIENT))
        wrapper.dataReceived(b"<")
        protocol = self.routes["xmpp"].made[0]
        self.assertIs(wrapper.wrappedProtocol, protocol)
        wrapper.connectionLost(Failure(connectionDone.value))
        self.assertEqual(protocol.events, ["made", b"<", "lost"])

    def test_other_transports_are_served_by_forwarding(self) -> None:
        """Where the protocol cannot be replaced, ours passes everything on."""
        waiting = self.port.buildProtocol(CLIENT)
        waiting.makeConnection(StringTransport(peerAddress=CLIENT))
        for data in (b"<a", b">"):
            waiting.dataReceived(data)
        waiting.connectionLost(Failure(connectionDone.value))
        self.assertEqual(self.events("xmpp"), ["made", b"<a", b">", "lost"])

    def test_a_route_that_closes_at_once_gets_no_bytes(self) -> None:
        """As on a socket, which stops reading then."""

        class Closing(Recorder):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.loseConnection()

        self.routes["http"].buildProtocol = lambda addr: Closing()  # type: ignore[method-assign]  # for this test
        transport = self.connect()
        transport.protocol.dataReceived(b"GET")
        assert isinstance(transport.protocol, Closing)
        self.assertEqual(transport.protocol.events, [])

    def test_factories_start_and_stop_with_the_port(self) -> None:
        """Site opens its log then; a factory of two routes starts once."""
        shared = RecordingFactory()
        port = SharedPort({"http": shared, "turn": shared}, self.clock)
        for _ in range(2):
            port.doStart()
        self.assertEqual(shared.running, 1)
        for _ in range(2):
            port.doStop()
        self.assertEqual(shared.running, 0)
