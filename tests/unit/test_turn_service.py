"""The service's adapters, without sockets and without real time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.settings import Turn
from mosaic.relay.interface import Control, NoRelayPort, PlaneCounters, Sink
from mosaic.services.turn.listen import (
    RelayHosts,
    UdpEndpoint,
    all_hosts,
    parse_udp_endpoint,
)
from mosaic.services.turn.service import IDLE_STREAM_S, TurnService
from mosaic.services.turn.stream import TurnStream
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.credentials import long_term_key
from mosaic.wire.stun.message import (
    Class,
    Message,
    Method,
    encode,
    parse,
)
from mosaic.wire.turn import attributes as turn
from tests.support.udp import PEER, code_of, transaction

KEY = long_term_key("ann", "mosaic", "secret")


class Passwords:
    """One user, and others where a test has some."""

    asked_at = 0.0
    known = frozenset(("ann",))

    def passwords_for(self, username: str, now: float) -> tuple[str, ...]:
        """The password of ann."""
        self.asked_at = now
        return ("secret",) if username in self.known else ()


class RecordingPlane:
    """Writes down commands, and settles when it is told to."""

    abilities = frozenset(("dual", "reserve", "move", "df", "icmp"))

    def __init__(self) -> None:
        self.counters = PlaneCounters()
        self.commands: list[tuple[Any, ...]] = []
        self.sent: list[bytes] = []
        self.waiting: list[Callable[[], None]] = []
        self.opened: list[dict[str, Any]] = []
        self.sinks: dict[FiveTuple, Sink] = {}
        self.refuse: Exception | None = None

    def start(self, control: Control) -> None:
        """Begin."""
        self.control = control

    def stop(self) -> None:
        """End."""
        self.commands.append(("stop",))

    def listen(self, host: str, port: int) -> Address:
        """Bind nothing."""
        self.commands.append(("listen", host, port))
        return Address(host, port or 40000)

    def send(self, to: FiveTuple, data: bytes) -> None:
        """An answer, which leaves when the commands before it are settled."""
        self.waiting.append(partial(self._deliver, to, data))

    def _deliver(self, to: FiveTuple, data: bytes) -> None:
        if to in self.sinks:
            self.sinks[to](data)
        self.sent.append(data)

    def attach_stream(
        self, five_tuple: FiveTuple, sink: Sink, many: Any = None
    ) -> None:
        """A client."""
        self.sinks[five_tuple] = sink

    def detach_stream(self, five_tuple: FiveTuple) -> None:
        """No client."""
        del self.sinks[five_tuple]

    def stream_run(self, five_tuple: FiveTuple, data: bytes) -> int:
        """Takes nothing."""
        return 0

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """All is control here."""
        self.control(message, five_tuple)

    def open_relay(self, relay: int, five_tuple: FiveTuple, **how: Any) -> Address:
        """A relay, or what `refuse` says."""
        if self.refuse is not None:
            raise self.refuse
        self.commands.append(("open", relay, how["bind"]))
        self.opened.append(how)
        return Address(how["advertise"], 50000 + relay)

    def extend(self, relay: int, expires_at: float) -> None:
        """Written down."""
        self.commands.append(("extend", relay, expires_at))

    def move(self, relay: int, five_tuple: FiveTuple) -> None:
        """Written down."""
        self.commands.append(("move", relay, five_tuple))

    def permit(
        self, relay: int, host: str, expires_at: float, *, own_only: bool
    ) -> None:
        """Written down."""
        self.commands.append(("permit", relay, host))

    def bind(self, relay: int, channel: int, peer: Address, expires_at: float) -> None:
        """Written down."""
        self.commands.append(("bind", relay, channel, peer))

    def limit(self, relay: int, bytes_per_s: float) -> None:
        """Written down."""
        self.commands.append(("limit", relay, bytes_per_s))

    def limit_user(self, user: int, bytes_per_s: float) -> None:
        """Written down."""
        self.commands.append(("limit user", user, bytes_per_s))

    def close(self, relay: int) -> None:
        """Written down."""
        self.commands.append(("close", relay))

    def settled(self, done: Callable[[], None]) -> None:
        """Later."""
        self.waiting.append(done)

    def settle(self) -> None:
        """Now."""
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done()


class AdoptingRecordingPlane(RecordingPlane):
    """One that takes connections, where the transport can be lent."""

    def adopt(self, five_tuple: FiveTuple, fd: int, *_: Any, **__: Any) -> None:
        """Written down."""
        self.commands.append(("adopt", five_tuple, fd))


class Wire(StringTransport):
    """A connection between two given addresses that remembers an abort."""

    aborted = False

    def __init__(self, host: str = "198.51.100.7", server: str = "198.18.0.1") -> None:
        kind = IPv6Address if ":" in host else IPv4Address
        super().__init__(kind("TCP", server, 3478), kind("TCP", host, 40000))
        self.writes = 0

    def write(self, data: bytes) -> None:
        """Counted."""
        self.writes += 1
        super().write(data)

    def abortConnection(self) -> None:
        """Remembered."""
        self.aborted = True


class ServiceCase(SynchronousTestCase):
    """A service over a recording plane."""

    def setUp(self) -> None:
        """Started."""
        self.clock = Clock()
        self.plane = RecordingPlane()
        self.passwords = Passwords()
        self.names = ["ann"]
        self.service = TurnService(
            self.clock,
            Turn(queue_bytes=100),
            credentials=self.passwords,
            plane=self.plane,
            clock=self.clock.seconds,
            wall_clock=lambda: 1_790_000_000.0,
        )
        self.service.startService()

    def request(self, method: int, rows: Any, nonce: str = "") -> bytes:
        """Signed as ann, or as the first of the test's own names."""
        name = self.names[0]
        login = [(stun.USERNAME, name), (stun.REALM, "mosaic"), (stun.NONCE, nonce)]
        key = long_term_key(name, "mosaic", "secret")
        return encode(method, Class.REQUEST, transaction(), [*rows, *login], key=key)

    def connect(self, **ends: str) -> tuple[TurnStream, Wire]:
        """A stream client."""
        wire = Wire(**ends)
        stream = self.service.stream_factory("tcp").buildProtocol(None)
        stream.makeConnection(wire)
        return stream, wire

    def ask(self, stream: TurnStream, wire: Wire, data: bytes) -> Message:
        """One request over a stream and its answer."""
        wire.clear()
        stream.dataReceived(data)
        self.plane.settle()
        self.clock.advance(0)
        return parse(wire.value())

    def allocate(self, stream: TurnStream, wire: Wire) -> tuple[Message, str]:
        """An allocation over a stream: the answer and the nonce."""
        rows = [(turn.REQUESTED_TRANSPORT, 17)]
        answer = self.ask(stream, wire, self.request(Method.ALLOCATE, rows, "x"))
        nonce = answer.first(stun.NONCE) or ""
        data = self.request(Method.ALLOCATE, rows, nonce)
        return self.ask(stream, wire, data), nonce


