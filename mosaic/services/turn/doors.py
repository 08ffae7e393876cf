"""UDP listeners that the data plane does not own: DTLS, and behind a balancer.

Their clients are attached to the plane as streams are, so that every plane
serves them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol as Interface

from twisted.internet.interfaces import IReactorFDSet

from mosaic.relay.sockets import (
    LISTENER_BUFFER_BYTES,
    ListenerSocket,
    Received,
    WildcardSocket,
    open_udp,
)
from mosaic.services.turn.dtls import DtlsDoor
from mosaic.services.turn.listen import WILDCARD_V4, WILDCARD_V6
from mosaic.wire.proxy import ProxyHeaderError, parse_proxied
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.channel import without_padding

MAX_PATHS = 4096
"""Clients without an allocation whose way back through a balancer is kept."""


def open_listener(
    reactor: IReactorFDSet, host: str, port: int, received: Received
) -> ListenerSocket:
    """A listener that answers from the address that was reached; OSError."""
    sock = open_udp(host, port, LISTENER_BUFFER_BYTES)
    if host in (WILDCARD_V4, WILDCARD_V6):
        return WildcardSocket(reactor, sock, received)
    return ListenerSocket(reactor, sock, received)


class DtlsPort:
    """A listener whose datagrams are DTLS (first byte 20-63, RFC 7983)."""

    def __init__(
        self, reactor: IReactorFDSet, host: str, port: int, door: DtlsDoor
    ) -> None:
        self._door = door
        self._socket = open_listener(reactor, host, port, self._received)
        self.address = self._socket.address

    def _received(self, data: memoryview, client: Address, server: Address) -> None:
        if data and 20 <= data[0] <= 63:
            five_tuple = FiveTuple("dtls", client, server)
            self._door.datagram_received(
                bytes(data),
                five_tuple,
                lambda datagram: self._reply(datagram, five_tuple),
            )

    def _reply(self, datagram: bytes, to: FiveTuple) -> None:
        self._socket.reply(datagram, to.client, to.server)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class ProxyOwner(Interface):
    """What a proxied listener needs of the service."""

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """One whole message."""

    def is_idle(self, five_tuple: FiveTuple) -> bool:
        """Whether the client holds nothing here."""

    def attach(self, five_tuple: FiveTuple, sink: Callable[[bytes], None]) -> None:
        """Frames for the client go there."""

    def detach(self, five_tuple: FiveTuple) -> None:
        """No longer."""


class ProxiedPort:
    """A listener behind a balancer that speaks the PROXY protocol version 2.

    The client is who the header names; answers go to the balancer's own
    address and port, bare. What has no header is dropped and counted in
    `rejected`. The ways back of clients without an allocation are bounded:
    the one used longest ago is forgotten first.
    """

    def __init__(
        self, reactor: IReactorFDSet, host: str, port: int, owner: ProxyOwner
    ) -> None:
        self.rejected = 0
        self._owner = owner
        self._paths: OrderedDict[FiveTuple, Address] = OrderedDict()
        self._socket = open_listener(reactor, host, port, self._received)
        self.address = self._socket.address

    def _received(self, data: memoryview, balancer: Address, server: Address) -> None:
        try:
            source, _, payload = parse_proxied(data)
        except ProxyHeaderError:
            self.rejected += 1
            return
        if len(payload) < 4 or payload[0] >= 0x80:
            return
        five_tuple = FiveTuple("udp-proxy", source or balancer, server)
        self._note(five_tuple, balancer)
        self._owner.stream_received(five_tuple, bytes(payload))

    def _note(self, five_tuple: FiveTuple, balancer: Address) -> None:
        """Remember the way back; the balancer may change it at any time."""
        paths = self._paths
        new = five_tuple not in paths
        paths[five_tuple] = balancer
        paths.move_to_end(five_tuple)
        if new:
            self._owner.attach(five_tuple, lambda data: self._reply(five_tuple, data))
            self._forget_some()

    def _forget_some(self) -> None:
        """The oldest that are idle; those with allocations go to the back."""
        for _ in range(min(8, len(self._paths) - MAX_PATHS)):
            oldest = next(iter(self._paths))
            if self._owner.is_idle(oldest):
                del self._paths[oldest]
                self._owner.detach(oldest)
            else:
                self._paths.move_to_end(oldest)

    def _reply(self, to: FiveTuple, data: bytes) -> None:
        balancer = self._paths.get(to)
        if balancer is not None:
            self._socket.reply(without_padding(data), balancer, to.server)

    def close(self) -> None:
        """Close the socket and forget everybody."""
        self._socket.close()
        for five_tuple in self._paths:
            self._owner.detach(five_tuple)
        self._paths.clear()
