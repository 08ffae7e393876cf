"""The TURN server core, request by request (RFC 8656)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.attributes import bytes_row
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.channel import encode_channel_data
from mosaic.wire.turn.limits import Limits
from tests.support.udp import (
    CLIENT,
    PEER,
    MemoryTurn,
    Rows,
    code_of,
    send_indication,
    transaction,
)

OTHER = Address("198.51.100.8", 40001)
SECOND_PEER = Address("9.9.9.9", 5001)
UNKNOWN = bytes_row(0x7F01, "UNKNOWN", "none")


class AllocateTests(SynchronousTestCase):
    """Section 7."""

    def test_first_answer_is_a_challenge(self) -> None:
        """RFC 8489 section 9.2: realm and nonce, unsigned."""
        answer = MemoryTurn().client().challenge()
        self.assertEqual(code_of(answer), 401)
        self.assertEqual(answer.first(stun.REALM), "mosaic")
        self.assertTrue(answer.first(stun.NONCE))
        self.assertIsNone(answer.digest)

    def test_allocation_tells_both_addresses(self) -> None:
        """Relayed and mapped address and a lifetime of 600, signed."""
        client = MemoryTurn().client()
        answer = client.allocate()
        self.assertEqual(code_of(answer), 0)
        relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
        self.assertEqual(relayed, client.route.relayed)
        self.assertEqual(answer.first(stun.XOR_MAPPED_ADDRESS), CLIENT)
        self.assertEqual(answer.first(turn.LIFETIME), 600)
        self.assertTrue(answer.verify(client.key))

    def test_sha256_is_answered_with_sha256(self) -> None:
        """RFC 8489 section 9.2.4: alike."""
        client = MemoryTurn().client(digest="sha256")
        answer = client.allocate()
        self.assertEqual((code_of(answer), answer.digest), (0, "sha256"))
        self.assertTrue(answer.verify(client.key))

    def test_retransmission_is_answered_alike(self) -> None:
        """Section 7.2: the same transaction is no second allocation."""
        client = MemoryTurn().client()
        client.challenge()
        rows = [(turn.REQUESTED_TRANSPORT, 17)]
        data = client.signed(Method.ALLOCATE, rows, transaction())
        first, second = client.send(data), client.send(data)
        assert first is not None
        assert second is not None
        self.assertEqual(first.raw, second.raw)
        self.assertEqual(len(client.server.routes), 1)

    def test_second_allocation_mismatches(self) -> None:
        """437 on a live five-tuple."""
        client = MemoryTurn().client()
        client.allocate()
        self.assertEqual(code_of(client.allocate()), 437)

    def test_expired_allocation_makes_room(self) -> None:
        """Even if no timer ran: the old relay is closed, a new one opened."""
        client = MemoryTurn().client()
        client.allocate()
        client.server.now += 601
        self.assertEqual(code_of(client.allocate()), 0)
        self.assertEqual(client.server.closed, [1])
        self.assertEqual(list(client.server.routes), [2])

    def test_lifetime_is_kept_in_bounds(self) -> None:
        """At least the default, at most an hour (section 7.2)."""
        for asked, granted in ((1, 600), (900, 900), (0xFFFFFFFF, 3600)):
            answer = MemoryTurn().client().allocate((turn.LIFETIME, asked))
            self.assertEqual(answer.first(turn.LIFETIME), granted)

    def test_ipv6_relay_on_request(self) -> None:
        """REQUESTED-ADDRESS-FAMILY chooses, IPv4 is the default."""
        answer = MemoryTurn().client().allocate((turn.REQUESTED_ADDRESS_FAMILY, 6))
        relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        self.assertEqual(relayed.family, 6)

    def test_refusals(self) -> None:
        """400, 420, 440, 442 and 508, each signed, and nothing is allocated."""
        strange = bytes_row(0x0017, "FAMILY", "none")
        refusals: list[tuple[int, Rows]] = [
            (400, []),
            (400, [(bytes_row(0x0019, "SHORT", "none"), b"\x11")]),
            (442, [(turn.REQUESTED_TRANSPORT, 6)]),
            (440, [(turn.REQUESTED_TRANSPORT, 17), (strange, b"\x05\0\0\0")]),
            (420, [(turn.REQUESTED_TRANSPORT, 17), (UNKNOWN, b"")]),
        ]
        for code, rows in refusals:
            client = MemoryTurn().client()
            answer = client.ask(Method.ALLOCATE, rows)
            self.assertEqual(code_of(answer), code)
            self.assertTrue(answer.verify(client.key))
            self.assertEqual(len(client.server.core), 0)

    def test_family_that_the_machine_lacks(self) -> None:
        """440 when the relay cannot be opened; the quota is given back."""
        server = MemoryTurn(limits=Limits(per_credential=1))
        del server.families[6]
        client = server.client()
        answer = client.allocate((turn.REQUESTED_ADDRESS_FAMILY, 6))
        self.assertEqual(code_of(answer), 440)
        self.assertEqual(code_of(client.allocate()), 0)


class QuotaTests(SynchronousTestCase):
    """What one credential, one address and all together may hold."""

    def fill(self, limits: Limits, ends: list[tuple[str, str]]) -> list[int]:
        """Codes of allocations by (username, host)."""
        self.server = MemoryTurn(limits=limits)
        self.clients = [
            self.server.client(username=name, address=Address(host, 1000 + at))
            for at, (name, host) in enumerate(ends)
        ]
        return [code_of(client.allocate()) for client in self.clients]

    def test_per_credential(self) -> None:
        """486, and room again when one ends."""
        codes = self.fill(
            Limits(per_credential=1),
            [("ann", "1.1.1.1"), ("ann", "1.1.1.2"), ("bob", "1.1.1.1")],
        )
        self.assertEqual(codes, [0, 486, 0])
        self.clients[0].refresh((turn.LIFETIME, 0))
        self.assertEqual(code_of(self.clients[1].allocate()), 0)

    def test_per_address(self) -> None:
        """486; an IPv6 /56 counts as one address."""
        ends = [("ann", "1.1.1.1"), ("bob", "1.1.1.1"), ("bob", "2600:1:2:3::1")]
        ends += [("ann", "2600:1:2:4::9"), ("ann", "2600:1:3:3::1")]
        self.assertEqual(self.fill(Limits(per_address=1), ends), [0, 486, 0, 486, 0])

    def test_total(self) -> None:
        """508: nobody gets more."""
        ends = [("ann", "1.1.1.1"), ("bob", "1.1.1.2"), ("bob", "1.1.1.3")]
        self.assertEqual(self.fill(Limits(total=2), ends), [0, 0, 508])


class RefreshTests(SynchronousTestCase):
    """Section 8."""

    def test_refresh_lengthens(self) -> None:
        """From the time it is asked."""
        client = MemoryTurn().client()
        client.allocate()
        client.server.now += 500
        self.assertEqual(client.refresh().first(turn.LIFETIME), 600)
        client.server.now += 599
        server = client.server
        self.assertEqual(server.perform(server.core.expire(server.now)), [])
        self.assertEqual(code_of(client.refresh()), 0)

    def test_zero_ends(self) -> None:
        """The relay closes at once, and a second time there is none (437)."""
        client = MemoryTurn().client()
        client.allocate()
        self.assertEqual(client.refresh((turn.LIFETIME, 0)).first(turn.LIFETIME), 0)
        self.assertEqual(client.server.closed, [1])
        self.assertEqual(code_of(client.refresh((turn.LIFETIME, 0))), 437)

    def test_expiry_closes(self) -> None:
        """At the deadline, not before, and only once."""
        client = MemoryTurn().client()
        client.allocate()
        server = client.server
        deadline = server.core.next_deadline()
        assert deadline is not None
        self.assertEqual(server.core.expire(deadline - 0.1), [])
        server.perform(server.core.expire(deadline))
        self.assertEqual(server.closed, [1])
        self.assertIsNone(server.core.next_deadline())

    def test_deadlines_do_not_pile_up(self) -> None:
        """Refreshing for ever keeps one deadline, and it still comes true."""
        client = MemoryTurn().client()
        client.allocate()
        server = client.server
        for _ in range(200):
            client.refresh((turn.LIFETIME, 3600))
            client.refresh((turn.LIFETIME, 600))
            server.now += 1
        self.assertLess(len(server.core._table._deadlines), 70)
        end = server.now - 1 + 600
        while (deadline := server.core.next_deadline()) is not None:
            self.assertLessEqual(deadline, end)
            server.perform(server.core.expire(deadline))
        self.assertEqual(server.closed, [1])

    def test_lost_stream_ends_its_allocation(self) -> None:
        """Section 5: the five-tuple is gone."""
        client = MemoryTurn().client(transport="tcp")
        client.allocate()
        server = client.server
        server.perform(server.core.client_lost(client.five_tuple))
        self.assertEqual(server.closed, [1])

    def test_other_family_is_443(self) -> None:
        """Section 8.2."""
        client = MemoryTurn().client()
        client.allocate()
        answer = client.refresh((turn.REQUESTED_ADDRESS_FAMILY, 6))
        self.assertEqual(code_of(answer), 443)


class ChannelTests(SynchronousTestCase):
    """Section 12."""

    def setUp(self) -> None:
        """One allocation."""
        self.client = MemoryTurn().client()
        self.client.allocate()
        self.server = self.client.server

    def frame(self, payload: bytes, channel: int = 0x4000) -> bytes:
        """ChannelData."""
        return encode_channel_data(channel, payload, stream=False)

    def test_data_both_ways(self) -> None:
        """An empty datagram too."""
        self.assertEqual(code_of(self.client.bind(0x4000, PEER)), 0)
        route = self.client.route
        for payload in (b"", b"hello"):
            out = route.from_client(self.frame(payload), self.server.now)
            assert out is not None
            self.assertEqual((out.peer, bytes(out.payload)), (PEER, payload))
            back = route.from_peer(PEER, payload, self.server.now, own=False)
            self.assertEqual(back, self.frame(payload))

    def test_range(self) -> None:
        """0x4000-0x4FFF alone."""
        for channel, code in ((0x3FFF, 400), (0x5000, 400), (0x4FFF, 0)):
            self.assertEqual(code_of(self.client.bind(channel, PEER)), code)

    def test_both_attributes_are_needed(self) -> None:
        """400 for either alone."""
        for rows in ([(turn.CHANNEL_NUMBER, 0x4000)], [(turn.XOR_PEER_ADDRESS, PEER)]):
            answer = self.client.ask(Method.CHANNEL_BIND, rows)
            self.assertEqual(code_of(answer), 400)

    def test_rebinding_is_refused_both_ways(self) -> None:
        """Section 12.2: until the binding expires."""
        self.client.bind(0x4000, PEER)
        self.assertEqual(code_of(self.client.bind(0x4000, SECOND_PEER)), 400)
        self.assertEqual(code_of(self.client.bind(0x4001, PEER)), 400)
        self.assertEqual(code_of(self.client.bind(0x4000, PEER)), 0)
        self.server.now += 590
        self.client.refresh()
        self.server.now += 10
        self.assertEqual(code_of(self.client.bind(0x4001, PEER)), 0)
        self.assertEqual(code_of(self.client.bind(0x4000, SECOND_PEER)), 0)
        out = self.client.route.from_client(self.frame(b"x"), self.server.now)
        assert out is not None
        self.assertEqual(out.peer, SECOND_PEER)

    def test_channel_outlives_its_permission(self) -> None:
        """Permission 300 s, channel 600 s: then the peer is not heard."""
        self.client.bind(0x4000, PEER)
        route = self.client.route
        self.server.now += 299
        self.assertTrue(route.from_peer(PEER, b"x", self.server.now, own=False))
        self.server.now += 1
        self.assertIsNone(route.from_peer(PEER, b"x", self.server.now, own=False))
        self.assertTrue(route.from_client(self.frame(b"x"), self.server.now))
        self.client.bind(0x4000, PEER)
        self.assertTrue(route.from_peer(PEER, b"x", self.server.now, own=False))

    def test_channel_expires(self) -> None:
        """After 600 s; the peer's data then comes as an indication."""
        self.client.bind(0x4000, PEER)
        self.server.now += 590
        self.client.refresh()
        self.client.permit(PEER)
        self.server.now += 10
        route = self.client.route
        self.assertIsNone(route.from_client(self.frame(b"x"), self.server.now))
        data = route.from_peer(PEER, b"x", self.server.now, own=False)
        assert data is not None
        self.assertEqual(parse(data).method, Method.DATA)

    def test_allocation_end_ends_everything(self) -> None:
        """Checked on the data path itself, whatever timers do."""
        self.client.bind(0x4000, PEER)
        route = self.client.route
        self.server.now += 600
        self.assertIsNone(route.from_client(self.frame(b"x"), self.server.now))
        self.assertIsNone(route.from_peer(PEER, b"x", self.server.now, own=False))


