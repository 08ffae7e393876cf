# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""A tunnel as a plain connected socket, for libraries that want one.

asyncio's own code (slixmpp, aioice, ssl) takes sockets, not Twisted's
transports. One end of a socket pair is theirs; the other end is pumped to and
from the tunnel, at the pace of whoever is slower. Nobody else on the machine can
reach it, which a listening port on loopback could not promise.
"""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

P = TypeVar("P", bound=asyncio.BaseProtocol)


class _End(Protocol):
    """One side of the pump. other: set once both stand."""

    transport: Any
    other: _End | None = None
    over = False

    def __init__(self) -> None:
        self._early = bytearray()

    def join(self, other: _End) -> None:
        """Each side slows the other down; what came too early goes first."""
        self.other = other
        self.transport.registerProducer(other.transport, True)
        if self._early:
            other.transport.write(bytes(self._early))
            self._early.clear()

    def dataReceived(self, data: bytes) -> None:
        """Across. A proxy may send the server's first words with its own answer."""
        if self.other is None:
            self._early += data
        elif not self.other.over:
            self.other.transport.write(data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """What is on its way still arrives, then the other side ends too."""
        self.over = True
        if self.other is not None and not self.other.over:
            self.other.transport.unregisterProducer()
            self.other.transport.loseConnection()


class _Far(_End):
    """The tunnel; waits until the near end is there."""

    def connectionMade(self) -> None:
        """Nothing is read before anybody listens."""
        self.transport.pauseProducing()


def connected_socket(
    reactor: Any, endpoint: IStreamClientEndpoint
) -> Deferred[socket.socket]:
    """Connect the endpoint; a non-blocking socket that speaks with its far end.

    The caller closes it. Fails with what the endpoint fails with (HopError).
    """
    return Deferred.fromCoroutine(_connect(reactor, endpoint))


async def _connect(reactor: Any, endpoint: IStreamClientEndpoint) -> socket.socket:
    wanted = cast(IProtocolFactory, Factory.forProtocol(_Far))
    far = cast(_Far, await endpoint.connect(wanted))
    ours, theirs = socket.socketpair()
    try:
        near = _adopted(reactor, ours)
    except BaseException:
        theirs.close()
        far.transport.abortConnection()
        raise
    finally:
        ours.close()  # the reactor has a copy
    theirs.setblocking(False)
    near.join(far)
    far.join(near)
    if far.over:
        near.transport.loseConnection()
    else:
        far.transport.resumeProducing()
    return theirs


def _adopted(reactor: Any, end: socket.socket) -> _End:
    end.setblocking(False)
    made = _End()
    factory: Any = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda _: made
    reactor.adoptStreamConnection(end.fileno(), end.family, factory)
    return made


async def open_connection(
    connected: Deferred[socket.socket],
    *,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """asyncio.open_connection over a tunnel; on the asyncio reactor alone."""
    end = await connected.asFuture(asyncio.get_running_loop())
    try:
        return await asyncio.open_connection(
            sock=end, ssl=ssl, server_hostname=server_hostname if ssl else None
        )
    except BaseException:
        end.close()
        raise


async def create_connection(
    connected: Deferred[socket.socket],
    factory: Callable[[], P],
    *,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
) -> tuple[asyncio.Transport, P]:
    """loop.create_connection over a tunnel; on the asyncio reactor alone."""
    loop = asyncio.get_running_loop()
    end = await connected.asFuture(loop)
    try:
        return await loop.create_connection(
            factory,
            sock=end,
            ssl=ssl,
            server_hostname=server_hostname if ssl else None,
        )
    except BaseException:
        end.close()
        raise
