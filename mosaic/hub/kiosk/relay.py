# Twisted's protocols have few annotations.
# mypy: allow-untyped-calls
"""A proxy on 127.0.0.1 for the kiosk's browser alone, where the network wants one.

The browser asks it to CONNECT and it dials as the agent does: PAC scripts,
fail-over and every kind of login work alike for both. It leads to the hub's
server, and to names beside it (its relays), nowhere else.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.proxy.client import Dialler

_log = Logger()

MAX_HEAD_BYTES = 8192
HEAD_S = 10.0


def allowed(target: str, server: str) -> bool:
    """Whether a host is the server's, or stands beside it: `turn.example.org`
    for `hub.example.org`; an address or a name without a parent has no others."""
    if target == server:
        return True
    try:
        ip_address(server)
    except ValueError:
        parent = server.partition(".")[2]
        return "." in parent and (target == parent or target.endswith(f".{parent}"))
    return False


def parse_connect(head: bytes) -> tuple[str, int]:
    """Host and port of `CONNECT host:port HTTP/1.1`. Raises ValueError."""
    words = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    if len(words) != 3 or words[0] != "CONNECT" or not words[2].startswith("HTTP/1."):
        raise ValueError("only CONNECT is done here")
    host, colon, port = words[1].rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536 or len(port) > 5:
        raise ValueError("CONNECT takes host:port")
    return host.strip("[]").lower(), int(port)


class _Far(Protocol):
    """The way to the server."""

    def __init__(self, near: _Near) -> None:
        self.near = near

    def dataReceived(self, data: bytes) -> None:
        """Towards the browser."""
        self.near.transport.write(data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """Over on both sides."""
        self.near.transport.loseConnection()


class _Near(Protocol):
    """The browser's connection."""

    transport: Any

    def __init__(self, dialler: Dialler, server: str) -> None:
        self._dialler = dialler
        self._server = server
        self._head = b""
        self._far: Any = None
        self._dialled: Deferred[Any] | None = None

    def connectionMade(self) -> None:
        """It has a while to say where it wants to go."""
        self._timer = self._dialler.reactor.callLater(
            HEAD_S, self.transport.abortConnection
        )

    def dataReceived(self, data: bytes) -> None:
        """The request, then bytes for the server."""
        if self._far is not None:
            self._far.transport.write(data)
            return
        self._head += data
        if self._dialled is not None:
            return
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MAX_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")
            return
        head, self._head = self._head[:end], self._head[end + 4 :]
        try:
            host, port = parse_connect(head)
        except ValueError:
            self._refuse(b"405 Method Not Allowed")
            return
        if not allowed(host, self._server):
            self._refuse(b"403 Forbidden")
            return
        self._timer.cancel()
        endpoint = self._dialler.endpoint(host, port, tls=False)
        self._dialled = endpoint.connect(Factory.forProtocol(lambda: _Far(self)))
        self._dialled.addCallbacks(self._opened, self._failed)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """The browser has gone."""
        if self._timer.active():
            self._timer.cancel()
        if self._far is not None:
            self._far.transport.loseConnection()
        elif self._dialled is not None:
            self._dialled.cancel()

    def _opened(self, far: Any) -> None:
        self._far = far
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far.transport.registerProducer(self.transport, True)
        self.transport.registerProducer(far.transport, True)
        if self._head:
            far.transport.write(self._head)
            self._head = b""

    def _failed(self, failure: Failure) -> None:
        _log.info("kiosk: {reason}", reason=failure.getErrorMessage())
        self._refuse(b"502 Bad Gateway")

    def _refuse(self, status: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 "
            + status
            + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        self.transport.loseConnection()


class _Relays(Factory):
    noisy = False

    def __init__(self, dialler: Dialler, server: str) -> None:
        self._dialler = dialler
        self._server = server

    def buildProtocol(self, address: Any) -> Protocol:
        return _Near(self._dialler, self._server)


def relay_listen(dialler: Dialler, server: str) -> IListeningPort:
    """Listen on any port of 127.0.0.1. server: the host's name."""
    port: IListeningPort = dialler.reactor.listenTCP(
        0, _Relays(dialler, server), interface="127.0.0.1"
    )
    return port
