"""RFC 6062: connections of TCP allocations, in the core."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import integers as numbers
from hypothesis.strategies import lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Class, Message, Method, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.events import ClosePeer, ConnectPeer, JoinPeer
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import parse_networks
from tests.support.udp import (
    CLIENT,
    PEER,
    SERVER,
    MemoryClient,
    MemoryTurn,
    Rows,
    code_of,
)

TCP = [(turn.REQUESTED_TRANSPORT, 6)]
LIMITS = Limits(tcp_relay=True, mobility=True)
DATA = Address(CLIENT.host, 40001)


class Case(SynchronousTestCase):
    """A client with a TCP allocation."""

    def setUp(self) -> None:
        """Over TCP."""
        self.server = MemoryTurn(limits=LIMITS)
        self.client = self.server.client(transport="tcp")
        self.answer = self.client.ask(Method.ALLOCATE, TCP)
        self.core = self.server.core

    def connect(self, peer: Address = PEER) -> ConnectPeer:
        """A Connect that is under way."""
        rows = [(turn.XOR_PEER_ADDRESS, peer)]
        answer = self.client.send(self.client.signed(Method.CONNECT, rows))
        self.assertIsNone(answer)
        event = self.server.tcp[-1]
        assert isinstance(event, ConnectPeer)
        return event

    def refused(self, peer: Address) -> int:
        """The code of a Connect that is refused."""
        rows = [(turn.XOR_PEER_ADDRESS, peer)]
        return code_of(self.client.ask(Method.CONNECT, rows))

    def taken(self, connection: int) -> Message:
        """The peer takes it: the answer."""
        events = self.core.peer_connected(connection, self.server.now)
        return parse(self.server.perform(events)[0])

    def bind(self, connection: int, **who: Any) -> Message:
        """A ConnectionBind over another connection."""
        data = self.server.client(**{"transport": "tcp", "address": DATA, **who})
        self.data: MemoryClient = data
        data.challenge()
        rows: Rows = [(turn.CONNECTION_ID, connection)]
        answers = self.server.receive(
            data.signed(Method.CONNECTION_BIND, rows), data.five_tuple
        )
        return parse(answers[0])


class AllocateTests(Case):
    """Section 5.1."""

    def test_5_1_relayed_address_is_told(self) -> None:
        """As for UDP."""
        self.assertEqual(code_of(self.answer), 0)
        self.assertTrue(self.answer.first(turn.XOR_RELAYED_ADDRESS))

    def test_5_1_off_is_442(self) -> None:
        """Off is the default; Connect is not answered then."""
        client = MemoryTurn().client(transport="tcp")
        self.assertEqual(code_of(client.ask(Method.ALLOCATE, TCP)), 442)
        self.assertIsNone(client.send(client.signed(Method.CONNECT)))

    def test_5_1_what_only_datagrams_have_is_400(self) -> None:
        """Over UDP, with EVEN-PORT, RESERVATION-TOKEN or DONT-FRAGMENT."""
        client = MemoryTurn(limits=LIMITS).client()
        self.assertEqual(code_of(client.ask(Method.ALLOCATE, TCP)), 400)
        extras: list[Rows] = [
            [(turn.EVEN_PORT, 0)],
            [(turn.RESERVATION_TOKEN, b"12345678")],
            [(turn.DONT_FRAGMENT, b"")],
        ]
        for extra in extras:
            client = MemoryTurn(limits=LIMITS).client(transport="tls")
            answer = client.ask(Method.ALLOCATE, [*TCP, *extra])
            self.assertEqual(code_of(answer), 400)

    def test_channels_and_tickets_are_refused(self) -> None:
        """A TCP allocation has connections, and does not move."""
        self.assertEqual(code_of(self.client.bind(0x4000, PEER)), 403)
        client = MemoryTurn(limits=LIMITS).client(transport="tcp")
        answer = client.ask(Method.ALLOCATE, [*TCP, (turn.MOBILITY_TICKET, b"")])
        self.assertEqual(code_of(answer), 405)


class ConnectTests(Case):
    """Section 5.2."""

    def test_5_2_success_names_the_connection(self) -> None:
        """Once the peer has taken it, not before."""
        wanted = self.connect()
        self.assertEqual(wanted.peer, PEER)
        answer = self.taken(wanted.connection)
        self.assertEqual(code_of(answer), 0)
        self.assertEqual(answer.first(turn.CONNECTION_ID), wanted.connection)
        self.assertTrue(answer.verify(self.client.key))

    def test_5_2_without_a_tcp_allocation_437(self) -> None:
        """None, or one for UDP."""
        other = self.server.client(transport="tcp", address=DATA)
        rows = [(turn.XOR_PEER_ADDRESS, PEER)]
        self.assertEqual(code_of(other.ask(Method.CONNECT, rows)), 437)
        other.allocate()
        self.assertEqual(code_of(other.ask(Method.CONNECT, rows)), 437)

    def test_5_2_peer_policy_counts(self) -> None:
        """403 for private peers, 443 for the other family, 400 for nobody."""
        for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"):
            self.assertEqual(self.refused(Address(host, 80)), 403)
        self.assertEqual(self.refused(Address("2600::1", 80)), 443)
        self.assertEqual(code_of(self.client.ask(Method.CONNECT)), 400)
        self.assertEqual(self.server.tcp, [])

    def test_5_2_port_of_a_udp_relay_is_no_peer(self) -> None:
        """What listens there over TCP is not ours to give."""
        other = self.server.client(address=DATA)
        relayed = other.allocate().first(turn.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        self.assertEqual(self.refused(relayed), 403)
        mine = self.answer.first(turn.XOR_RELAYED_ADDRESS)
        assert mine is not None
        self.assertEqual(code_of(other.permit(mine)), 403)
        self.connect(mine)

    def test_5_2_second_connection_to_a_peer_is_446(self) -> None:
        """While the first is under way, and when it is there; then not."""
        first = self.connect()
        self.assertEqual(self.refused(PEER), 446)
        self.taken(first.connection)
        self.assertEqual(self.refused(PEER), 446)
        self.core.peer_closed(first.connection)
        self.connect()

    def test_5_2_failure_is_447(self) -> None:
        """And the peer may be tried again."""
        wanted = self.connect()
        (answer,) = self.server.perform(self.core.peer_failed(wanted.connection))
        self.assertEqual(code_of(parse(answer)), 447)
        self.connect()

    def test_5_2_time_out_is_447_after_30_seconds(self) -> None:
        """Not before; a connection that comes later is closed."""
        wanted = self.connect()
        self.server.now += 29.9
        self.assertEqual(self.core.expire(self.server.now), [])
        self.assertEqual(self.core.next_deadline(), 1030.0)
        self.server.now += 0.1
        (answer,) = self.server.perform(self.core.expire(self.server.now))
        self.assertEqual(code_of(parse(answer)), 447)
        self.assertEqual(self.server.tcp[-1], ClosePeer(wanted.connection))
        late = self.core.peer_connected(wanted.connection, self.server.now)
        self.assertEqual(late, [ClosePeer(wanted.connection)])

    def test_connections_are_bounded(self) -> None:
        """508 past the limit."""
        self.core.set_limits(Limits(tcp_relay=True, tcp_connections=2))
        for at in range(2):
            self.connect(Address("9.9.9.9", at + 1))
        self.assertEqual(self.refused(PEER), 508)


class AttemptTests(Case):
    """Section 5.3."""

    def arrive(self, peer: Address = PEER) -> tuple[int, list[bytes]]:
        """A peer connects to the relayed address."""
        number, events = self.core.peer_arrived(1, peer, self.server.now)
        return number, self.server.perform(events)

    def test_5_3_client_is_told_of_a_permitted_peer(self) -> None:
        """By an indication with number and address."""
        self.client.permit(PEER)
        number, (data,) = self.arrive()
        told = parse(data)
        self.assertEqual(told.method, Method.CONNECTION_ATTEMPT)
        self.assertEqual(told.cls, Class.INDICATION)
        self.assertEqual(told.first(turn.CONNECTION_ID), number)
        self.assertEqual(told.first(turn.XOR_PEER_ADDRESS), PEER)

    def test_5_3_without_permission_it_is_closed(self) -> None:
        """Also when the permission has expired, and for a relay that is gone."""
        self.assertEqual(self.arrive(), (0, []))
        self.client.permit(PEER)
        self.server.now += 300
        self.assertEqual(self.arrive(), (0, []))
        self.assertEqual(self.core.peer_arrived(99, PEER, 0.0), (0, []))

    def test_5_3_unbound_is_closed_after_30_seconds(self) -> None:
        """So that peers cannot pile up."""
        self.client.permit(PEER)
        number, _ = self.arrive()
        self.server.now += 30
        self.server.perform(self.core.expire(self.server.now))
        self.assertEqual(self.server.tcp, [ClosePeer(number)])


class BindTests(Case):
    """Section 5.4."""

    def setUp(self) -> None:
        """A connection that waits."""
        super().setUp()
        self.number = self.connect().connection
        self.taken(self.number)

    def test_5_4_joins_the_two(self) -> None:
        """After the answer; for good."""
        answer = self.bind(self.number)
        self.assertEqual(code_of(answer), 0)
        joined = JoinPeer(self.number, self.data.five_tuple)
        self.assertEqual(self.server.tcp[-1], joined)
        self.server.now += 60
        self.server.perform(self.core.expire(self.server.now))
        self.assertEqual(self.server.tcp[-1], joined)

    def test_5_4_refusals(self) -> None:
        """400 for no such connection, twice, over UDP; 441 for another user."""
        self.assertEqual(code_of(self.bind(self.number + 9)), 400)
        self.assertEqual(code_of(self.bind(self.number, transport="udp")), 400)
        self.assertEqual(code_of(self.bind(self.number, username="bob")), 441)
        self.assertEqual(code_of(self.bind(self.number, address=CLIENT)), 400)
        self.assertEqual(code_of(self.bind(self.number)), 0)
        self.assertEqual(code_of(self.bind(self.number)), 400)

    def test_5_4_under_way_is_not_there_yet(self) -> None:
        """Nobody binds what the peer has not taken."""
        wanted = self.connect(Address("9.9.9.9", 1))
        self.assertEqual(code_of(self.bind(wanted.connection)), 400)

    def test_end_of_the_allocation_ends_its_connections(self) -> None:
        """By Refresh, by the loss of the control connection, by expiry."""
        self.bind(self.number)
        lost = self.core.client_lost(self.client.five_tuple)
        self.server.perform(lost)
        self.assertEqual(self.server.tcp[-1], ClosePeer(self.number))
        self.assertEqual(len(self.core._connections), 0)
        self.assertEqual(self.client.five_tuple.server, SERVER)

    def test_denied_peer_is_hung_up_on(self) -> None:
        """When an operator denies its network, joined or not."""
        self.bind(self.number)
        self.connect(Address("9.9.9.9", 1))
        self.server.policy.deny_networks(parse_networks(["9.9.9.0/24"]))
        events = self.core.enforce_policy(self.server.now)
        (answer,) = self.server.perform(events)
        self.assertEqual(code_of(parse(answer)), 447)
        self.assertIn(ClosePeer(self.number), self.server.tcp)
        self.assertEqual(len(self.core._connections), 0)

    @given(lists(tuples(sampled_from("ctfbxe"), numbers(1, 6)), max_size=20))
    @settings(max_examples=60, deadline=None)
    def test_any_order_of_events_is_safe(self, steps: list[tuple[str, int]]) -> None:
        """And when the allocation ends nothing is left."""
        Case.setUp(self)
        for step, number in steps:
            if step == "c":
                rows = [(turn.XOR_PEER_ADDRESS, Address("9.9.9.9", number))]
                self.client.send(self.client.signed(Method.CONNECT, rows))
            elif step == "t":
                self.server.perform(self.core.peer_connected(number, self.server.now))
            elif step == "f":
                self.server.perform(self.core.peer_failed(number))
            elif step == "b":
                self.bind(number)
            elif step == "x":
                self.core.peer_closed(number)
            else:
                self.server.now += 11
                self.server.perform(self.core.expire(self.server.now))
        self.server.perform(self.core.client_lost(self.client.five_tuple))
        self.assertEqual(len(self.core._connections), 0)
        self.assertEqual(self.core._connections._waiting, {})
