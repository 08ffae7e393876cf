# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""aioice's TURN client on a connection that Twisted dialled, by a proxy perhaps."""

from __future__ import annotations

import asyncio
from typing import Any

from aioice.turn import TurnClientTcpProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure


class _StreamTransport(asyncio.Transport):
    """What aioice asks of asyncio's transports, on Twisted's."""

    def __init__(self, inner: Any, server: tuple[str, int]) -> None:
        super().__init__()
        self._inner = inner
        self._server = server
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """peername: the server that was asked for, whatever lies in between."""
        return self._server if name == "peername" else default

    def is_closing(self) -> bool:
        """True from close() or the loss of the connection on."""
        return self._closing

    def write(self, data: Any) -> None:
        """Send; nothing once it is closing."""
        if not self._closing:
            self._inner.write(bytes(data))

    def close(self) -> None:
        """What was written is sent first."""
        if not self._closing:
            self._closing = True
            self._inner.loseConnection()

    def abort(self) -> None:
        """At once."""
        self._closing = True
        self._inner.abortConnection()

    def lost(self) -> None:
        """The connection is gone."""
        self._closing = True


class TurnStream(Protocol):
    """Bytes between Twisted and aioice. client: aioice's."""

    transport: Any

    def __init__(self, client: TurnClientTcpProtocol, server: tuple[str, int]) -> None:
        self.client = client
        self._server = server
        self._outer: _StreamTransport | None = None

    def connectionMade(self) -> None:
        """Told when TLS, if there is any, stands."""
        self._outer = _StreamTransport(self.transport, self._server)
        self.client.connection_made(self._outer)

    def dataReceived(self, data: bytes) -> None:
        """Messages of the relay, in pieces."""
        self.client.data_received(data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """The allocation goes with it."""
        if self._outer is not None:
            self._outer.lost()
        self.client.connection_lost(None)


class TurnStreamFactory(Factory):
    """For one connection."""

    noisy = False

    def __init__(self, client: TurnClientTcpProtocol, server: tuple[str, int]) -> None:
        self._made = TurnStream(client, server)

    def buildProtocol(self, addr: Any) -> TurnStream:
        """The one."""
        return self._made
