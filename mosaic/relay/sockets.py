"""UDP sockets for the pure-Python plane: open, and read until dry.

Not Twisted's DatagramProtocol: reading into one buffer and many datagrams a
wake-up moves half as many packets again for the same work.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.relay.trafficclass import ANCILLARY_BYTES, PLAIN, TrafficClass
from mosaic.relay.ways import HEAD, HEADROOM, ClientWays, Flows, Send
from mosaic.wire.stun.address import Address, pack_host, unpack_host

LISTENER_BUFFER_BYTES = 4 << 20
RELAY_BUFFER_BYTES = 256 << 10
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_ROUNDS = 64
BUFFER = memoryview(bytearray(HEADROOM + 65536))
"""One for all: what is in it is dealt with before the next read."""
_SO_RCVBUFFORCE = 33
_DATAGRAMS = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
_IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)
_ANCILLARY_BYTES = socket.CMSG_SPACE(20) + ANCILLARY_BYTES

Received = Callable[[memoryview, Address, Address], None]
"""Payload (valid during the call), who sent it, which of our addresses got it."""


def open_udp(host: str, port: int, buffer_bytes: int) -> socket.socket:
    """A bound, non-blocking UDP socket; IPv6 ones take IPv6 alone.

    No SO_REUSEADDR: two processes must not share a port silently.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, _DATAGRAMS)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _set_receive_buffer(made, buffer_bytes)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def _set_receive_buffer(sock: socket.socket, size_bytes: int) -> None:
    """Past the system's limit where we may, else up to it."""
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size_bytes)
            return
        except OSError:
            continue


def tell_destination(sock: socket.socket) -> None:
    """Have the kernel say which address each datagram reached."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


@implementer(IReadDescriptor)
class UdpSocket:
    """A socket in the reactor whose datagrams go to one function.

    At most `_ROUNDS` datagrams a wake-up, so that one flood does not starve
    the other sockets. `address` is what it is bound to. traffic: the class of
    what is received, and then sent.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        sock: socket.socket,
        received: Received,
        traffic: TrafficClass = PLAIN,
    ) -> None:
        self._traffic = traffic
        traffic.watch(sock)
        self._reactor = reactor
        self._sock = sock
        self._received = received
        self._closed = False
        self._budget = 1
        name = sock.getsockname()
        self.address = Address(name[0], name[1])
        reactor.addReader(self)

    def fileno(self) -> int:
        """The descriptor, or -1 when it is closed."""
        return self._sock.fileno()

    def logPrefix(self) -> str:
        """Twisted's name for this reader."""
        return "turn-udp"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives up on the socket (at its end, or a bad descriptor)."""
        self.close()

    def close(self) -> None:
        """Out of the reactor first, then closed: a number that the kernel
        hands out again must never reach this reader."""
        if not self._closed:
            self._closed = True
            self._reactor.removeReader(self)
            self._sock.close()

    def doRead(self) -> None:
        """Read until the socket is dry or the round is over."""
        if self._traffic.preserve:
            self._read_with_class()
            return
        self._read_quickly()

    def _read_quickly(self) -> None:
        """Without the class of what comes."""
        raise NotImplementedError

    def _spend(self, read: int) -> None:
        """How much to read next time: asking a dry socket costs as much as a
        datagram, so a socket that has one at a time is asked once a time."""
        if read >= self._budget:
            self._budget = min(2 * self._budget, _ROUNDS)
        else:
            self._budget = max(read, 1)

    def _read_with_class(self) -> None:
        receive, buffer, address = self._sock.recvmsg_into, BUFFER, self.address
        for _ in range(_ROUNDS):
            if self._closed:
                return
            try:
                size, ancillary, _, sender = receive([buffer], ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier datagram
                self.read_failed()
                continue
            self._traffic.note(ancillary)
            self._received(buffer[:size], peer_address(sender), address)

    def read_failed(self) -> None:
        """Instead of a datagram there was an error; nobody asks which."""

    def send(self, data: bytes | memoryview, to: Address) -> bool:
        """Whether the kernel took it; never waits."""
        try:
            if self._traffic.at_hand:
                self._sock.sendmsg([data], self._traffic.rows(self._sock), 0, to)
            else:
                self._sock.sendto(data, to)
        except OSError:
            return False
        return True


def peer_address(sender: Any) -> Address:
    """What the kernel calls a sender, as an Address."""
    return Address(sender[0], sender[1])


class ListenerSocket(UdpSocket):
    """Bound to one address: everything that arrives is for it.

    flows: channels that need no further look; none by default.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        sock: socket.socket,
        received: Received,
        traffic: TrafficClass = PLAIN,
        flows: Flows | None = None,
    ) -> None:
        self._flows = flows or Flows()
        super().__init__(reactor, sock, received, traffic)

    def _read_quickly(self) -> None:
        receive, address = self._sock.recvfrom_into, self.address
        clients, now = self._flows.clients_of(address), self._flows.clock()
        read = passed = passed_bytes = 0
        for read in range(1, self._budget + 1):
            try:
                size, sender = receive(BUFFER)
            except BlockingIOError:
                read -= 1
                break
            except OSError:  # an ICMP error for an earlier datagram
                continue
            ways = clients.get(sender[:2])
            if ways is not None:
                # An established channel: everything in line, for speed.
                channel, length = HEAD.unpack_from(BUFFER)
                way = ways.get(channel)
                if way and way[0] > now and length <= size - HEADROOM:
                    try:
                        way[1](BUFFER[HEADROOM : HEADROOM + length], way[2])
                    except OSError:
                        pass  # the long way knows what to do
                    else:
                        passed += 1
                        passed_bytes += length
                        continue
            self._received(BUFFER[:size], peer_address(sender), address)
            if self._closed:
                break
        self._flows.from_clients(passed, passed_bytes)
        self._spend(read)

    def reply(self, data: bytes | memoryview, to: Address, server: Address) -> bool:
        """Answer from the address that was reached."""
        return self.send(data, to)

    def way(self, to: Address, server: Address) -> Send:
        """How to answer, looked up once."""
        send = self._sock.sendto
        return lambda data: send(data, to)


