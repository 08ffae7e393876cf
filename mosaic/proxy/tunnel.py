# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""Moves bytes between a proxy and the pure cores, then steps aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from mosaic.wire.connect import ConnectClient, Event, Opened, Prepare, Redial, Send
from mosaic.wire.hops import HopError, NoAnswer
from mosaic.wire.httpauth import Scheme
from mosaic.wire.socks5 import Socks5Client


class Core(Protocol):
    """Opens a tunnel, whichever the protocol; lives through several dials."""

    @property
    def login_scheme(self) -> str:
        """How we logged in; "" without a login."""

    def begin(self) -> Iterable[Event]:
        """A connection stands."""

    def receive(self, data: bytes) -> Iterable[Event]:
        """Bytes; b"" for the end. Raises HopError."""


class _Socks:
    """SOCKS5 under the same interface."""

    def __init__(self, make: Callable[[], Socks5Client]) -> None:
        self._make = make
        self._client = make()

    @property
    def login_scheme(self) -> str:
        return self._client.login_scheme

    def begin(self) -> Iterable[Event]:
        self._client = self._make()
        return [Send(self._client.begin())]

    def receive(self, data: bytes) -> Iterable[Event]:
        if not data:
            raise self._client.closed()
        out = self._client.receive(data)
        events: list[Event] = [Send(out)] if out else []
        if self._client.is_open:
            events.append(Opened(self._client.leftover()))
        return events


def socks_core(make: Callable[[], Socks5Client]) -> Core:
    """A core over SOCKS5. make: raises ValueError for what does not fit."""
    return _Socks(make)


def http_core(client: ConnectClient) -> Core:
    """A core over CONNECT."""
    return client


class _Tunnel(TwistedProtocol):
    """The connection to the proxy; `_inner` is the target's protocol."""

    transport: Any
    _inner: Any = None
    _over = False

    def __init__(self, factory: TunnelFactory, address: Any) -> None:
        self._factory = factory
        self._address = address

    def connectionMade(self) -> None:
        """Ask."""
        self._factory.connection = self
        self._run(self._factory.core.begin)

    def dataReceived(self, data: bytes) -> None:
        """The proxy's bytes, or the target's."""
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif not self._over:
            self._run(lambda: self._factory.core.receive(data))

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """The end may complete an answer without a length."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self._over:
            self._run(lambda: self._factory.core.receive(b""))
            self._finish(
                Failure(
                    NoAnswer(
                        self._factory.hop, "closed without an answer", stage="proxy"
                    )
                )
            )

    def _run(self, step: Callable[[], Iterable[Event]]) -> None:
        try:
            for event in step():
                match event:
                    case Send(data):
                        self.transport.write(data)
                    case Redial():
                        self._finish(None)
                        self.transport.loseConnection()
                    case Prepare(scheme):
                        self._factory.unready = scheme
                        self._finish(None)
                        self.transport.loseConnection()
                    case Opened(leftover):
                        self._open(leftover)
        except (HopError, ValueError):
            self._finish(Failure())
            self.transport.abortConnection()

    def _open(self, leftover: bytes) -> None:
        wanted = self._factory.wanted
        wanted.doStart()
        inner = wanted.buildProtocol(self._address)
        if inner is None:
            self._finish(Failure(ValueError("the factory built no protocol")))
            self.transport.abortConnection()
            return
        self._inner = inner
        inner.makeConnection(self.transport)
        if leftover:
            inner.dataReceived(leftover)
        self._finish(inner)

    def _finish(self, result: Any) -> None:
        self._over = True
        if not self._factory.done.called:
            self._factory.done.callback(result)


class TunnelFactory(Factory):
    """One dial. done: the protocol behind the tunnel, None to dial again, when
    `unready` has been prepared if there is one."""

    noisy = False

    def __init__(self, wanted: IProtocolFactory, core: Core, hop: str) -> None:
        self.wanted = wanted
        self.core = core
        self.hop = hop
        self.done: Deferred[Any] = Deferred()
        self.connection: _Tunnel | None = None
        self.unready: Scheme | None = None

    def buildProtocol(self, address: Any) -> TwistedProtocol:
        """For the connection to the proxy."""
        return _Tunnel(self, address)

    def abort(self) -> None:
        """Cut the connection, if there is one."""
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abortConnection()

    @property
    def transport(self) -> Any:
        """Of the connection to the proxy."""
        return None if self.connection is None else self.connection.transport
