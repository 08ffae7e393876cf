"""What every data plane does, over real sockets on loopback.

The suite drives a plane by its interface alone. A plane that needs somebody to
read its sockets is pumped; one with a thread of its own ignores that.
"""

from __future__ import annotations

import socket
from itertools import pairwise
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.interface import HostUnavailable, NoRelayPort
from mosaic.relay.pure import PurePlane
from mosaic.services.turn.listen import has_ipv6
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn.attributes import DATA, XOR_PEER_ADDRESS
from mosaic.wire.turn.channel import encode_channel_data
from tests.support.plane_case import (
    PORTS,
    NativeCase,
    PlaneFixture,
    Readers,
    address_of,
)
from tests.support.udp import send_indication

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12))
ALLOCATE = encode(Method.ALLOCATE, Class.REQUEST, bytes(12))


class PlaneContract(PlaneFixture):
    """The suite."""

    # Clients

    def test_stun_is_handed_over_with_both_ends(self) -> None:
        """And the answer leaves from the address that was reached."""
        sock = self.endpoint()
        sock.sendto(ALLOCATE, self.server)
        self.settle(lambda: bool(self.controls))
        five_tuple = FiveTuple("udp", address_of(sock), self.server)
        self.same(self.controls, [(ALLOCATE, five_tuple)])
        self.plane.send(five_tuple, b"answer")
        self.same(self.receive(sock), (b"answer", self.server))

    def test_what_is_not_turn_is_counted(self) -> None:
        """RTP, DTLS and noise go nowhere."""
        sock = self.endpoint()
        for data in (b"", b"\x80" * 20, b"\x16", b"\xff\xff\xff\xff"):
            sock.sendto(data, self.server)
        self.settle(lambda: self.plane.counters.not_stun == 4)
        self.same(self.controls, [])

    def test_data_without_allocation_goes_nowhere(self) -> None:
        """ChannelData and Send of a stranger are counted."""
        sock = self.endpoint()
        sock.sendto(encode_channel_data(0x4000, b"x", stream=False), self.server)
        sock.sendto(send_indication(address_of(sock), b"x"), self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == 2)

    # Relays

    def test_channel_both_ways(self) -> None:
        """Client to peer and back, an empty datagram too."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        for payload in (b"", b"hello", b"v" * 1200):
            frame = encode_channel_data(0x4000, payload, stream=False)
            sock.sendto(frame, self.server)
            self.same(self.receive(peer), (payload, relayed))
            peer.sendto(payload, relayed)
            self.same(self.receive(sock), (frame, self.server))
        self.same(self.plane.counters.from_clients, 3)
        self.same(self.plane.counters.from_peers_bytes, 1205)

    def test_indications_both_ways(self) -> None:
        """By permission alone."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        sock.sendto(send_indication(address_of(peer), b"hi"), self.server)
        self.same(self.receive(peer), (b"hi", relayed))
        peer.sendto(b"you", relayed)
        message = parse(self.receive(sock)[0])
        self.same(message.first(XOR_PEER_ADDRESS), address_of(peer))
        self.same(message.first(DATA), b"you")

    def test_time_is_checked_with_every_packet(self) -> None:
        """No timer runs here: the plane itself stops what has expired."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        self.now += 300
        peer.sendto(b"late", relayed)
        self.settle(lambda: self.plane.counters.from_peers_no_route == 1)
        self.now += 300
        sock.sendto(encode_channel_data(0x4000, b"x", stream=False), self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == 1)
        self.plane.extend(relay, self.now + 600)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        sock.sendto(encode_channel_data(0x4000, b"y", stream=False), self.server)
        self.same(self.receive(peer)[0], b"y")

    def test_closed_relay_is_deaf(self) -> None:
        """Its port is free again, and its client unknown."""
        sock, relay, relayed = self.client()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.close(relay)
        self.plane.close(relay)
        sock.sendto(send_indication(address_of(sock), b"x"), self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == 1)
        again = self.endpoint()
        with socket.socket(again.family, socket.SOCK_DGRAM) as probe:
            probe.bind(tuple(relayed))

    def test_a_reused_descriptor_serves_its_new_owner_alone(self) -> None:
        """The kernel hands the lowest number out again at once."""
        first, relay, _ = self.client()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.close(relay)
        second, relay, relayed = self.client()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.endpoint().sendto(b"for the second", relayed)
        self.same(parse(self.receive(second)[0]).first(DATA), b"for the second")
        with self.assertRaises(BlockingIOError):  # type: ignore[attr-defined] # of TestCase
            first.recv(100)

    def test_ports_are_in_range_and_scattered(self) -> None:
        """Predictable relay ports help whoever aims at them."""
        ports = [self.client()[2].port for _ in range(20)]
        self.same([p for p in ports if not PORTS[0] <= p <= PORTS[1]], [])
        steps = {after - before for before, after in pairwise(ports)}
        self.same(len(steps) > 15, True)

    def test_even_port(self) -> None:
        """EVEN-PORT (RFC 8656 section 18.6)."""
        ports = [self.client(even=True)[2].port for _ in range(8)]
        self.same([port for port in ports if port % 2], [])

    def test_freed_port_rests(self) -> None:
        """Peers of the old allocation still send to it."""
        self.ports = (self.server.port, self.server.port + 1)
        self.plane.stop()
        self.setUp()
        _, relay, relayed = self.client()
        self.plane.close(relay)
        _, relay, other = self.client()
        self.same(other == relayed, False)
        self.plane.close(relay)
        self.same(self.client()[2], relayed)

    def test_host_that_is_not_here(self) -> None:
        """The control side answers 440."""
        absent = "2001:db8::1" if ":" in self.host else "192.0.2.1"
        with self.assertRaises(HostUnavailable):  # type: ignore[attr-defined] # of TestCase
            self.client(bind=absent)

    def test_allocation_over_its_limit_is_held_back(self) -> None:
        """Both directions count together; time gives room again."""
        sock, relay, relayed = self.client(bytes_per_s=10_000.0)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        frame = encode_channel_data(0x4000, bytes(40_000), stream=False)
        sock.sendto(frame, self.server)
        self.receive(peer)
        sock.sendto(frame, self.server)
        self.settle(lambda: self.plane.counters.over_limit == 1)
        peer.sendto(bytes(40_000), relayed)
        self.settle(lambda: self.plane.counters.over_limit == 2)
        peer.sendto(bytes(20_000), relayed)
        self.receive(sock)
        self.now += 4.0
        sock.sendto(frame, self.server)
        self.same(len(self.receive(peer)[0]), 40_000)

    def test_limit_changes_while_it_runs(self) -> None:
        """A live reload reaches what is open."""
        sock, relay, _ = self.client(bytes_per_s=1000.0)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        send = send_indication(address_of(peer), bytes(50_000))
        sock.sendto(send, self.server)
        self.receive(peer)
        sock.sendto(send, self.server)
        self.settle(lambda: self.plane.counters.over_limit == 1)
        self.plane.limit(relay, 0.0)
        sock.sendto(send, self.server)
        self.receive(peer)
        self.plane.limit(relay, 100_000.0)
        for _ in range(3):
            sock.sendto(send, self.server)
        self.settle(lambda: self.plane.counters.over_limit == 2)
        self.plane.limit(99, 1.0)

    def test_allocations_of_a_user_share_a_limit(self) -> None:
        """More allocations are no way to more bandwidth."""
        peer = self.endpoint()
        send = send_indication(address_of(peer), bytes(40_000))
        self.plane.limit_user(7, 1000.0)
        clients = [self.client(user=user) for user in (7, 7, 0)]
        for _, relay, _ in clients:
            self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        clients[0][0].sendto(send, self.server)
        self.receive(peer)
        clients[1][0].sendto(send, self.server)
        self.settle(lambda: self.plane.counters.over_limit == 1)
        clients[2][0].sendto(send, self.server)
        self.receive(peer)
        self.plane.limit_user(7, 0.0)
        clients[1][0].sendto(send, self.server)
        self.receive(peer)
        self.plane.limit_user(99, 0.0)

    def test_limits_hold_for_streams(self) -> None:
        """The wait for a slow client is no way around them."""
        got: list[bytes] = []
        five_tuple = FiveTuple("tcp", Address(self.host, 9), Address(self.host, 10))
        self.plane.attach_stream(five_tuple, got.append)
        relay, relayed = self.open(five_tuple, bytes_per_s=1000.0)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        for _ in range(2):
            peer.sendto(bytes(40_000), relayed)
        self.settle(lambda: self.plane.counters.over_limit == 1)
        self.settle(lambda: len(got) == 1)

    # Own addresses

    def test_hairpin_between_two_clients(self) -> None:
        """Straight across, by the rules of the other end."""
        ann, ann_relay, ann_relayed = self.client()
        bob, bob_relay, bob_relayed = self.client()
        until = self.now + 300
        self.plane.permit(ann_relay, self.host, until, own_only=True)
        ann.sendto(send_indication(bob_relayed, b"early"), self.server)
        self.settle(lambda: self.plane.counters.from_peers_no_route == 1)
        self.plane.permit(bob_relay, self.host, until, own_only=True)
        self.plane.bind(bob_relay, 0x4ABC, ann_relayed, self.now + 600)
        ann.sendto(send_indication(bob_relayed, b"hi"), self.server)
        frame = encode_channel_data(0x4ABC, b"hi", stream=False)
        self.same(self.receive(bob), (frame, self.server))
        bob.sendto(frame, self.server)
        self.same(parse(self.receive(ann)[0]).first(XOR_PEER_ADDRESS), bob_relayed)
        self.same(self.plane.counters.hairpins, 2)

    def test_own_only_means_relays_only(self) -> None:
        """Nothing else on our host is reached, or reaches in."""
        sock, relay, relayed = self.client()
        neighbour = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=True)
        sock.sendto(send_indication(address_of(neighbour), b"x"), self.server)
        self.settle(lambda: self.plane.counters.to_peers_refused == 1)
        neighbour.sendto(b"x", relayed)
        self.settle(lambda: self.plane.counters.from_peers_no_route == 1)
        with self.assertRaises(BlockingIOError):  # type: ignore[attr-defined] # of TestCase
            neighbour.recv(100)

    def test_own_listener_is_never_a_peer(self) -> None:
        """A relay that talks to its own front door would loop."""
        sock, relay, _ = self.client()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        sock.sendto(send_indication(self.server, BINDING), self.server)
        self.settle(lambda: self.plane.counters.to_peers_refused == 1)
        self.same(self.controls, [])

    # Streams

    def test_stream_client(self) -> None:
        """Frames go to its sink, padded; control messages to the control."""
        got: list[bytes] = []
        five_tuple = FiveTuple("tcp", Address(self.host, 9), Address(self.host, 10))
        self.plane.attach_stream(five_tuple, got.append)
        self.plane.stream_received(five_tuple, BINDING)
        self.settle(lambda: self.controls == [(BINDING, five_tuple)])
        relay, relayed = self.open(five_tuple)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        frame = encode_channel_data(0x4000, b"odd", stream=False)
        self.plane.stream_received(five_tuple, frame)
        self.same(self.receive(peer), (b"odd", relayed))
        peer.sendto(b"five!", relayed)
        self.settle(lambda: bool(got))
        self.same(got, [encode_channel_data(0x4000, b"five!", stream=True)])
        self.plane.send(five_tuple, b"answer")
        self.settle(lambda: got[-1] == b"answer")
        self.plane.detach_stream(five_tuple)
        self.plane.send(five_tuple, b"late")
        self.settle(lambda: self.plane.counters.to_clients_failed == 1)

    def test_run_of_a_stream_client_goes_out_in_order(self) -> None:
        """Whole data messages up to what is none, or is not whole."""
        five_tuple = FiveTuple("tcp", Address(self.host, 5), self.server)
        relay, relayed = self.open(five_tuple)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        sent = [b"x" * size for size in range(7)]
        run = b"".join(encode_channel_data(0x4000, each, stream=True) for each in sent)
        run += send_indication(address_of(peer), b"by indication")
        for rest in (b"", b"\x40\0\0", run[-30:-1][:2], ALLOCATE + run, b"\xff" * 8):
            self.same(self.plane.stream_run(five_tuple, run + rest), len(run))
            for payload in (*sent, b"by indication"):
                self.same(self.receive(peer), (payload, relayed))
        for cut in (1, 3, 4, 7):
            frame = encode_channel_data(0x4000, b"whole", stream=True)
            self.same(self.plane.stream_run(five_tuple, frame[:cut]), 0)
        wrong = b"\0\x16\0\0abcd" + bytes(12)
        self.same(self.plane.stream_run(five_tuple, wrong), 0)
        self.same(self.plane.counters.from_clients, 5 * 8)

    def test_run_of_a_stranger_is_counted(self) -> None:
        """It has no allocation."""
        five_tuple = FiveTuple("tcp", Address(self.host, 5), self.server)
        frame = encode_channel_data(0x4000, b"x", stream=True)
        self.same(self.plane.stream_run(five_tuple, frame * 2), 2 * len(frame))
        self.settle(lambda: self.plane.counters.from_clients_no_route == 2)

    def test_frames_of_other_doors_are_not_padded(self) -> None:
        """DTLS and balancers carry datagrams (RFC 8656 section 12.5)."""
        got: list[bytes] = []
        five_tuple = FiveTuple("dtls", Address(self.host, 9), Address(self.host, 10))
        self.plane.attach_stream(five_tuple, got.append)
        relay, relayed = self.open(five_tuple)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        peer.sendto(b"five!", relayed)
        self.settle(lambda: bool(got))
        self.same(got, [encode_channel_data(0x4000, b"five!", stream=False)])

    # Order and end

    def test_settled_comes_after_the_commands(self) -> None:
        """So that the client's first packet finds its permission."""
        settled: list[bool] = []
        self.plane.settled(lambda: settled.append(True))
        self.settle(lambda: settled == [True])

    def test_commands_for_the_gone_do_nothing(self) -> None:
        """A request may cross with the end of its allocation."""
        self.plane.extend(99, 1.0)
        self.plane.permit(99, self.host, 1.0, own_only=False)
        self.plane.bind(99, 0x4000, self.server, 1.0)
        self.plane.close(99)

    def test_send_waits_for_the_commands(self) -> None:
        """The answer that grants a channel must not overtake the channel."""
        for _ in range(20):
            sock, relay, relayed = self.client()
            peer = self.endpoint()
            five_tuple = FiveTuple("udp", address_of(sock), self.server)
            self.plane.permit(relay, self.host, self.now + 300, own_only=False)
            self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
            self.plane.send(five_tuple, b"granted")
            self.receive(sock)
            sock.sendto(encode_channel_data(0x4000, b"x", stream=False), self.server)
            self.same(self.receive(peer), (b"x", relayed))

    def test_taken_port_is_an_error(self) -> None:
        """Two servers must not share a port silently."""
        with self.assertRaises(OSError):  # type: ignore[attr-defined] # of TestCase
            self.plane.listen(self.listen_host, self.server.port)

    def test_stop_frees_every_port(self) -> None:
        """Listener and relays."""
        _, _, relayed = self.client()
        self.plane.stop()
        for address in (self.server, relayed):
            with socket.socket(self.endpoint().family, socket.SOCK_DGRAM) as probe:
                probe.bind(tuple(address))