class PermissionTests(SynchronousTestCase):
    """Sections 9 to 11."""

    def setUp(self) -> None:
        """One allocation."""
        self.client = MemoryTurn().client()
        self.client.allocate()
        self.server = self.client.server

    def test_indications_both_ways(self) -> None:
        """By host: any port of a permitted one."""
        route, now = self.client.route, self.server.now
        self.assertIsNone(route.from_client(send_indication(PEER, b"hi"), now))
        self.assertIsNone(route.from_peer(PEER, b"hi", now, own=False))
        self.assertEqual(code_of(self.client.permit(PEER)), 0)
        out = route.from_client(send_indication(SECOND_PEER, b"hi"), now)
        assert out is not None
        self.assertEqual((out.peer, out.payload), (SECOND_PEER, b"hi"))
        data = route.from_peer(SECOND_PEER, b"you", now, own=False)
        assert data is not None
        message = parse(data)
        self.assertEqual((message.method, message.cls), (Method.DATA, Class.INDICATION))
        self.assertEqual(message.first(turn.XOR_PEER_ADDRESS), SECOND_PEER)
        self.assertEqual(message.first(turn.DATA), b"you")

    def test_permission_lasts_300_seconds(self) -> None:
        """Data does not refresh it (section 9)."""
        self.client.permit(PEER)
        route = self.client.route
        self.server.now += 299.9
        self.assertTrue(route.from_peer(PEER, b"x", self.server.now, own=False))
        self.server.now += 0.1
        self.assertIsNone(route.from_peer(PEER, b"x", self.server.now, own=False))

    def test_several_peers_at_once(self) -> None:
        """All or, if one is refused, none (section 10.2)."""
        other = Address("8.8.4.4", 1)
        private = Address("10.0.0.1", 1)
        self.assertEqual(code_of(self.client.permit(other, private)), 403)
        route, now = self.client.route, self.server.now
        self.assertIsNone(route.from_peer(other, b"x", now, own=False))
        self.assertEqual(code_of(self.client.permit(other, PEER)), 0)
        self.assertTrue(route.from_peer(other, b"x", now, own=False))
        self.assertTrue(route.from_peer(PEER, b"x", now, own=False))

    def test_nobody_is_400_and_the_other_family_443(self) -> None:
        """Section 10.2."""
        self.assertEqual(code_of(self.client.permit()), 400)
        peer = Address("2600::1", 1)
        self.assertEqual(code_of(self.client.permit(peer)), 443)
        self.assertEqual(code_of(self.client.bind(0x4000, peer)), 443)

    def test_without_allocation_437(self) -> None:
        """For every method that needs one."""
        client = self.server.client(address=OTHER)
        self.assertEqual(code_of(client.permit(PEER)), 437)
        self.assertEqual(code_of(client.bind(0x4000, PEER)), 437)
        self.assertEqual(code_of(client.refresh()), 437)

    def test_permissions_are_bounded(self) -> None:
        """508 past the limit; dead ones make room."""
        client = MemoryTurn(limits=Limits(permissions=2)).client()
        client.allocate()
        peers = [Address(f"9.9.9.{at}", 1) for at in range(4)]
        codes = [code_of(client.permit(peer)) for peer in peers[:3]]
        self.assertEqual(codes, [0, 0, 508])
        client.server.now += 301
        self.assertEqual(code_of(client.permit(peers[3])), 0)

    def test_broken_send_is_silence(self) -> None:
        """No DATA, an unknown required attribute, another class."""
        self.client.permit(PEER)
        row = (turn.XOR_PEER_ADDRESS, PEER)
        route = self.client.route
        broken: list[Rows] = [
            [row],
            [row, (turn.DATA, b""), (UNKNOWN, b"")],
            [(turn.DATA, b"")],
        ]
        for rows in broken:
            data = encode(Method.SEND, Class.INDICATION, transaction(), rows)
            self.assertIsNone(route.from_client(data, self.server.now))
        good: Rows = [row, (turn.DATA, b"x")]
        data = encode(Method.SEND, Class.REQUEST, transaction(), good)
        self.assertIsNone(route.from_client(data, self.server.now))

    @given(binary(max_size=60))
    @settings(max_examples=200, deadline=None)
    def test_any_bytes_on_the_data_path(self, data: bytes) -> None:
        """Nothing is raised, and nothing unbound goes anywhere."""
        self.assertIsNone(self.client.route.from_client(data, self.server.now))
        self.assertIsNone(
            self.client.route.from_peer(PEER, data, self.server.now, own=False)
        )
