"""Flows that a plane has seen before obey every later command and the clock.

A plane may remember where a channel's packets go; these tests send before the
change, so that there is something to remember.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mosaic.relay.pure import PurePlane
from mosaic.services.turn.listen import has_ipv6
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.channel import encode_channel_data
from tests.support.plane_case import NativeCase, PlaneFixture, Readers, address_of
from tests.support.running import neighbouring_ports

CHANNEL = 0x4000


class EstablishedContract(PlaneFixture):
    """Packets both ways have passed before each test."""

    sock: socket.socket

    def setUp(self) -> None:
        """One client, one peer, a channel, three packets each way."""
        super().setUp()
        self.sock, self.relay, self.relayed = self.client()
        self.peer = self.endpoint()
        self.plane.permit(self.relay, self.host, self.now + 300, own_only=False)
        self.bind(address_of(self.peer))
        for payload in (b"1", b"", b"three"):
            self.same(self.out(payload), payload)
            self.same(self.back(payload), payload)

    def bind(self, peer: Address, until_s: float = 600.0) -> None:
        """Bind or refresh the channel."""
        self.plane.bind(self.relay, CHANNEL, peer, self.now + until_s)

    def say(self, payload: bytes) -> None:
        """The client sends over the channel."""
        frame = encode_channel_data(CHANNEL, payload, stream=False)
        self.sock.sendto(frame, self.server)

    def out(self, payload: bytes) -> bytes:
        """What the peer gets."""
        self.say(payload)
        data, sender = self.receive(self.peer)
        self.same(sender, self.relayed)
        return data

    def back(self, payload: bytes) -> bytes:
        """What the client gets, without the channel's header."""
        self.peer.sendto(payload, self.relayed)
        frame, sender = self.receive(self.sock)
        self.same(sender, self.server)
        self.same(frame, encode_channel_data(CHANNEL, payload, stream=False))
        return frame[4:]

    def stopped_out(self) -> None:
        """The client's next packet goes nowhere."""
        before = self.plane.counters.from_clients_no_route
        self.say(b"lost")
        self.settle(lambda: self.plane.counters.from_clients_no_route == before + 1)

    def stopped_back(self) -> None:
        """The peer's next packet goes nowhere."""
        before = self.plane.counters.from_peers_no_route
        self.peer.sendto(b"lost", self.relayed)
        self.settle(lambda: self.plane.counters.from_peers_no_route == before + 1)

    def test_every_packet_is_counted(self) -> None:
        """Remembered or not."""
        self.same(self.plane.counters.from_clients, 3)
        self.same(self.plane.counters.from_clients_bytes, 6)
        self.same(self.plane.counters.from_peers, 3)
        self.same(self.plane.counters.from_peers_bytes, 6)

    def test_permission_ends(self) -> None:
        """At its time; the channel alone still lets the client send."""
        self.now += 300
        self.stopped_back()
        self.same(self.out(b"x"), b"x")

    def test_channel_ends(self) -> None:
        """At its time, while the allocation lives on."""
        self.plane.extend(self.relay, self.now + 3000)
        self.now += 600
        self.stopped_out()

    def test_allocation_ends(self) -> None:
        """At its time, whatever the channel says."""
        self.bind(address_of(self.peer), 3000)
        self.plane.permit(self.relay, self.host, self.now + 3000, own_only=False)
        self.now += 600
        self.stopped_out()
        self.stopped_back()

    def test_allocation_ends_early(self) -> None:
        """A Refresh may shorten it."""
        self.plane.extend(self.relay, self.now + 10)
        self.now += 10
        self.stopped_out()
        self.stopped_back()

    def test_refresh_goes_on(self) -> None:
        """What was refreshed is valid beyond its first end."""
        self.now += 200
        self.plane.extend(self.relay, self.now + 600)
        self.plane.permit(self.relay, self.host, self.now + 300, own_only=False)
        self.bind(address_of(self.peer))
        self.now += 299
        self.same(self.out(b"x"), b"x")
        self.same(self.back(b"y"), b"y")

    def test_channel_moves_to_another_peer(self) -> None:
        """The old peer comes by indication from now on, if at all."""
        old, self.peer = self.peer, self.endpoint()
        self.bind(address_of(self.peer))
        self.same(self.out(b"x"), b"x")
        self.same(self.back(b"y"), b"y")
        old.sendto(b"z", self.relayed)
        self.same(self.receive(self.sock)[0][:2], b"\x00\x17")

    def test_closed(self) -> None:
        """Neither end is heard."""
        self.plane.close(self.relay)
        self.stopped_out()

    def test_limit_comes(self) -> None:
        """A bandwidth limit holds for flows that run."""
        self.plane.limit(self.relay, 1000.0)
        self.spend()

    def test_limit_of_the_user_comes(self) -> None:
        """The same for the limit that its user has."""
        self.plane.close(self.relay)
        self.relay, self.relayed = self.open(self.five_tuple(), user=7)
        self.plane.permit(self.relay, self.host, self.now + 300, own_only=False)
        self.bind(address_of(self.peer))
        self.same(self.out(b"x"), b"x")
        self.same(self.back(b"y"), b"y")
        self.plane.limit_user(7, 1000.0)
        self.spend()

    def five_tuple(self) -> FiveTuple:
        """Of the client."""
        return FiveTuple("udp", address_of(self.sock), self.server)

    def spend(self) -> None:
        """A burst is let through, and what is past it is counted."""
        for _ in range(200):
            self.say(b"x" * 1000)
            self.pump()
        self.settle(lambda: self.plane.counters.over_limit > 0)

    def test_own_only_comes(self) -> None:
        """A permission may shrink to our own relayed addresses."""
        self.plane.permit(self.relay, self.host, self.now + 300, own_only=True)
        before = self.plane.counters.to_peers_refused
        self.say(b"lost")
        self.settle(lambda: self.plane.counters.to_peers_refused == before + 1)
        self.stopped_back()

    def test_several_clients_at_a_time(self) -> None:
        """Each packet goes its own way, whatever order they are read in."""
        pairs = []
        for _ in range(5):
            sock, relay, relayed = self.client()
            peer = self.endpoint()
            self.plane.permit(relay, self.host, self.now + 300, own_only=False)
            self.plane.bind(relay, CHANNEL, address_of(peer), self.now + 600)
            pairs.append((sock, peer, relayed))
        for turn in range(4):
            for number, (sock, peer, relayed) in enumerate(pairs):
                payload = bytes((turn, number))
                frame = encode_channel_data(CHANNEL, payload, stream=False)
                sock.sendto(frame, self.server)
                peer.sendto(payload, relayed)
            for number, (sock, peer, relayed) in enumerate(pairs):
                payload = bytes((turn, number))
                frame = encode_channel_data(CHANNEL, payload, stream=False)
                self.same(self.receive(peer), (payload, relayed))
                self.same(self.receive(sock), (frame, self.server))

    def test_two_channels_of_one_client(self) -> None:
        """They do not mix."""
        second = self.endpoint()
        self.plane.bind(self.relay, CHANNEL + 1, address_of(second), self.now + 600)
        for payload in (b"a", b"b", b"c"):
            self.same(self.out(payload), payload)
            frame = encode_channel_data(CHANNEL + 1, payload, stream=False)
            self.sock.sendto(frame, self.server)
            self.same(self.receive(second), (payload, self.relayed))

    def test_frame_with_more_or_less_than_it_says(self) -> None:
        """Bytes behind the payload are ignored, a short message is void."""
        self.sock.sendto(b"\x40\x00\x00\x02abcd", self.server)
        self.same(self.receive(self.peer)[0], b"ab")
        before = self.plane.counters.from_clients_no_route
        self.sock.sendto(b"\x40\x00\x00\x09abcd", self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == before + 1)


