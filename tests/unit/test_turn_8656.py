"""RFC 8656: two families, reserved ports, DF, ICMP and redirection."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import binary, integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.stun.message import Class, Message, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.attributes import AddressError, Icmp
from mosaic.wire.turn.limits import Limits
from tests.support.udp import CLIENT, PEER, MemoryClient, MemoryTurn, Rows, code_of
from tests.support.udp import transaction as tid

PEER6 = Address("2600::9", 5000)
DUAL = (turn.ADDITIONAL_ADDRESS_FAMILY, 6)
PAIR = (turn.EVEN_PORT, 0x80)
ELSEWHERE = Address("198.51.100.99", 1)


def relayed(answer: Message) -> list[Address]:
    """Every relayed address of an answer."""
    return answer.every(turn.XOR_RELAYED_ADDRESS)


class DualTests(SynchronousTestCase):
    """Sections 5, 7.2, 8 and 9: one allocation, two relayed addresses."""

    def dual(self, **how: Any) -> MemoryClient:
        """A client with both."""
        client = MemoryTurn(**how).client()
        self.answer = client.allocate(DUAL)
        return client

    def test_7_2_both_families_in_one_answer(self) -> None:
        """IPv4 first; it counts as one allocation."""
        client = self.dual(limits=Limits(per_credential=1))
        self.assertEqual([a.family for a in relayed(self.answer)], [4, 6])
        self.assertEqual((len(client.server.core), len(client.server.routes)), (1, 2))
        self.assertEqual(code_of(client.server.client().allocate()), 437)

    def test_7_2_coturn_s_number_for_it_is_understood(self) -> None:
        """Its releases before 4.8 say 0x8032."""
        client = MemoryTurn().client()
        answer = client.allocate((turn.DRAFT_ADDITIONAL_ADDRESS_FAMILY, 6))
        self.assertEqual(len(relayed(answer)), 2)

    def test_7_2_partial_success_names_the_missing_family(self) -> None:
        """ADDRESS-ERROR-CODE; the other one works."""
        for family in (4, 6):
            server = MemoryTurn()
            del server.families[family]
            answer = server.client().allocate(DUAL)
            self.assertEqual([a.family for a in relayed(answer)], [10 - family])
            error: AddressError | None = answer.first(turn.ADDRESS_ERROR_CODE)
            self.assertEqual(error, AddressError(family, 440))

    def test_7_2_neither_family_is_440(self) -> None:
        """And nothing is held."""
        server = MemoryTurn()
        server.families.clear()
        self.assertEqual(code_of(server.client().allocate(DUAL)), 440)
        self.assertEqual(len(server.core), 0)

    def test_7_2_forbidden_combinations_are_400(self) -> None:
        """With REQUESTED-ADDRESS-FAMILY, with R, for IPv4 or an unknown one."""
        strange: Attribute[bytes] = stun.bytes_row(0x8000, "STRANGE", "none")
        bad: list[Rows] = [
            [DUAL, (turn.REQUESTED_ADDRESS_FAMILY, 4)],
            [DUAL, PAIR],
            [(turn.ADDITIONAL_ADDRESS_FAMILY, 4)],
            [(strange, b"\x07\0\0\0")],
            [(turn.RESERVATION_TOKEN, b"12345678"), (turn.EVEN_PORT, 0)],
            [(turn.RESERVATION_TOKEN, b"12345678"), DUAL],
            [
                (turn.RESERVATION_TOKEN, b"12345678"),
                (turn.REQUESTED_ADDRESS_FAMILY, 4),
            ],
        ]
        for rows in bad:
            self.assertEqual(code_of(MemoryTurn().client().allocate(*rows)), 400)

    def test_retransmission_is_answered_alike(self) -> None:
        """Both addresses again, nothing new."""
        client = MemoryTurn().client()
        client.challenge()
        data = client.signed(
            Method.ALLOCATE, [(turn.REQUESTED_TRANSPORT, 17), DUAL], tid()
        )
        first, second = client.send(data), client.send(data)
        assert first is not None
        assert second is not None
        self.assertEqual(first.raw, second.raw)

    def test_a_plane_of_one_family_gives_one(self) -> None:
        """The attribute may be passed over (its number is above 0x7FFF)."""
        answer = MemoryTurn(limits=Limits(dual=False)).client().allocate(DUAL)
        self.assertEqual([a.family for a in relayed(answer)], [4])

    def test_9_permissions_and_channels_go_to_their_family(self) -> None:
        """Each route lets through what is its own."""
        client = self.dual()
        self.assertEqual(code_of(client.permit(PEER, PEER6)), 0)
        self.assertEqual(code_of(client.bind(0x4000, PEER6)), 0)
        four, six = client.server.routes.values()
        now = client.server.now
        self.assertTrue(four.from_peer(PEER, b"x", now, own=False))
        self.assertIsNone(four.from_peer(PEER6, b"x", now, own=False))
        frame = six.from_peer(PEER6, b"x", now, own=False)
        self.assertEqual(frame, b"\x40\x00\x00\x01x")

    def test_8_refresh_extends_both(self) -> None:
        """And both end together."""
        client = self.dual()
        client.server.now += 500
        client.refresh()
        ends = {route.expires_at for route in client.server.routes.values()}
        self.assertEqual(ends, {client.server.now + 600})
        client.refresh((turn.LIFETIME, 0))
        self.assertEqual(client.server.routes, {})

    def test_8_1_refresh_of_one_family_leaves_the_other_alone(self) -> None:
        """Each half has its own end, and goes with its permissions and channels."""
        client = self.dual()
        server, six = client.server, (turn.REQUESTED_ADDRESS_FAMILY, 6)
        client.bind(0x4000, PEER)
        server.now += 400
        self.assertEqual(code_of(client.refresh(six)), 0)
        ends = sorted(route.expires_at for route in server.routes.values())
        self.assertEqual(ends, [server.now + 200, server.now + 600])
        self.assertEqual(server.core.next_deadline(), server.now + 200)
        server.now += 200
        server.perform(server.core.expire(server.now))
        self.assertEqual(len(server.routes), 1)
        self.assertEqual(code_of(client.permit(PEER)), 443)
        self.assertEqual(code_of(client.bind(0x4000, PEER6)), 0)  # it is free
        server.now += 400
        server.perform(server.core.expire(server.now))
        self.assertEqual((len(server.core), server.routes), (0, {}))

    def test_8_2_one_family_may_be_ended(self) -> None:
        """The other lives; then that family is 443, and so are its peers."""
        client = self.dual()
        six = (turn.REQUESTED_ADDRESS_FAMILY, 6)
        answer = client.refresh((turn.LIFETIME, 0), six)
        self.assertEqual(code_of(answer), 0)
        self.assertEqual(len(client.server.routes), 1)
        self.assertEqual(code_of(client.refresh(six)), 443)
        self.assertEqual(code_of(client.permit(PEER6)), 443)
        self.assertEqual(code_of(client.permit(PEER)), 0)
        client.refresh((turn.LIFETIME, 0), (turn.REQUESTED_ADDRESS_FAMILY, 4))
        self.assertEqual((len(client.server.core), client.server.routes), (0, {}))

    def test_8_2_matching_family_is_no_mismatch(self) -> None:
        """443 is for the other one alone."""
        client = MemoryTurn().client()
        client.allocate()
        four, six = (
            code_of(client.refresh((turn.REQUESTED_ADDRESS_FAMILY, family)))
            for family in (4, 6)
        )
        self.assertEqual((four, six), (0, 443))


class ReservationTests(SynchronousTestCase):
    """Section 7.2: EVEN-PORT with R, and RESERVATION-TOKEN."""

    def setUp(self) -> None:
        """One client with a pair."""
        self.server = MemoryTurn()
        self.first = self.server.client()
        self.answer = self.first.allocate(PAIR)
        self.token = self.answer.first(turn.RESERVATION_TOKEN) or b""

    def second(self, **who: Any) -> Message:
        """Another Allocate, with the token."""
        client = self.server.client(address=ELSEWHERE, **who)
        return client.allocate((turn.RESERVATION_TOKEN, self.token))

    def test_7_2_token_gives_the_next_port(self) -> None:
        """Once."""
        even = relayed(self.answer)[0]
        self.assertEqual(relayed(self.second()), [Address(even.host, even.port + 1)])
        third = self.server.client(address=Address("9.9.9.1", 1))
        answer = third.allocate((turn.RESERVATION_TOKEN, self.token))
        self.assertEqual(code_of(answer), 508)

    def test_7_2_token_lives_30_seconds(self) -> None:
        """Then the port is free and the token is 508."""
        self.server.now += 29
        self.server.perform(self.server.core.expire(self.server.now))
        self.assertEqual(self.server.closed, [])
        deadline = self.server.core.next_deadline()
        self.assertEqual(deadline, 1030.0)
        self.server.now += 1
        self.server.perform(self.server.core.expire(self.server.now))
        self.assertEqual(len(self.server.closed), 1)
        self.assertEqual(code_of(self.second()), 508)

    def test_token_is_its_owner_s(self) -> None:
        """Another user cannot take the port, and a guess is nothing."""
        self.assertEqual(code_of(self.second(username="bob")), 508)
        self.token = b"8 bytes!"
        self.assertEqual(code_of(self.second()), 508)

    def test_reserved_port_counts_against_the_quota(self) -> None:
        """Held ports are a resource; claiming needs no second place."""
        self.server = MemoryTurn(limits=Limits(per_credential=2))
        self.token = (
            self.server.client().allocate(PAIR).first(turn.RESERVATION_TOKEN) or b""
        )
        other = self.server.client(address=Address("9.9.9.1", 1))
        self.assertEqual(code_of(other.allocate()), 486)
        self.assertEqual(code_of(self.second()), 0)
        self.assertEqual(code_of(other.allocate()), 486)

    def test_revoked_user_loses_reserved_ports(self) -> None:
        """Nothing is left of who was put out."""
        self.server.perform(self.server.core.drop(lambda username: username == "ann"))
        self.assertEqual((self.server.reserved, self.server.routes), ({}, {}))

    def test_plane_without_pairs_is_508(self) -> None:
        """Cannot satisfy the request."""
        server = MemoryTurn(limits=Limits(port_pairs=False))
        self.assertEqual(code_of(server.client().allocate(PAIR)), 508)

    @given(lists(sampled_from(["pair", "claim", "expire", "end"]), max_size=12))
    @settings(max_examples=60, deadline=None)
    def test_nothing_leaks(self, steps: list[str]) -> None:
        """Whatever the order, the end of all is the end of all."""
        server = MemoryTurn(limits=Limits(per_credential=4))
        clients: list[MemoryClient] = []
        token = b"8 bytes!"
        for at, step in enumerate(steps):
            client = server.client(address=Address("9.9.9.1", at + 1))
            if step == "pair":
                answer = client.allocate(PAIR)
                token = answer.first(turn.RESERVATION_TOKEN) or token
                clients.append(client)
            elif step == "claim":
                client.allocate((turn.RESERVATION_TOKEN, token))
                clients.append(client)
            elif step == "expire":
                server.now += 31
                server.perform(server.core.expire(server.now))
            elif clients:
                clients.pop().refresh((turn.LIFETIME, 0))
        server.now += 4000
        server.perform(server.core.expire(server.now))
        quotas = server.core._table._quotas
        held = quotas._per_credential, quotas._per_host
        self.assertEqual(held, ({}, {}))
        self.assertEqual((server.reserved, server.routes), ({}, {}))


class FragmentTests(SynchronousTestCase):
    """Sections 7.2, 11.2 and 14: DONT-FRAGMENT."""

    def test_7_2_unsupported_is_an_unknown_attribute(self) -> None:
        """420 that lists it."""
        client = MemoryTurn(limits=Limits(dont_fragment=False)).client()
        answer = client.allocate((turn.DONT_FRAGMENT, b""))
        self.assertEqual(code_of(answer), 420)
        self.assertEqual(answer.first(stun.UNKNOWN_ATTRIBUTES), (0x1A,))

    def test_11_2_send_with_df_asks_for_the_bit(self) -> None:
        """Only that datagram."""
        client = MemoryTurn().client()
        self.assertEqual(code_of(client.allocate((turn.DONT_FRAGMENT, b""))), 0)
        client.permit(PEER)
        rows: Rows = [(turn.XOR_PEER_ADDRESS, PEER), (turn.DATA, b"x")]
        for extra in ([], [(turn.DONT_FRAGMENT, b"")]):
            data = encode(Method.SEND, Class.INDICATION, tid(), [*rows, *extra])
            out = client.route.from_client(data, client.server.now)
            assert out is not None
            self.assertEqual(out.dont_fragment, bool(extra))


class IcmpTests(SynchronousTestCase):
    """Sections 11.5 and 18.13."""

    def test_11_5_client_is_told(self) -> None:
        """Peer and ICMP, and no DATA."""
        client = MemoryTurn().client()
        client.allocate()
        client.permit(PEER)
        frame = client.route.from_icmp(PEER, 3, 4, b"\0\0\5\0", client.server.now)
        assert frame is not None
        told = parse(frame)
        self.assertEqual((told.method, told.cls), (Method.DATA, Class.INDICATION))
        self.assertEqual(told.first(turn.XOR_PEER_ADDRESS), PEER)
        icmp: Icmp | None = told.first(turn.ICMP)
        self.assertEqual(icmp, Icmp(3, 4, b"\0\0\5\0"))
        data = told.first(turn.DATA)
        self.assertIsNone(data)

    def test_11_5_only_for_permitted_peers_and_useful_types(self) -> None:
        """Anything else is discarded."""
        client = MemoryTurn().client()
        client.allocate()
        route, now = client.route, client.server.now
        self.assertIsNone(route.from_icmp(PEER, 3, 3, bytes(4), now))
        client.permit(PEER)
        self.assertIsNone(route.from_icmp(PEER, 8, 0, bytes(4), now))
        self.assertIsNone(route.from_icmp(PEER, 3, 3, bytes(4), now + 300))

    @given(integers(0, 127), integers(0, 511), binary(min_size=4, max_size=4))
    @settings(max_examples=100, deadline=None)
    def test_18_13_value_survives(self, kind: int, code: int, data: bytes) -> None:
        """7 bits of type, 9 of code, 32 of data."""
        icmp = Icmp(kind, code, data)
        self.assertEqual(turn.ICMP.unpack(turn.ICMP.pack(icmp, b""), b""), icmp)


class RedirectTests(SynchronousTestCase):
    """RFC 8489 section 10, RFC 8656 section 7.2: 300 Try Alternate."""

    def test_10_new_allocations_are_sent_elsewhere(self) -> None:
        """Signed, with a server of the client's family; old ones live on."""
        four, six = Address("192.0.2.7", 3478), Address("2001:db8::7", 3478)
        server = MemoryTurn()
        old = server.client()
        old.allocate()
        server.core.set_limits(Limits(alternates=(six, four)))
        for address, alternate in ((ELSEWHERE, four), (Address("2600::1", 1), six)):
            client = server.client(address=address)
            answer = client.allocate()
            self.assertEqual(code_of(answer), 300)
            self.assertEqual(answer.first(stun.ALTERNATE_SERVER), alternate)
            self.assertTrue(answer.verify(client.key))
        self.assertEqual(code_of(old.refresh()), 0)

    def test_10_strangers_are_not_redirected(self) -> None:
        """They are asked who they are first."""
        server = MemoryTurn(limits=Limits(alternates=(Address("192.0.2.7", 1),)))
        self.assertEqual(code_of(server.client().challenge()), 401)


