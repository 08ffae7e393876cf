"""Whatever clients do, when their time is over nothing of them is left."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary, integers, lists, one_of, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.attributes import bytes_row
from mosaic.wire.stun.message import Method
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.events import ConnectPeer
from mosaic.wire.turn.limits import Limits
from tests.support.udp import MemoryTurn, Rows

PEERS = [Address("9.9.9.9", 1), Address("9.9.9.9", 2), Address("2600::1", 1)]
METHODS = [
    Method.ALLOCATE,
    Method.REFRESH,
    Method.CREATE_PERMISSION,
    Method.CHANNEL_BIND,
    Method.CONNECT,
    Method.CONNECTION_BIND,
]
ROWS = one_of(
    sampled_from([(turn.REQUESTED_TRANSPORT, 17), (turn.REQUESTED_TRANSPORT, 6)]),
    sampled_from([(turn.XOR_PEER_ADDRESS, peer) for peer in PEERS]),
    sampled_from([(turn.CHANNEL_NUMBER, 0x4000), (turn.CHANNEL_NUMBER, 0x4001)]),
    sampled_from([(turn.LIFETIME, 0), (turn.EVEN_PORT, 0x80)]),
    sampled_from([(turn.MOBILITY_TICKET, b""), (turn.ADDITIONAL_ADDRESS_FAMILY, 6)]),
    tuples(sampled_from([turn.CONNECTION_ID]), integers(1, 4)),
    tuples(
        sampled_from([bytes_row(0x8030, "TICKET", "none")]), binary(max_size=24)
    ),
)  # fmt: skip
STEPS = lists(
    tuples(
        integers(0, 3),
        sampled_from(METHODS),
        lists(ROWS, max_size=4),
        sampled_from(["", "", "", "wait", "lose", "taken", "failed"]),
    ),
    max_size=25,
)


class ForgettingTests(SynchronousTestCase):
    """Allocations, ports, tickets, quotas and connections."""

    @given(STEPS)
    @settings(max_examples=100, deadline=None)
    def test_nothing_is_left(self, steps: list[tuple[int, Method, Rows, str]]) -> None:
        """Nothing raises on the way, and every table ends empty."""
        limits = Limits(tcp_relay=True, mobility=True)
        server = MemoryTurn(limits=limits)
        clients = [
            server.client(transport=transport, address=Address("9.8.7.6", port))
            for port, transport in enumerate(("udp", "tcp", "tls", "udp"), 1)
        ]
        for client in clients:
            client.challenge()
        for at, method, rows, then in steps:
            server.receive(clients[at].signed(method, rows), clients[at].five_tuple)
            if then == "wait":
                server.now += 31
                server.perform(server.core.expire(server.now))
            elif then == "lose":
                server.perform(server.core.client_lost(clients[at].five_tuple))
            for event in [e for e in server.tcp if isinstance(e, ConnectPeer)]:
                if then == "taken":
                    number = event.connection
                    server.perform(server.core.peer_connected(number, server.now))
                elif then == "failed":
                    server.perform(server.core.peer_failed(event.connection))
        server.now += 100_000
        server.perform(server.core.expire(server.now))
        table = server.core._table
        left = [
            table._by_tuple, table._by_relay, table._opening, table._reserving,
            table._relayed, table._relayed_tcp, table._tickets._held,
            table._reservations._held, table._quotas._per_host,
            table._quotas._per_credential, server.core._connections._held,
            server.core._connections._waiting, server.routes, server.reserved,
        ]  # fmt: skip
        self.assertEqual([held for held in left if held], [])
        self.assertIsNone(server.core.next_deadline())