class WildcardSocket(ListenerSocket):
    """Bound to every address of a family: the kernel tells which one was
    reached, and is told which one answers (IP_PKTINFO)."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        sock: socket.socket,
        received: Received,
        traffic: TrafficClass = PLAIN,
        flows: Flows | None = None,
    ) -> None:
        self._v6 = sock.family == socket.AF_INET6
        self._reached: dict[bytes, tuple[Address, ClientWays]] = {}
        self._sources: dict[str, list[tuple[int, int, bytes]]] = {}
        tell_destination(sock)
        super().__init__(reactor, sock, received, traffic, flows)

    def doRead(self) -> None:
        """As for other sockets, with the address that was reached."""
        receive, preserve = self._sock.recvmsg_into, self._traffic.preserve
        now, into, reached = self._flows.clock(), (BUFFER,), self._reached
        read = passed = passed_bytes = 0
        for read in range(1, self._budget + 1):
            try:
                size, ancillary, _, sender = receive(into, _ANCILLARY_BYTES)
            except BlockingIOError:
                read -= 1
                break
            except OSError:  # an ICMP error for an earlier datagram
                continue
            info = ancillary[0][2] if ancillary else b""
            server, clients = reached.get(info) or self._note(info)
            if preserve:
                self._traffic.note(ancillary)
            ways = clients.get(sender[:2])
            if ways is not None and not preserve:
                # An established channel: everything in line, for speed.
                channel, length = HEAD.unpack_from(BUFFER)
                way = ways.get(channel)
                if way and way[0] > now and length <= size - HEADROOM:
                    try:
                        way[1](BUFFER[HEADROOM : HEADROOM + length], way[2])
                    except OSError:
                        pass  # the long way knows what to do
                    else:
                        passed += 1
                        passed_bytes += length
                        continue
            self._received(BUFFER[:size], peer_address(sender), server)
            if self._closed:
                break
        self._flows.from_clients(passed, passed_bytes)
        self._spend(read)

    def _note(self, info: bytes) -> tuple[Address, ClientWays]:
        """Remember an address of this machine that a client has reached; without
        a word from the kernel it is the one that we are bound to."""
        if not info:
            return self.address, self._flows.clients_of(self.address)
        if len(self._reached) >= 1024:
            self._reached.clear()
        # in_pktinfo: interface, the local address, the header's address
        host = unpack_host(info[:16] if self._v6 else info[4:8])
        if self._v6:
            # what came over a scoped address must leave by its interface
            self._sources[host] = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
        server = Address(host, self.address.port)
        self._reached[info] = server, self._flows.clients_of(server)
        return self._reached[info]

    def _source(self, host: str) -> list[tuple[int, int, bytes]]:
        """How to send from an address of this machine."""
        held = self._sources.get(host)
        if held is not None:
            return held
        if len(self._sources) >= 1024:
            self._sources.clear()
        packed = pack_host(host)
        if self._v6:
            source = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed + bytes(4))
        else:
            info = struct.pack("=i4s4s", 0, packed, bytes(4))
            source = (socket.IPPROTO_IP, _IP_PKTINFO, info)
        self._sources[host] = [source]
        return self._sources[host]

    def way(self, to: Address, server: Address) -> Send:
        """How to answer from there, looked up once."""
        send, rows = self._sock.sendmsg, self._source(server.host)
        return lambda data: send((data,), rows, 0, to)

    def reply(self, data: bytes | memoryview, to: Address, server: Address) -> bool:
        """Answer from the address that was reached, or that is named."""
        with suppress(OSError):
            rows = [*self._source(server.host), *self._traffic.rows(self._sock)]
            self._sock.sendmsg([data], rows, 0, to)
            return True
        return False