class AllocationTests(ServiceCase):
    """Events are performed in order."""

    def test_answer_waits_for_the_plane(self) -> None:
        """Else the client's first packet would race its own permission."""
        stream, wire = self.connect()
        _, nonce = self.allocate(stream, wire)
        wire.clear()
        rows = [(turn.XOR_PEER_ADDRESS, PEER)]
        stream.dataReceived(self.request(Method.CREATE_PERMISSION, rows, nonce))
        self.clock.advance(0)
        self.assertEqual(self.plane.commands[-1], ("permit", 1, PEER.host))
        self.assertEqual(wire.value(), b"")
        self.plane.settle()
        self.clock.advance(0)
        self.assertEqual(code_of(parse(wire.value())), 0)

    def test_relay_is_where_the_client_reached_us(self) -> None:
        """Unless configured; expiry of credentials is of the wall clock."""
        answer, _ = self.allocate(*self.connect())
        relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
        self.assertEqual(relayed, Address("198.18.0.1", 50001))
        self.assertEqual(self.service.counters.allocations, 1)
        self.assertEqual(self.passwords.asked_at, 1_790_000_000.0)

    def test_no_port_is_508(self) -> None:
        """And nothing is held."""
        self.plane.refuse = NoRelayPort("none")
        answer, _ = self.allocate(*self.connect())
        self.assertEqual(code_of(answer), 508)
        self.assertEqual(self.service.counters.allocations, 0)

    def test_expiry_closes_the_relay(self) -> None:
        """By a timer of the service."""
        stream, wire = self.connect()
        self.allocate(stream, wire)
        self.clock.advance(601)
        self.assertIn(("close", 1), self.plane.commands)
        self.assertEqual(self.service.counters.allocations, 0)

    def test_reserved_port_is_let_go_in_time(self) -> None:
        """Its 30 seconds end long before the allocation that set the timer."""
        stream, wire = self.connect()
        self.allocate(stream, wire)
        pair = [(turn.REQUESTED_TRANSPORT, 17), (turn.EVEN_PORT, 0x80)]
        stream, wire = self.connect(host="198.51.100.8")
        answer = self.ask(stream, wire, self.request(Method.ALLOCATE, pair, "x"))
        nonce = answer.first(stun.NONCE) or ""
        self.ask(stream, wire, self.request(Method.ALLOCATE, pair, nonce))
        self.clock.advance(29)
        self.assertNotIn(("close", 3), self.plane.commands)
        self.clock.advance(1)
        self.assertIn(("close", 3), self.plane.commands)

    def test_who_gets_a_relay_or_moves_is_lent(self) -> None:
        """A plane that adopts is offered the connection, the new one as the first."""
        lent: list[TurnStream] = []
        self.plane = AdoptingRecordingPlane()
        self.patch(TurnStream, "lend", lambda stream, _plane: lent.append(stream))
        self.test_move_reaches_the_plane()
        hosts = [held.five_tuple.client.host for held in lent if held.five_tuple]
        self.assertEqual(hosts, ["198.51.100.1", "198.51.100.2"])

    def test_move_reaches_the_plane(self) -> None:
        """RFC 8016: before the answer."""
        settings = Turn(mobility=True)
        self.service = TurnService(
            self.clock,
            settings,
            credentials=self.passwords,
            plane=self.plane,
            clock=self.clock.seconds,
        )
        self.service.startService()
        rows = [(turn.REQUESTED_TRANSPORT, 17), (turn.MOBILITY_TICKET, b"")]
        ticket, five_tuple = b"", None
        for method, host in ((Method.ALLOCATE, "1"), (Method.REFRESH, "2")):
            stream, wire = self.connect(host=f"198.51.100.{host}")
            answer = self.ask(stream, wire, self.request(method, rows, "x"))
            nonce = answer.first(stun.NONCE) or ""
            answer = self.ask(stream, wire, self.request(method, rows, nonce))
            self.assertEqual(code_of(answer), 0)
            ticket = answer.first(turn.MOBILITY_TICKET) or b""
            rows, five_tuple = [(turn.MOBILITY_TICKET, ticket)], stream.five_tuple
        self.assertIn(("move", 1, five_tuple), self.plane.commands)

    def test_lost_connection_closes_the_relay(self) -> None:
        """At once."""
        stream, wire = self.connect()
        self.allocate(stream, wire)
        stream.connectionLost()
        self.assertIn(("close", 1), self.plane.commands)
        self.assertEqual(self.service.counters.streams, 0)

    def test_drop_closes_what_matches(self) -> None:
        """For participants who leave."""
        self.allocate(*self.connect())
        self.service.drop(lambda username: username == "bob")
        self.assertNotIn(("close", 1), self.plane.commands)
        self.service.drop(lambda username: username == "ann")
        self.assertIn(("close", 1), self.plane.commands)

    def test_stop_fires_when_the_last_connection_has_gone(self) -> None:
        """And leaves no timer behind."""
        stream, wire = self.connect()
        self.allocate(stream, wire)
        stopped = self.service.stopService()
        self.assertTrue(wire.aborted)
        self.assertNoResult(stopped)
        stream.connectionLost()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIn(("stop",), self.plane.commands)

    def test_dual_stack_listener_names_ipv4_clients_as_such(self) -> None:
        """The mapped address and the relay's family depend on it."""
        stream, wire = self.connect(
            host="::ffff:198.51.100.7", server="::ffff:198.18.0.1"
        )
        answer, _ = self.allocate(stream, wire)
        mapped = answer.first(stun.XOR_MAPPED_ADDRESS)
        self.assertEqual(mapped, Address("198.51.100.7", 40000))


