"""`turn.preserve_dscp` over both planes: DSCP and ECN (RFC 8656 section 16)."""

from __future__ import annotations

import socket
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.pure import PurePlane
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.message import Class, Method, encode
from mosaic.wire.turn.channel import encode_channel_data
from tests.contracts.test_relay_abilities import need_ipv6
from tests.support.native_plane import prompt_plane
from tests.support.plane_case import (
    PORTS,
    NativeCase,
    PlaneFixture,
    Readers,
    address_of,
)
from tests.support.udp import send_indication

VOICE, VIDEO, MARKED = 46 << 2, 34 << 2, 46 << 2 | 3
"""Expedited, assured, and expedited with a congestion mark."""
_RECEIVE = {4: (socket.IPPROTO_IP, 13), 6: (socket.IPPROTO_IPV6, 66)}
_SET = {4: (socket.IPPROTO_IP, 1), 6: (socket.IPPROTO_IPV6, 67)}


class TrafficClassContract(PlaneFixture):
    """The suite. preserved: whether the plane was asked to."""

    preserved = True

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.host else 4

    def seen(self, value: int) -> int:
        """What must arrive where value was sent."""
        return value if self.preserved else 0

    def end(self, sock: socket.socket) -> socket.socket:
        """A socket that is told of the class of what it receives."""
        sock.setsockopt(*_RECEIVE[self.family], 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        return sock

    def send(self, sock: socket.socket, data: bytes, to: Any, value: int) -> None:
        """A datagram of a class."""
        sock.setsockopt(*_SET[self.family], value)
        sock.sendto(data, to)

    def next_class(self, sock: socket.socket) -> int:
        """The class of the next datagram; fails after two seconds."""
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            try:
                _, ancillary, _, _ = sock.recvmsg(65536, socket.CMSG_SPACE(4))
            except BlockingIOError:
                self.pump()
                continue
            return ancillary[0][2][0]
        raise AssertionError("nothing came")

    def call(self) -> tuple[socket.socket, socket.socket, int, Address]:
        """Client and peer with a channel, the relay's number and address."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        return self.end(sock), self.end(peer), relay, relayed

    def test_both_ways_in_order(self) -> None:
        """Packets of one size and several classes; the order stays."""
        sock, peer, _, relayed = self.call()
        classes = [VOICE, VOICE, MARKED, VIDEO, VIDEO, 0, VOICE, 0, 0, 1] * 16
        frame = encode_channel_data(0x4000, b"x" * 100, stream=False)
        for value in classes:
            self.send(sock, frame, self.server, value)
        wanted = [self.seen(value) for value in classes]
        self.same([self.next_class(peer) for _ in classes], wanted)
        for value in classes:
            self.send(peer, b"x" * 100, relayed, value)
        self.same([self.next_class(sock) for _ in classes], wanted)

    def test_indications(self) -> None:
        """Without a channel, too."""
        sock, relay, relayed = self.client()
        peer = self.end(self.endpoint())
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        data = send_indication(address_of(peer), b"x")
        self.send(self.end(sock), data, self.server, VIDEO)
        self.same(self.next_class(peer), self.seen(VIDEO))
        self.send(peer, b"x", relayed, MARKED)
        self.same(self.next_class(sock), self.seen(MARKED))

    def test_straight_across(self) -> None:
        """From one client here to another."""
        sock, relay, relayed = self.client()
        other, another, relayed_too = self.client()
        for ends, to in ((relay, relayed_too), (another, relayed)):
            self.plane.permit(ends, self.host, self.now + 300, own_only=True)
            self.plane.bind(ends, 0x4000, to, self.now + 600)
        frame = encode_channel_data(0x4000, b"x", stream=False)
        self.send(sock, frame, self.server, VOICE)
        self.same(self.next_class(self.end(other)), self.seen(VOICE))

    def test_what_the_server_says_itself_has_none(self) -> None:
        """Answers, whatever the question came with."""
        sock = self.end(self.endpoint())
        allocate = encode(Method.ALLOCATE, Class.REQUEST, bytes(12))
        self.send(sock, allocate, self.server, VOICE)
        self.settle(lambda: bool(self.controls))
        self.plane.send(FiveTuple("udp", address_of(sock), self.server), b"answer")
        self.same(self.next_class(sock), 0)

    def test_streams_have_none(self) -> None:
        """A TCP client's packets, after those of a UDP client that had one."""
        sock, peer, _, _ = self.call()
        five_tuple = FiveTuple("tcp", Address(self.host, 7), self.server)
        self.plane.attach_stream(five_tuple, lambda data: None)
        relay, _ = self.open(five_tuple)
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        self.send(sock, frame(), self.server, VOICE)
        self.same(self.next_class(peer), self.seen(VOICE))
        self.plane.stream_received(five_tuple, frame())
        self.same(self.next_class(peer), 0)


def frame() -> bytes:
    """Channel data."""
    return encode_channel_data(0x4000, b"data", stream=False)


class PureClassTests(TrafficClassContract, SynchronousTestCase):
    """The pure-Python plane."""

    def make(self) -> None:
        """Over a list of readers."""
        readers = Readers()
        self.pump = readers.pump
        self.plane = PurePlane(
            readers, ports=PORTS, clock=self.clock, preserve_dscp=self.preserved
        )


class NativeClassTests(TrafficClassContract, NativeCase):
    """The native plane."""

    def make(self) -> None:
        """What it hands over is taken when it is pumped."""
        readers = Readers()
        self.pump = readers.pump
        self.plane = prompt_plane(
            readers, ports=PORTS, clock=self.clock, preserve_dscp=self.preserved
        )


class PureWildcardClassTests(PureClassTests):
    """With the address that was reached beside it."""

    listen_host = "0.0.0.0"


class NativeWildcardClassTests(NativeClassTests):
    """With the address that was reached beside it."""

    listen_host = "0.0.0.0"


class PureUnaskedTests(PureClassTests):
    """By default nothing is preserved."""

    preserved = False


class NativeUnaskedTests(NativeClassTests):
    """By default nothing is preserved."""

    preserved = False


class PureClassV6Tests(PureClassTests):
    """IPv6 calls it the traffic class."""

    host = "::1"
    listen_host = "::"

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        need_ipv6()
        super().setUp()


class NativeClassV6Tests(NativeClassTests):
    """IPv6 calls it the traffic class."""

    host = "::1"
    listen_host = "::"

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        need_ipv6()
        super().setUp()
