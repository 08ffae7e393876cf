"""The two ways to put TLS on a port."""

from __future__ import annotations

import socket
from typing import Any, Literal

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from mosaic.tls.context import ServerContext
from mosaic.tls.transports import (
    PlainServer,
    PlainUnixServer,
    TlsServer,
    TlsUnixServer,
)

Transport = Literal["socket", "memory"]
"""Where OpenSSL stands: on the socket, or between two buffers in memory, as in
Twisted's own TLS. What comes through a wrapper is always the latter."""

SOCKET_ENDPOINTS = (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
    AdoptedStreamServerEndpoint,
)


def has_sockets(endpoint: IStreamServerEndpoint) -> bool:
    """Whether its ports hand bare sockets to their transports."""
    return isinstance(endpoint, SOCKET_ENDPOINTS)


def sends_at_once(port: IListeningPort) -> IListeningPort:
    """The port, whose connections do not wait for an acknowledgement before they
    send a little (RFC 896).

    Services join what they write, so there is nothing left for the kernel to join;
    and behind a TLS handshake, which ends with session tickets that nobody answers,
    a client that delays its acknowledgements would have its first answer 40 ms
    late. What is accepted inherits the option.
    """
    listening = port.socket if isinstance(port, tcp.Port) else None
    if listening is not None and listening.family != socket.AF_UNIX:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return port


@implementer(IStreamServerEndpoint)
class MemoryTlsEndpoint:
    """Listens on any other endpoint and wraps its connections in TLS."""

    def __init__(
        self, reactor: Any, below: IStreamServerEndpoint, context: ServerContext
    ) -> None:
        self._reactor = reactor
        self._below = below
        self.context = context

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen. Fails with CannotListenError if the port is taken."""
        listening = self._below.listen(
            TLSMemoryBIOFactory(self.context, False, factory, clock=self._reactor)
        )
        return listening.addCallback(sends_at_once)


@implementer(IStreamServerEndpoint)
class SocketEndpoint:
    """Listens on an endpoint that has sockets, with our own transports.

    context: speaks TLS from the first byte; None: plain, until startTLS().
    """

    def __init__(
        self, below: IStreamServerEndpoint, context: ServerContext | None = None
    ) -> None:
        self._below = below
        self.context = context

    def with_tls(self, context: ServerContext) -> SocketEndpoint:
        """The same endpoint, with TLS on its sockets."""
        return SocketEndpoint(self._below, context)

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen. Fails with CannotListenError if the port is taken."""
        return self._below.listen(factory).addCallback(self._take_over)

    def _take_over(self, port: IListeningPort) -> IListeningPort:
        """Nothing is accepted before the reactor's next turn."""
        sends_at_once(port)
        if isinstance(port, tcp.Port):
            # Documented for this use, though annotated as a class.
            port.transport = self._transport  # type: ignore[assignment]
        elif self.context is not None:
            raise TypeError(f"{port!r} would speak in clear")
        return port

    def _transport(
        self,
        skt: socket.socket,
        protocol: Any,
        address: Any,
        port: tcp.Port,
        *rest: Any,
    ) -> tcp.Server:
        """What the port makes of a socket that it has accepted."""
        is_unix = isinstance(port, unix.Port)
        if self.context is None:
            plain = PlainUnixServer if is_unix else PlainServer
            return plain(skt, protocol, address, port, *rest)
        speaks_tls = TlsUnixServer if is_unix else TlsServer
        transport = speaks_tls(skt, protocol, address, port, *rest)
        transport.begin_tls(self.context.connection_on(skt))
        return transport