class StreamTests(ServiceCase):
    """Deadlines and queues of one connection."""

    def test_first_message_has_an_absolute_deadline(self) -> None:
        """Dripping bytes do not move it."""
        stream, wire = self.connect()
        data = encode(Method.BINDING, Class.REQUEST, transaction())
        for at in range(9):
            stream.dataReceived(data[at : at + 1])
            self.clock.advance(1)
        self.assertFalse(wire.aborted)
        self.clock.advance(1.1)
        self.assertTrue(wire.aborted)
        self.assertEqual(self.service.counters.streams_timed_out, 1)

    def test_silent_client_without_allocation_is_let_go(self) -> None:
        """One with an allocation stays."""
        for allocates in (False, True):
            stream, wire = self.connect()
            if allocates:
                self.allocate(stream, wire)
            else:
                self.ask(stream, wire, encode(1, Class.REQUEST, transaction()))
            self.clock.advance(IDLE_STREAM_S)
            self.clock.advance(IDLE_STREAM_S)
            self.assertEqual(wire.aborted, not allocates)
            stream.connectionLost()

    def test_what_is_no_turn_is_closed(self) -> None:
        """At once, and nothing more is read."""
        stream, wire = self.connect()
        stream.dataReceived(b"\x16\x03\x01 a TLS hello")
        self.assertTrue(wire.aborted)
        self.assertEqual(self.service.counters.streams_broken, 1)

    def test_frames_of_one_wake_up_leave_in_one_write(self) -> None:
        """A write for each would cost a system call for each."""
        stream, wire = self.connect()
        for _ in range(5):
            stream.send(b"frame")
        self.clock.advance(0)
        self.assertEqual((wire.writes, wire.value()), (1, b"frame" * 5))

    def test_full_queue_drops_the_oldest_whole_frames(self) -> None:
        """Bounded by `queue_bytes`, and counted; never half a frame."""
        stream, wire = self.connect()
        IPushProducer(stream).pauseProducing()
        for at in range(15):
            stream.send(b"%02d........" % at)
        self.clock.advance(0)
        self.assertEqual(wire.value(), b"")
        stream.resumeProducing()
        kept = b"".join(b"%02d........" % at for at in range(5, 15))
        self.assertEqual(wire.value(), kept)
        self.assertEqual(self.service.counters.stream_frames_dropped, 5)


