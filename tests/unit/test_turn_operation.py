"""What an operator changes while the relay runs."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.settings import Turn
from mosaic.relay.interface import LEAST_BURST_BYTES, NoRelayPort
from mosaic.relay.limit import ByteLimit
from mosaic.services.turn.listen import RelayHosts
from mosaic.services.turn.service import TurnService
from mosaic.services.turn.users import Users
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Method
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy, parse_networks
from tests.support.udp import PEER, MemoryTurn, code_of
from tests.unit.test_turn_service import ServiceCase


class PolicyReloadTests(SynchronousTestCase):
    """Lists of peers, while allocations stand."""

    def setUp(self) -> None:
        """A client that reaches a private peer and a public one."""
        self.private = Address("10.0.0.7", 5000)
        self.server = MemoryTurn(allow=["10.0.0.0/8"])
        self.client = self.server.client()
        self.client.allocate()
        for channel, peer in ((0x4000, self.private), (0x4001, PEER)):
            self.assertEqual(code_of(self.client.bind(channel, peer)), 0)

    def reaches(self, peer: Address) -> tuple[bool, bool]:
        """Whether the client's data gets to a peer, and the peer's to it."""
        number = 0x4000 if peer == self.private else 0x4001
        frame = number.to_bytes(2, "big") + b"\0\1x"
        route = self.client.route
        out = route.from_client(frame, self.server.now) is not None
        back = route.from_peer(peer, b"x", self.server.now, own=False) is not None
        return out, back

    def enforce(self) -> None:
        """As the service does."""
        self.server.perform(self.server.core.enforce_policy(self.server.now))

    def test_network_that_is_no_longer_allowed(self) -> None:
        """Its permission and channel end at once, others live on."""
        self.server.policy.allow_networks(())
        self.enforce()
        self.assertEqual(self.reaches(self.private), (False, False))
        self.assertEqual(self.reaches(PEER), (True, True))
        self.assertEqual(code_of(self.client.permit(self.private)), 403)

    def test_network_that_is_denied(self) -> None:
        """Public addresses can be denied; deny goes over allow."""
        denied = [f"{PEER.host}/32", "10.0.0.0/24"]
        self.server.policy.deny_networks(parse_networks(denied))
        self.enforce()
        for peer in (self.private, PEER):
            self.assertEqual(self.reaches(peer), (False, False))
            self.assertEqual(code_of(self.client.bind(0x4005, peer)), 403)
        self.assertEqual(code_of(self.client.permit(Address("10.0.1.7", 1))), 0)

    def test_what_is_allowed_again_is_reached_again(self) -> None:
        """The judgement is not remembered past its list."""
        for networks, code in (([f"{PEER.host}/32"], 403), ([], 0)):
            self.server.policy.deny_networks(parse_networks(networks))
            self.enforce()
            self.assertEqual(code_of(self.client.bind(0x4001, PEER)), code)
        self.assertEqual(self.reaches(PEER), (True, True))

    def test_denied_ipv4_is_denied_behind_nat64(self) -> None:
        """The well-known prefix is another way to write it (RFC 6052)."""
        policy = PeerPolicy(deny=parse_networks(["8.8.8.0/24", "2600::/32"]))
        for host, refused in (
            ("8.8.8.8", True), ("64:ff9b::808:808", True), ("64:ff9b::909:909", False),
            ("2600::1", True), ("2601::1", False), ("9.9.9.9", False),
        ):  # fmt: skip
            self.assertEqual(policy.refusal(Address(host, 1)) is not None, refused)


class QuotaReloadTests(SynchronousTestCase):
    """What stands is kept; what comes is counted by the new numbers."""

    def test_quotas(self) -> None:
        """Of a credential, an address, and all."""
        for one, two, code in (
            (Limits(per_credential=1), Limits(per_credential=2), 486),
            (Limits(per_address=1), Limits(per_address=2), 486),
            (Limits(total=1), Limits(total=2), 508),
        ):
            server = MemoryTurn()
            first = server.client()
            self.assertEqual(code_of(first.allocate()), 0)
            server.core.set_limits(one)
            second = server.client(address=Address(first.five_tuple.client.host, 9))
            self.assertEqual(code_of(second.allocate()), code)
            self.assertEqual(code_of(first.refresh()), 0)
            server.core.set_limits(two)
            self.assertEqual(code_of(second.allocate()), 0)


class ServiceReloadTests(ServiceCase):
    """`TurnService.change`."""

    def test_bandwidth_reaches_what_is_open_and_what_comes(self) -> None:
        """The allocation's own limit and that of its user."""
        self.allocate(*self.connect())
        self.assertEqual(self.plane.opened[-1]["bytes_per_s"], 0.0)
        self.assertEqual(self.plane.opened[-1]["user"], 1)
        self.service.change("bytes_per_s_allocation", 5.0)
        self.service.change("bytes_per_s_user", 7.0)
        self.assertEqual(
            self.plane.commands[-2:], [("limit", 1, 5.0), ("limit user", 1, 7.0)]
        )
        self.allocate(*self.connect(host="198.18.0.77"))
        self.assertEqual(self.plane.opened[-1]["bytes_per_s"], 5.0)
        self.assertEqual(self.plane.opened[-1]["user"], 1)

    def test_user_limit_goes_with_the_last_relay(self) -> None:
        """So that the plane's memory does not grow with users of the past."""
        self.service.change("bytes_per_s_user", 7.0)
        for _ in range(2):
            stream, wire = self.connect()
            self.allocate(stream, wire)
            stream.connectionLost()
        limits = [c for c in self.plane.commands if c[0] == "limit user"]
        self.assertEqual([number for _, number, _ in limits], [1, 1, 2, 2])
        self.assertEqual([rate for _, _, rate in limits], [7.0, 0.0, 7.0, 0.0])

    def test_a_refused_relay_leaves_no_user(self) -> None:
        """508 costs nothing either."""
        self.plane.refuse = NoRelayPort("none")
        self.allocate(*self.connect())
        self.assertEqual(self.plane.commands[-1], ("limit user", 1, 0.0))

    def test_quotas_and_lists(self) -> None:
        """They reach the core."""
        self.service.change("allocations_total", 1)
        stream, wire = self.connect()
        _, nonce = self.allocate(stream, wire)
        answer, _ = self.allocate(*self.connect(host="198.18.0.77"))
        self.assertEqual(code_of(answer), 508)
        rows = [(turn.XOR_PEER_ADDRESS, PEER)]
        self.service.change("deny_peers", (f"{PEER.host}/32",))
        request = self.request(Method.CREATE_PERMISSION, rows, nonce)
        self.assertEqual(code_of(self.ask(stream, wire, request)), 403)

    def test_sessions_say_who_is_relayed(self) -> None:
        """Without a secret: no password, no nonce."""
        self.assertEqual(self.service.sessions(), [])
        stream, wire = self.connect()
        _, nonce = self.allocate(stream, wire)
        rows = [(turn.CHANNEL_NUMBER, 0x4000), (turn.XOR_PEER_ADDRESS, PEER)]
        self.ask(stream, wire, self.request(Method.CHANNEL_BIND, rows, nonce))
        (session,) = self.service.sessions()
        self.assertEqual(session["user"], "ann")
        self.assertEqual(session["transport"], "tcp")
        self.assertEqual(session["relayed"], "198.18.0.1:50001")
        self.assertEqual((session["permissions"], session["channels"]), (1, 1))
        self.assertEqual(session["expires_in_s"], 600)

    def test_counters_are_few_whoever_comes(self) -> None:
        """Metrics that grow with users fill the memory of who scrapes them."""

        def names() -> list[str]:
            return sorted(asdict(self.service.counters))

        before = names()
        for at in range(5):
            self.allocate(*self.connect(host=f"198.18.1.{at}"))
        self.assertEqual(names(), before)


