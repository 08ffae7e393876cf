"""A relay's own UDP socket: what goes wrong on the way is heard, DF is set at will."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.relay.sockets import BUFFER, Received, UdpSocket, peer_address
from mosaic.relay.trafficclass import PLAIN, TrafficClass
from mosaic.relay.ways import HEAD, HEADROOM, Flows, Ways
from mosaic.wire.stun.address import Address

_RECVERR = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}
_MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
_PMTU_WANT, _PMTU_PROBE = 1, 3
_MSG_ERRQUEUE = 0x2000
_ERROR = struct.Struct("=IBBBxII")
_FROM_ICMP = (2, 3)
_MTU_TOLD = ((4, 3, 4), (6, 2, 0))
_ROUNDS = 64
_PAYLOAD = BUFFER[HEADROOM:]


class IcmpError(NamedTuple):
    """An ICMP error for a datagram to a peer. data: the MTU where there is one."""

    peer: Address
    type: int
    code: int
    data: bytes


def read_error(
    family: int, ancillary: list[tuple[int, int, bytes]], sent_to: Address
) -> IcmpError | None:
    """What the kernel's error queue tells, or None if it was no ICMP message."""
    for level, kind, value in ancillary:
        if (level, kind) != _RECVERR[family] or len(value) < _ERROR.size:
            continue
        _, origin, icmp_type, code, info, _ = _ERROR.unpack(value[: _ERROR.size])
        if origin in _FROM_ICMP:
            told = (family, icmp_type, code) in _MTU_TOLD
            data = info.to_bytes(4, "big") if told else bytes(4)
            return IcmpError(sent_to, icmp_type, code, data)
    return None


@implementer(IHalfCloseableDescriptor)
class RelaySocket(UdpSocket):
    """A socket that peers are reached by.

    failed: called with each ICMP error for what was sent. The kernel queues
    them; a queue that nobody reads would fail the next send to another peer.
    ways: of the allocation: peers that need no further look; none by default.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        sock: socket.socket,
        received: Received,
        failed: Callable[[IcmpError], None],
        traffic: TrafficClass = PLAIN,
        flows: Flows | None = None,
        ways: Ways | None = None,
    ) -> None:
        self._flows = flows or Flows()
        self._ways = (ways or Ways()).to_client
        self._family = 6 if sock.family == socket.AF_INET6 else 4
        self._failed = failed
        with suppress(OSError):
            sock.setsockopt(*_RECVERR[self._family], 1)
        super().__init__(reactor, sock, received, traffic)

    def _read_quickly(self) -> None:
        receive, ways = self._sock.recvfrom_into, self._ways
        now, counters, read = self._flows.clock(), self._flows.counters, 0
        for read in range(1, self._budget + 1):
            try:
                size, sender = receive(_PAYLOAD)
            except BlockingIOError:
                read -= 1
                break
            except OSError:  # an ICMP error for an earlier datagram
                self.read_failed()
                continue
            way = ways.get(sender)
            if way and way[0] > now:
                # An established channel: everything in line, for speed.
                HEAD.pack_into(BUFFER, 0, way[1], size)
                try:
                    way[2](BUFFER[: HEADROOM + size])
                except OSError:
                    pass  # the long way knows what to do
                else:
                    counters.from_peers += 1
                    counters.from_peers_bytes += size
                    continue
            self._received(_PAYLOAD[:size], peer_address(sender), self.address)
            if self._closed:
                break
        self._spend(read)

    def read_failed(self) -> None:
        """Instead of a datagram there was an error."""
        self._drain()

    def readConnectionLost(self, reason: Failure) -> None:
        """Errors alone are waiting, which epoll reports as a hang-up: read
        them, and stay."""
        if not self._closed:
            self._drain()
        if not self._closed:
            self._reactor.addReader(self)

    def writeConnectionLost(self, reason: Failure) -> None:
        """Never called: datagrams have no end."""

    def _drain(self) -> None:
        for _ in range(_ROUNDS):
            if self._closed:
                return
            try:
                _, ancillary, _, to = self._sock.recvmsg(1, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            error = read_error(self._family, ancillary, Address(to[0], to[1]))
            if error is not None:
                self._failed(error)

    @property
    def sendto(self) -> Callable[[memoryview, Address], Any]:
        """The socket's own, which raises OSError."""
        return self._sock.sendto

    def as_sender(self, peer: Address) -> tuple[Any, ...]:
        """What the kernel will call that peer, as far as is known."""
        return peer if self._family == 4 else (*peer, 0, 0)

    def send_whole(self, data: bytes | memoryview, to: Address) -> bool:
        """Send with the DF bit: dropped on the way rather than fragmented."""
        option = _MTU_DISCOVER[self._family]
        self._sock.setsockopt(*option, _PMTU_PROBE)
        try:
            return self.send(data, to)
        finally:
            self._sock.setsockopt(*option, _PMTU_WANT)

    def send(self, data: bytes | memoryview, to: Address) -> bool:
        """As for other sockets. An error of an earlier datagram is reported
        by the next send, whoever that was for: then it is sent again."""
        return super().send(data, to) or super().send(data, to)
