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

from mosaic.wire.stun.address import Address, pack_host, unpack_host

LISTENER_BUFFER_BYTES = 4 << 20
RELAY_BUFFER_BYTES = 256 << 10
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_ROUNDS = 64
_SO_RCVBUFFORCE = 33
_DATAGRAMS = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
_IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)
_ANCILLARY_BYTES = socket.CMSG_SPACE(20)

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
    the other sockets. `address` is what it is bound to.
    """

    def __init__(
        self, reactor: IReactorFDSet, sock: socket.socket, received: Received
    ) -> None:
        self._reactor = reactor
        self._sock = sock
        self._received = received
        self._closed = False
        self._buffer = memoryview(bytearray(65536))
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
        receive, buffer, address = self._sock.recvfrom_into, self._buffer, self.address
        for _ in range(_ROUNDS):
            if self._closed:
                return
            try:
                size, sender = receive(buffer)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier datagram
                self.read_failed()
                continue
            self._received(buffer[:size], _peer(sender), address)

    def read_failed(self) -> None:
        """Instead of a datagram there was an error; nobody asks which."""

    def send(self, data: bytes | memoryview, to: Address) -> bool:
        """Whether the kernel took it; never waits."""
        try:
            self._sock.sendto(data, to)
        except OSError:
            return False
        return True


def _peer(sender: Any) -> Address:
    return Address(sender[0], sender[1])


class ListenerSocket(UdpSocket):
    """Bound to one address: everything that arrives is for it."""

    def reply(self, data: bytes, to: Address, server: Address) -> bool:
        """Answer from the address that was reached."""
        return self.send(data, to)


class WildcardSocket(ListenerSocket):
    """Bound to every address of a family: the kernel tells which one was
    reached, and is told which one answers (IP_PKTINFO)."""

    def __init__(
        self, reactor: IReactorFDSet, sock: socket.socket, received: Received
    ) -> None:
        self._v6 = sock.family == socket.AF_INET6
        self._reached: dict[bytes, Address] = {}
        self._sources: dict[str, list[tuple[int, int, bytes]]] = {}
        tell_destination(sock)
        super().__init__(reactor, sock, received)

    def doRead(self) -> None:
        """As for other sockets, with the address that was reached."""
        receive, buffer = self._sock.recvmsg_into, self._buffer
        buffers = [buffer]
        for _ in range(_ROUNDS):
            if self._closed:
                return
            try:
                size, ancillary, _, sender = receive(buffers, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier datagram
                continue
            self._received(buffer[:size], _peer(sender), self._server(ancillary))

    def _server(self, ancillary: list[tuple[int, int, bytes]]) -> Address:
        if not ancillary:
            return self.address
        info = ancillary[0][2]
        held = self._reached.get(info)
        return held if held is not None else self._note(info)

    def _note(self, info: bytes) -> Address:
        """Remember an address of this machine that a client has reached."""
        if len(self._reached) >= 1024:
            self._reached.clear()
        # in_pktinfo: interface, the local address, the header's address
        host = unpack_host(info[:16] if self._v6 else info[4:8])
        if self._v6:
            # what came over a scoped address must leave by its interface
            self._sources[host] = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
        self._reached[info] = Address(host, self.address.port)
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

    def reply(self, data: bytes, to: Address, server: Address) -> bool:
        """Answer from the address that was reached, or that is named."""
        with suppress(OSError):
            self._sock.sendmsg([data], self._source(server.host), 0, to)
            return True
        return False
