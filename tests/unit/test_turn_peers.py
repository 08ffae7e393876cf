"""No notation of a forbidden address gets through (CVE-2020-26262, 2026-27624)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Method
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy, parse_networks
from tests.support.udp import OTHER_CLIENT, SERVER, MemoryTurn, code_of, send_indication

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.1.2.3",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.9",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:808:808::f7f7:f7f7",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "feff::1",
    "ff02::1",
    "ff05::2",
    "4000::1",
    "::2:0:0",
]
ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "223.255.255.255",
    "2600::1",
    "2001:4860:4860::8888",
    "2a00:1450::1",
    "64:ff9b::8.8.8.8",
]


class NotationTests(SynchronousTestCase):
    """Every notation, through every door."""

    def test_refused_everywhere(self) -> None:
        """403 for CreatePermission and ChannelBind; Send goes nowhere."""
        self.assertGreater(len(REFUSED), 26)
        for family in (4, 6):
            client = MemoryTurn().client()
            client.allocate((turn.REQUESTED_ADDRESS_FAMILY, family))
            hosts = [host for host in REFUSED if (":" in host) == (family == 6)]
            for host in hosts:
                peer = Address(host, 5000)
                self.assertEqual(code_of(client.permit(peer)), 403, host)
                self.assertEqual(code_of(client.bind(0x4000, peer)), 403, host)
                data = send_indication(peer, b"x")
                now = client.server.now
                self.assertIsNone(client.route.from_client(data, now), host)
                self.assertIsNone(
                    client.route.from_peer(peer, b"x", now, own=False), host
                )

    def test_refused_in_connect(self) -> None:
        """RFC 6062: 403, and no connection is tried."""
        for host in REFUSED:
            family = 6 if ":" in host else 4
            server = MemoryTurn(limits=Limits(tcp_relay=True))
            client = server.client(transport="tcp")
            rows = [(turn.REQUESTED_TRANSPORT, 6)]
            client.ask(
                Method.ALLOCATE, [*rows, (turn.REQUESTED_ADDRESS_FAMILY, family)]
            )
            peer = (turn.XOR_PEER_ADDRESS, Address(host, 80))
            answer = client.ask(Method.CONNECT, [peer])
            self.assertEqual(code_of(answer), 403, host)
            self.assertEqual(server.tcp, [])

    def test_public_addresses_pass(self) -> None:
        """The rule must not swallow its neighbours."""
        policy = PeerPolicy()
        for host in ALLOWED:
            self.assertIsNone(policy.refusal(Address(host, 1)), host)

    def test_allow_list_opens_what_it_names(self) -> None:
        """Both families, and nothing beside it."""
        policy = PeerPolicy(parse_networks(["10.1.0.0/16", "fd00::/8", "127.0.0.1"]))
        for host in ("10.1.2.3", "fd00::5", "127.0.0.1"):
            self.assertIsNone(policy.refusal(Address(host, 1)), host)
        for host in ("10.2.0.1", "fc00::1", "127.0.0.2", "::ffff:10.1.2.3"):
            self.assertIsNotNone(policy.refusal(Address(host, 1)), host)

    def test_own_listeners_are_never_peers(self) -> None:
        """Not even when an operator allows their network."""
        policy = PeerPolicy(parse_networks(["127.0.0.0/8", "::1/128", "198.18.0.0/15"]))
        policy.listening_on(Address("0.0.0.0", 3478))
        policy.listening_on(Address("::1", 3479))
        policy.reached_at("198.18.0.1")
        for host, port in (("127.9.9.9", 3478), ("198.18.0.1", 3478), ("::1", 3479)):
            self.assertIsNotNone(policy.refusal(Address(host, port)))
        for host, port in (("127.0.0.1", 3479), ("198.18.0.2", 3478), ("::1", 3478)):
            self.assertIsNone(policy.refusal(Address(host, port)))


class OwnRelayTests(SynchronousTestCase):
    """Two relay-only members must meet, on a private network too."""

    def setUp(self) -> None:
        """Two clients of a server on a special address."""
        self.server = MemoryTurn()
        self.ann = self.server.client()
        self.bob = self.server.client(username="bob", address=OTHER_CLIENT)
        self.ann.allocate()
        self.bob.allocate()

    def test_relayed_addresses_are_peers(self) -> None:
        """By permission and by channel, though 198.18.0.0/15 is refused."""
        self.assertEqual(code_of(self.ann.permit(self.bob.route.relayed)), 0)
        self.assertEqual(code_of(self.bob.bind(0x4000, self.ann.route.relayed)), 0)

    def test_other_ports_of_our_own_host_stay_closed(self) -> None:
        """The permission counts between relayed addresses alone."""
        neighbour = Address(SERVER.host, 161)
        self.assertEqual(code_of(self.ann.permit(neighbour)), 403)
        self.ann.permit(self.bob.route.relayed)
        route, now = self.ann.route, self.server.now
        out = route.from_client(send_indication(neighbour, b"x"), now)
        assert out is not None
        self.assertTrue(out.own_only)
        self.assertIsNone(route.from_peer(neighbour, b"x", now, own=False))
        self.assertTrue(route.from_peer(self.bob.route.relayed, b"x", now, own=True))

    def test_our_public_address_is_no_peer_either(self) -> None:
        """A relay on a public address does not open that host's other ports."""
        server = MemoryTurn()
        server.families[4] = "9.9.9.10"
        client = server.client()
        client.allocate()
        self.assertEqual(code_of(client.permit(Address("9.9.9.10", 53))), 403)
        self.assertEqual(code_of(client.permit(client.route.relayed)), 0)

    def test_a_closed_relay_is_no_peer(self) -> None:
        """Its port may be somebody else's by now."""
        relayed = self.bob.route.relayed
        self.bob.refresh((turn.LIFETIME, 0))
        self.assertEqual(code_of(self.ann.permit(relayed)), 403)