class DrainTests(ServiceCase):
    """A stop that lets calls end."""

    def setUp(self) -> None:
        """A service that waits for 30 seconds."""
        super().setUp()
        self.service = TurnService(
            self.clock,
            Turn(),
            credentials=self.passwords,
            plane=self.plane,
            drain_s=30.0,
            clock=self.clock.seconds,
            wall_clock=lambda: 1_790_000_000.0,
        )
        self.service.startService()

    def test_without_allocations_it_stops_at_once(self) -> None:
        """Nobody is waited for."""
        self.successResultOf(self.service.stopService())

    def test_last_allocation_ends_the_wait(self) -> None:
        """It is served until then, and newcomers are refused."""
        stream, wire = self.connect()
        _, nonce = self.allocate(stream, wire)
        other, other_wire = self.connect(host="198.18.0.77")
        stopped = self.service.stopService()
        answer, _ = self.allocate(other, other_wire)
        self.assertEqual(code_of(answer), 508)
        self.service.change("allocations_total", 50)
        answer, _ = self.allocate(other, other_wire)
        self.assertEqual(code_of(answer), 508)
        refreshed = self.ask(stream, wire, self.request(Method.REFRESH, [], nonce))
        self.assertEqual(code_of(refreshed), 0)
        self.clock.advance(29)
        self.assertNoResult(stopped)
        stream.connectionLost()
        self.assertIn(("stop",), self.plane.commands)
        self.assertTrue(other_wire.aborted)
        other.connectionLost()
        self.successResultOf(stopped)

    def test_the_wait_begins_before_the_stop(self) -> None:
        """Newcomers are refused from then on, and the time counts."""
        stream, wire = self.connect()
        self.allocate(stream, wire)
        self.service.begin_drain()
        other, other_wire = self.connect(host="198.18.0.77")
        answer, _ = self.allocate(other, other_wire)
        self.assertEqual(code_of(answer), 508)
        self.clock.advance(20)
        stopped = self.service.stopService()
        self.clock.advance(9)
        self.assertNoResult(stopped)
        self.clock.advance(1)
        self.assertTrue(wire.aborted)
        for gone in (stream, other):
            gone.connectionLost()
        self.successResultOf(stopped)

    def test_time_may_be_up_before_the_stop(self) -> None:
        """The other stages took that long."""
        stream, wire = self.connect()
        self.allocate(stream, wire)
        self.service.begin_drain()
        self.clock.advance(30)
        self.assertFalse(wire.aborted)
        self.service.stopService()
        self.assertTrue(wire.aborted)
        stream.connectionLost()

    def test_who_is_in_a_room_is_not_waited_for(self) -> None:
        """They were told to come back, and give up no allocation."""
        self.names = ["1900000000:p1/abcdef", "1900000000:operator"]
        self.passwords.known = frozenset(self.names)
        own, own_wire = self.connect()
        self.allocate(own, own_wire)
        self.names.reverse()
        stranger, wire = self.connect(host="198.18.0.77")
        self.allocate(stranger, wire)
        stopped = self.service.stopService()
        self.assertFalse(own_wire.aborted)
        stranger.connectionLost()
        self.assertTrue(own_wire.aborted)
        own.connectionLost()
        self.successResultOf(stopped)

    def test_own_participants_alone(self) -> None:
        """The relay closes as soon as the others have."""
        self.names = ["1900000000:p1/abcdef"]
        self.passwords.known = frozenset(self.names)
        own, wire = self.connect()
        self.allocate(own, wire)
        self.service.begin_drain()
        self.service.stopService()
        self.assertTrue(wire.aborted)
        own.connectionLost()

    def test_newcomers_are_sent_elsewhere(self) -> None:
        """300 with ALTERNATE-SERVER, for the family that it has."""
        self.service.change("alternate_server", "203.0.113.5:3479")
        stream, wire = self.connect()
        self.allocate(stream, wire)
        other, other_wire = self.connect(host="198.18.0.77")
        self.service.stopService()
        answer, _ = self.allocate(other, other_wire)
        self.assertEqual(code_of(answer), 300)
        there = answer.first(stun.ALTERNATE_SERVER)
        self.assertEqual(there, Address("203.0.113.5", 3479))
        self.service.change("alternate_server", "[2001:db8::5]:3479")
        answer, _ = self.allocate(other, other_wire)
        self.assertEqual(code_of(answer), 508)
        stream.connectionLost()

    def test_time_ends_the_wait(self) -> None:
        """A call that never ends does not hold up a restart."""
        stream, wire = self.connect()
        self.allocate(stream, wire)
        stopped = self.service.stopService()
        self.clock.advance(30)
        self.assertTrue(wire.aborted)
        stream.connectionLost()
        self.successResultOf(stopped)