class ListenTests(ServiceCase):
    """Endpoint strings and relay addresses."""

    def test_endpoint_strings(self) -> None:
        """The grammar of Twisted's, for datagrams."""
        for text, endpoint in (
            ("udp:3478", UdpEndpoint(3478)),
            ("udp:port=53", UdpEndpoint(53)),
            ("udp:0:interface=127.0.0.1", UdpEndpoint(0, "127.0.0.1")),
            ("udp:3478:interface=\\:\\:1", UdpEndpoint(3478, "::1")),
        ):
            self.assertEqual(parse_udp_endpoint(text), endpoint)

    def test_bad_endpoint_strings_are_named(self) -> None:
        """The operator must see which one."""
        for text in (
            "", "udp", "udp:", "tcp:3478", "udp:70000", "udp:x", "udp:1:interface=",
            "udp:1:interface=host", "udp:1:2", "udp:1:reuse=1", "udp:interface=1.1.1.1",
        ):  # fmt: skip
            with self.assertRaises(ValueError) as caught:
                parse_udp_endpoint(text)
            self.assertIn(repr(text), str(caught.exception))

    def test_listeners_share_one_port_over_both_families(self) -> None:
        """What port 0 picked for IPv4 is asked of IPv6 too."""
        bound = self.service.listen_udp(("udp:0",))
        hosts = list(all_hosts(UdpEndpoint(0)))
        self.assertEqual(bound, [Address(host, 40000) for host in hosts])
        self.assertEqual(self.service.udp_addresses, bound)

    def test_relay_hosts(self) -> None:
        """Configured, reached, or the loopback of the other family."""
        hosts = RelayHosts("203.0.113.9", "")
        self.assertEqual(hosts.choose(4, "10.0.0.1"), ("0.0.0.0", "203.0.113.9"))
        self.assertEqual(hosts.choose(6, "2600::1"), ("2600::1", "2600::1"))
        self.assertEqual(
            RelayHosts("", "").choose(4, "::1"), ("127.0.0.1", "127.0.0.1")
        )
        self.assertRaises(ValueError, RelayHosts, "::1", "")

    def test_long_realm_is_refused(self) -> None:
        """Before anything is opened."""
        with self.assertRaises(ValueError):
            TurnService(
                self.clock,
                Turn(),
                realm="meet.example.org",
                credentials=self.passwords,
                plane=self.plane,
            )
