"""Second sockets on a port: they are faster, and nothing else changes."""

from __future__ import annotations

import os
import resource
import socket
from typing import Any

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Method, parse
from mosaic.wire.turn.attributes import DATA, XOR_PEER_ADDRESS
from mosaic.wire.turn.channel import encode_channel_data
from tests.contracts.test_relay_abilities import need_ipv6
from tests.support.plane_case import NativeCase, address_of
from tests.support.udp import send_indication

ENOUGH = 150
"""Packets after which a channel has a socket of its own."""
ENOUGH_FOR_LISTENER = 300


def sockets_at(address: Any) -> list[tuple[Any, Any]]:
    """(name, peer) of this process's UDP sockets that are bound to a port."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            kind = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if not kind.startswith("socket:"):
            continue
        with socket.socket(fileno=os.dup(int(name))) as made:
            if made.type != socket.SOCK_DGRAM or made.family == socket.AF_UNIX:
                continue
            if made.getsockname()[1] == address[1]:
                try:
                    peer = made.getpeername()[:2]
                except OSError:
                    peer = None
                found.append((made.getsockname()[:2], peer))
    return found


class DirectTests(NativeCase):
    """A channel that is busy has a socket that is connected to its peer."""

    def call(self) -> tuple[socket.socket, socket.socket, int, Address]:
        """Client and peer with a channel, the relay's number and address."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        return sock, peer, relay, relayed

    def talk(self, sock: socket.socket, peer: socket.socket, count: int) -> None:
        """Packets from client to peer, all of which arrive, in order."""
        payloads = [n.to_bytes(2, "big") for n in range(count)]
        for payload in payloads:
            frame = encode_channel_data(0x4000, payload, stream=False)
            sock.sendto(frame, self.server)
        self.assertEqual([self.receive(peer)[0] for _ in payloads], payloads)

    def is_direct(self, peer: socket.socket, relayed: Address) -> bool:
        """Whether there is such a socket."""
        return address_of(peer) in [peer for _, peer in sockets_at(relayed)]

    def test_it_comes_with_use(self) -> None:
        """Not for a channel that is bound and idle; the address stays."""
        sock, peer, _, relayed = self.call()
        self.talk(sock, peer, 20)
        self.assertFalse(self.is_direct(peer, relayed))
        self.talk(sock, peer, ENOUGH)
        self.assertTrue(self.is_direct(peer, relayed))
        self.assertEqual(len(sockets_at(relayed)), 2)
        sock.sendto(encode_channel_data(0x4000, b"x", stream=False), self.server)
        self.assertEqual(self.receive(peer), (b"x", relayed))
        peer.sendto(b"back", relayed)
        self.assertEqual(self.receive(sock)[0], b"\x40\x00\x00\x04back")

    def test_others_still_reach_the_relay(self) -> None:
        """Another peer with a permission, another channel, and nobody else."""
        sock, peer, relay, relayed = self.call()
        self.talk(sock, peer, ENOUGH)
        other, bound = self.endpoint(), self.endpoint()
        self.plane.bind(relay, 0x4001, address_of(bound), self.now + 600)
        other.sendto(b"indication", relayed)
        message = parse(self.receive(sock)[0])
        self.assertEqual(message.first(XOR_PEER_ADDRESS), address_of(other))
        self.assertEqual(message.first(DATA), b"indication")
        for n in range(ENOUGH):
            bound.sendto(bytes([n]), relayed)
            self.assertEqual(self.receive(sock)[0][:5], bytes((0x40, 1, 0, 1, n)))
        frame = encode_channel_data(0x4001, b"to the other", stream=False)
        sock.sendto(frame, self.server)
        self.assertEqual(self.receive(bound), (b"to the other", relayed))
        sock.sendto(send_indication(address_of(other), b"to a third"), self.server)
        self.assertEqual(self.receive(other), (b"to a third", relayed))

    def test_rules_are_those_of_the_relay(self) -> None:
        """A permission that has expired, a channel that has, an allocation."""
        sock, peer, relay, relayed = self.call()
        self.talk(sock, peer, ENOUGH)
        self.now += 301
        peer.sendto(b"late", relayed)
        self.settle(lambda: self.plane.counters.from_peers_no_route == 1)
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        peer.sendto(b"again", relayed)
        self.assertEqual(self.receive(sock)[0][4:], b"again")
        self.now += 305
        sock.sendto(encode_channel_data(0x4000, b"x", stream=False), self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == 1)

    def test_it_goes_with_its_channel(self) -> None:
        """Another peer for the number, another client's address, the end."""
        sock, peer, relay, relayed = self.call()
        self.talk(sock, peer, ENOUGH)
        other = self.endpoint()
        self.plane.bind(relay, 0x4000, address_of(other), self.now + 600)
        self.assertEqual(len(sockets_at(relayed)), 1)
        self.talk(sock, other, ENOUGH)
        self.assertTrue(self.is_direct(other, relayed))
        self.plane.close(relay)
        self.assertEqual(sockets_at(relayed), [])
        self.talk(*self.call()[:2], ENOUGH)

    def test_dead_peer_is_told_and_hinders_nobody(self) -> None:
        """ICMP errors of a connected socket are its own."""
        sock, peer, relay, _ = self.call()
        self.talk(sock, peer, ENOUGH)
        gone, living = address_of(peer), self.endpoint()
        peer.close()
        for n in range(20):
            frame = encode_channel_data(0x4000, b"anyone?", stream=False)
            sock.sendto(frame, self.server)
            sock.sendto(send_indication(address_of(living), bytes([n])), self.server)
            self.assertEqual(self.receive(living)[0], bytes([n]))
        message = parse(self.receive(sock)[0])
        self.assertEqual(message.method, Method.DATA)
        self.assertEqual(message.first(XOR_PEER_ADDRESS), gone)
        self.assertIn(0x8004, dict(message.attributes))
        del relay

    def test_nobody_else_can_have_the_port(self) -> None:
        """It was shared for a moment only."""
        sock, peer, _, relayed = self.call()
        self.talk(sock, peer, ENOUGH)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            with socket.socket(family, socket.SOCK_DGRAM) as thief:
                thief.setsockopt(socket.SOL_SOCKET, option, 1)
                self.assertRaises(OSError, thief.bind, (self.host, relayed.port))

    def test_no_descriptors_no_matter(self) -> None:
        """Where descriptors run out, calls go on without; later they have one."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        calls = [self.call() for _ in range(4)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, limits[1]))
        for sock, peer, _, _ in calls:
            self.talk(sock, peer, ENOUGH)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        direct = [self.is_direct(peer, relayed) for _, peer, _, relayed in calls]
        self.assertEqual(direct, [False] * 4)
        for sock, peer, _, _ in calls:
            self.talk(sock, peer, ENOUGH)
        direct = [self.is_direct(peer, relayed) for _, peer, _, relayed in calls]
        self.assertEqual(direct, [True] * 4)


class DirectV6Tests(DirectTests):
    """The same on IPv6."""

    host = listen_host = "::1"

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        need_ipv6()
        super().setUp()


class OwnListenerTests(NativeCase):
    """An address of a wildcard that many datagrams reach has its own listener."""

    listen_host = "0.0.0.0"
    second = "127.0.0.2"

    def names(self) -> list[str]:
        """The addresses that the server's port is bound to."""
        return sorted(name[0] for name, _ in sockets_at(self.server))

    def exchange(self, sock: socket.socket, peer: socket.socket, to: Any) -> None:
        """One packet there, and its answer from the address that was reached."""
        sock.sendto(encode_channel_data(0x4000, b"ping", stream=False), to)
        data, relayed = self.receive(peer)
        self.assertEqual(data, b"ping")
        peer.sendto(b"pong", relayed)
        data, server = self.receive(sock)
        self.assertEqual((data[4:], server), (b"pong", to))

    def test_it_comes_with_use_and_changes_nothing(self) -> None:
        """Clients of before, clients of after, and those at other addresses."""
        calls = []
        for _ in range(2):
            sock, relay, _ = self.client()
            peer = self.endpoint()
            self.plane.permit(relay, self.host, self.now + 300, own_only=False)
            self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
            calls.append((sock, peer))
        for n in range(ENOUGH_FOR_LISTENER):
            calls[n % 2][0].sendto(b"?", self.server)
        for call in calls:
            self.exchange(*call, self.server)
        self.assertEqual(self.names(), [self.listen_host, self.host])
        elsewhere = self.server = Address(self.second, self.server.port)
        sock, relay, _ = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        self.exchange(sock, peer, elsewhere)
        self.exchange(*calls[0], Address(self.host, elsewhere.port))

    def test_the_relay_does_not_reach_it(self) -> None:
        """A relay that talks to its own front door would loop."""
        sock, relay, _ = self.client()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, self.server, self.now + 600)
        frame = encode_channel_data(0x4000, b"loop", stream=False)
        for _ in range(ENOUGH_FOR_LISTENER):
            sock.sendto(frame, self.server)
        refused = ENOUGH_FOR_LISTENER
        self.settle(lambda: self.plane.counters.to_peers_refused == refused)
        self.assertEqual(self.plane.counters.not_stun, 0)


class OwnListenerV6Tests(OwnListenerTests):
    """The same on IPv6, where a machine has one loopback address."""

    host = second = "::1"
    listen_host = "::"

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        need_ipv6()
        super().setUp()