class PureEstablishedTests(EstablishedContract, SynchronousTestCase):
    """The pure-Python plane on IPv4."""

    def make(self) -> None:
        """Its sockets are read when it is pumped."""
        readers = Readers()
        self.pump = readers.pump
        self.plane = PurePlane(readers, ports=self.ports, clock=self.clock)


class PureEstablishedWildcardTests(PureEstablishedTests):
    """Listening on every address."""

    host = "127.0.0.2"
    listen_host = "0.0.0.0"


class PureEstablishedIPv6Tests(PureEstablishedTests):
    """The same on IPv6."""

    host = "::1"
    listen_host = "::1"

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        if not has_ipv6():
            raise SkipTest("this machine has no IPv6")
        super().setUp()


class PureEstablishedIPv6WildcardTests(PureEstablishedIPv6Tests):
    """Every IPv6 address."""

    listen_host = "::"


class NativeEstablishedTests(EstablishedContract, NativeCase):
    """The native plane on IPv4."""


class NativeEstablishedWildcardTests(NativeEstablishedTests):
    """Listening on every address."""

    host = "127.0.0.2"
    listen_host = "0.0.0.0"


class PeerBecomesOursContract(PlaneFixture):
    """Two ports in all: one for a relay, the other first a peer's, then a relay's."""

    def setUp(self) -> None:
        """A plane with these two."""
        self.ports = neighbouring_ports()
        super().setUp()

    def test_packets_go_across(self) -> None:
        """A relay that is opened where the peer was is reached by its rules."""
        sock, relay, relayed = self.client()
        taken = Address(self.host, sum(self.ports) - relayed.port)
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, CHANNEL, taken, self.now + 600)
        frame = encode_channel_data(CHANNEL, b"x", stream=False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(taken)
            peer.setblocking(False)
            for _ in range(3):
                sock.sendto(frame, self.server)
                self.same(self.receive(peer), (b"x", relayed))
        other, second, ours = self.client()
        self.same(ours, taken)
        self.plane.permit(second, self.host, self.now + 300, own_only=False)
        self.plane.bind(second, CHANNEL, relayed, self.now + 600)
        sock.sendto(frame, self.server)
        self.same(self.receive(other), (frame, self.server))
        self.same(self.plane.counters.hairpins, 1)


class PurePeerBecomesOursTests(PeerBecomesOursContract, SynchronousTestCase):
    """The pure-Python plane."""

    def make(self) -> None:
        """Its sockets are read when it is pumped."""
        readers = Readers()
        self.pump = readers.pump
        self.plane = PurePlane(readers, ports=self.ports, clock=self.clock)


class NativePeerBecomesOursTests(PeerBecomesOursContract, NativeCase):
    """The native plane."""