class QueueAgeTests(ServiceCase):
    """`turn.queue_s`: what is late in a call is worth nothing."""

    def test_old_frames_drop(self) -> None:
        """Counted, whole, and the younger ones leave in order."""
        stream, wire = self.connect()
        IPushProducer(stream).pauseProducing()
        stream.send(b"old.")
        self.clock.advance(3)
        stream.send(b"young.")
        self.clock.advance(3)
        stream.resumeProducing()
        self.assertEqual(wire.value(), b"young.")
        self.assertEqual(self.service.counters.stream_frames_dropped, 1)

    def test_a_stuck_client_holds_no_old_frames(self) -> None:
        """Dropped as new ones come, not only when it wakes up."""
        stream, _ = self.connect()
        IPushProducer(stream).pauseProducing()
        for _ in range(9):
            stream.send(b"x")
            self.clock.advance(1)
        self.assertEqual(self.service.counters.stream_frames_dropped, 3)


class ByteLimitTests(SynchronousTestCase):
    """The token bucket."""

    @settings(max_examples=200)
    @given(
        integers(1, 200_000),
        lists(tuples(integers(0, 65535), sampled_from([0.0, 0.001, 0.1, 1.0, 60.0]))),
    )
    def test_never_more_than_rate_and_burst(
        self, rate: int, packets: list[tuple[int, float]]
    ) -> None:
        """Whatever comes when."""
        limit, now, passed = ByteLimit(rate, 0.0), 0.0, 0
        for size, pause in packets:
            now += pause
            if limit.has(size, now):
                limit.take(size)
                passed += size
        self.assertLessEqual(passed, max(rate, LEAST_BURST_BYTES) + rate * now + 1)

    def test_a_datagram_of_any_size_fits(self) -> None:
        """A small limit slows; it does not cut off."""
        limit = ByteLimit(1.0, 0.0)
        self.assertTrue(limit.has(65535, 0.0))
        limit.take(65535)
        self.assertFalse(limit.has(65535, 60.0))
        self.assertTrue(limit.has(65535, 65536.0))

    def test_a_clock_that_stands_still_gives_nothing(self) -> None:
        """Nor does one that goes back."""
        limit = ByteLimit(100.0, 10.0)
        limit.take(65536)
        self.assertFalse(limit.has(1, 10.0))
        self.assertFalse(limit.has(1, 5.0))