class ChannelRangeTests(SynchronousTestCase):
    """Section 12: 0x4000-0x4FFF, or RFC 5766's for those who ask."""

    def test_12_range_is_a_limit(self) -> None:
        """Strict unless told otherwise."""
        wide = Limits(channels=range(0x4000, 0x8000))
        for limits, code in ((Limits(), 400), (wide, 0)):
            client = MemoryTurn(limits=limits).client()
            client.allocate()
            self.assertEqual(code_of(client.bind(0x7FFE, PEER)), code)


class MobilityTests(SynchronousTestCase):
    """RFC 8016."""

    TICKET = (turn.MOBILITY_TICKET, b"")
    LIMITS = Limits(mobility=True, per_address=2)

    def setUp(self) -> None:
        """An allocation that may move."""
        self.server = MemoryTurn(limits=self.LIMITS)
        self.client = self.server.client()
        self.answer = self.client.allocate(self.TICKET)
        self.ticket = self.answer.first(turn.MOBILITY_TICKET) or b""

    def arrive(self, address: Address, **who: Any) -> Message:
        """A Refresh with the ticket, from somewhere."""
        self.moved = self.server.client(address=address, **who)
        return self.moved.refresh((turn.MOBILITY_TICKET, self.ticket))

    def test_3_1_ticket_on_request_alone(self) -> None:
        """Nobody else's allocation moves."""
        self.assertTrue(self.ticket)
        answer = self.server.client(address=ELSEWHERE).allocate()
        ticket = answer.first(turn.MOBILITY_TICKET)
        self.assertIsNone(ticket)

    def test_3_1_off_is_405_and_a_full_ticket_400(self) -> None:
        """Off is the default."""
        client = MemoryTurn().client()
        self.assertEqual(code_of(client.allocate(self.TICKET)), 405)
        full = (turn.MOBILITY_TICKET, self.ticket)
        other = self.server.client(address=ELSEWHERE)
        self.assertEqual(code_of(other.allocate(full)), 400)
        self.assertEqual(code_of(client.refresh(full)), 405)

    def test_3_2_refresh_from_elsewhere_moves_it(self) -> None:
        """Same relay, permissions kept, a new ticket; the old place is empty."""
        self.client.permit(PEER)
        answer = self.arrive(ELSEWHERE)
        self.assertEqual(code_of(answer), 0)
        self.assertNotEqual(answer.first(turn.MOBILITY_TICKET), self.ticket)
        route = self.moved.route
        self.assertEqual(route.five_tuple.client, ELSEWHERE)
        self.assertTrue(route.from_peer(PEER, b"x", self.server.now, own=False))
        self.assertEqual(code_of(self.client.refresh()), 437)
        self.assertEqual(code_of(self.moved.refresh()), 0)
        self.assertEqual(len(self.server.core), 1)

    def test_3_2_only_its_owner_moves_it(self) -> None:
        """441 for another user, 400 for a ticket that nobody gave."""
        self.assertEqual(code_of(self.arrive(ELSEWHERE, username="bob")), 441)
        self.ticket = b"x" * 24
        self.assertEqual(code_of(self.arrive(ELSEWHERE)), 400)
        self.assertEqual(self.client.route.five_tuple.client, CLIENT)

    def test_3_2_lost_answer_does_not_lose_the_allocation(self) -> None:
        """The used ticket is good until the new one is."""
        self.arrive(ELSEWHERE)
        answer = self.arrive(Address("203.0.113.5", 5))
        self.assertEqual(code_of(answer), 0)
        old, self.ticket = self.ticket, answer.first(turn.MOBILITY_TICKET) or b""
        self.assertEqual(code_of(self.arrive(ELSEWHERE)), 0)
        self.ticket = old
        self.assertEqual(code_of(self.arrive(CLIENT)), 400)

    def test_lost_stream_waits_to_be_moved(self) -> None:
        """Its ticket is why it was made so; it still expires."""
        client = self.server.client(address=ELSEWHERE, transport="tcp")
        self.ticket = client.allocate(self.TICKET).first(turn.MOBILITY_TICKET) or b""
        self.server.perform(self.server.core.client_lost(client.five_tuple))
        self.assertEqual(code_of(self.arrive(Address("203.0.113.5", 5))), 0)
        self.server.now += 601
        self.server.perform(self.server.core.expire(self.server.now))
        self.assertEqual((len(self.server.core), self.server.routes), (0, {}))
        table = self.server.core._table
        self.assertEqual(table._tickets._held, {})
        self.assertEqual(table._quotas._per_host, {})