class PureRelayTests(PlaneContract, SynchronousTestCase):
    """The pure-Python plane on IPv4."""

    def make(self) -> None:
        """Its sockets are read when it is pumped."""
        readers = Readers()
        self.pump = readers.pump
        self.plane = PurePlane(readers, ports=self.ports, clock=self.clock)

    def test_full_range_is_an_error(self) -> None:
        """The control side answers 508."""
        readers = Readers()
        port = self.server.port
        plane = PurePlane(readers, ports=(port, port), clock=self.clock)
        five_tuple = FiveTuple("udp", self.server, self.server)
        with self.assertRaises(NoRelayPort):
            plane.open_relay(
                1, five_tuple, bind=self.host, advertise=self.host, expires_at=0.0
            )


class PureRelayWildcardTests(PureRelayTests):
    """Listening on every address: it answers from the one that was reached."""

    host = "127.0.0.2"
    listen_host = "0.0.0.0"


class PureRelayIPv6Tests(PureRelayTests):
    """The same on IPv6."""

    host = "::1"
    listen_host = "::1"

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        if not has_ipv6():
            raise SkipTest("this machine has no IPv6")
        super().setUp()


class PureRelayIPv6WildcardTests(PureRelayIPv6Tests):
    """Every IPv6 address, and IPv6 alone."""

    listen_host = "::"

    def test_ipv4_is_free_on_the_same_port(self) -> None:
        """The families have a socket each."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", self.server.port))


class NativeRelayTests(PlaneContract, NativeCase):
    """The native plane on IPv4."""


class NativeRelayWildcardTests(NativeRelayTests):
    """Listening on every address: it answers from the one that was reached."""

    host = "127.0.0.2"
    listen_host = "0.0.0.0"


class NativeRelayIPv6Tests(NativeRelayTests):
    """The same on IPv6."""

    host = "::1"
    listen_host = "::1"

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        if not has_ipv6():
            raise SkipTest("this machine has no IPv6")
        super().setUp()


class NativeRelayIPv6WildcardTests(NativeRelayIPv6Tests):
    """Every IPv6 address, and IPv6 alone."""

    listen_host = "::"