class OwnerQuotaTests(ServiceCase):
    """Whoever asks for many credentials has no more than who uses one."""

    def test_credentials_of_one_owner_share_a_quota(self) -> None:
        """Another owner is not touched, and what ends is given back."""
        names = [f"19000000{n:02}:p1/{n:06x}" for n in range(3)]
        names.append("1900000000:p2/abcdef")
        self.passwords.known = frozenset(names)
        self.service.change("allocations_per_user", 2)
        codes, streams = [], []
        for number, name in enumerate(names):
            self.names = [name]
            streams.append(self.connect(host=f"198.18.0.{number}"))
            codes.append(code_of(self.allocate(*streams[-1])[0]))
        self.assertEqual(codes, [0, 0, 486, 0])
        streams[0][0].connectionLost()
        self.names = names[2:]
        self.assertEqual(code_of(self.allocate(*streams[2])[0]), 0)


class UsersTests(SynchronousTestCase):
    """Numbers for owners."""

    def test_numbers_live_as_long_as_relays(self) -> None:
        """And are never used twice."""
        users = Users()
        self.assertEqual(
            [users.number("a"), users.number("a")], [(1, True), (1, False)]
        )
        users.opened(10, "a")
        users.opened(11, "a")
        self.assertIsNone(users.closed(10))
        self.assertEqual(users.closed(11), 1)
        self.assertIsNone(users.closed(11))
        self.assertEqual(users.number("a"), (2, True))
        self.assertEqual(users.settle("a"), 2)
        self.assertEqual((list(users.numbers()), list(users.relays())), ([], []))


class ExternalAddressTests(ServiceCase):
    """A host behind NAT tells peers the address that they see."""

    def test_each_family_has_its_own(self) -> None:
        """The other family is not touched by one that is configured."""
        hosts = RelayHosts("203.0.113.9", "2001:db8::9")
        self.assertEqual(hosts.choose(4, "192.0.2.1"), ("0.0.0.0", "203.0.113.9"))
        self.assertEqual(hosts.choose(6, "192.0.2.1"), ("::", "2001:db8::9"))
        local = RelayHosts("127.0.0.1", "")
        self.assertEqual(local.choose(4, "192.0.2.1"), ("127.0.0.1", "127.0.0.1"))

    def test_the_client_is_told(self) -> None:
        """In XOR-RELAYED-ADDRESS."""
        self.service = TurnService(
            self.clock,
            Turn(relay_address_v4="203.0.113.9"),
            credentials=self.passwords,
            plane=self.plane,
            clock=self.clock.seconds,
            wall_clock=lambda: 1_790_000_000.0,
        )
        self.service.startService()
        answer, _ = self.allocate(*self.connect())
        relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
        self.assertEqual(relayed, Address("203.0.113.9", 50001))
        opened = next(c for c in self.plane.commands if c[0] == "open")
        self.assertEqual(opened[2], "0.0.0.0")
