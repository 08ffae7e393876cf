"""The client's WebSocket: Autobahn's protocol on one side, frames on the other."""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlsplit

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS, platformTrust

from mosaic.wire.drcp.native import SUBPROTOCOL

HANDSHAKE_S = 10
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class SocketOwner(Protocol):
    """Who is told what happens on a socket."""

    def socket_opened(self, socket: ClientSocket) -> None:
        """The handshake is done."""

    def frame_received(self, socket: ClientSocket, frame: bytes) -> None:
        """One binary message."""

    def socket_closed(self, socket: ClientSocket, code: int, reason: str) -> None:
        """It is over, said once; 1006 if nobody said why."""


class ClientSocket(WebSocketClientProtocol):
    """One connection to `/drcp` (or to another door, for tests)."""

    factory: Any
    _over = False
    _aborted = False

    def onOpen(self) -> None:
        """The handshake is done."""
        self.factory.owner.socket_opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A frame; text is no part of the protocol."""
        if isBinary:
            self.factory.owner.frame_received(self, payload)
        else:
            self.dropConnection(abort=True)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Over, also when the handshake was refused."""
        if not self._over:
            self._over = True
            self.factory.owner.socket_closed(self, code or 1006, reason or "")

    def send(self, frame: bytes) -> None:
        """Send one binary message; nothing once the socket is closing."""
        if self.state == self.STATE_OPEN:
            self.sendMessage(frame, isBinary=True)

    def send_text(self, text: str) -> None:
        """Send a text message, for tests: DRCP has none."""
        self.sendMessage(text.encode(), isBinary=False)

    def abort(self) -> None:
        """Cut the connection, unsent bytes included; safe to call twice."""
        if not self._over and not self._aborted:
            self._aborted = True
            transport: Any = self.transport
            transport.abortConnection()


def connect(
    reactor: Any,
    url: str,
    owner: SocketOwner,
    *,
    trust: Any = None,
    subprotocol: str | None = SUBPROTOCOL,
    endpoint: IStreamClientEndpoint | None = None,
) -> Deferred[Any]:
    """Connect to a ws:// or wss:// URL; fires when TCP (or TLS) stands.

    trust: the CAs to believe (twisted.internet.ssl.trustRootFromCertificates);
    the platform's by default. endpoint: another way to the server, with TLS where
    the URL says so.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "wss"
    factory: Any = WebSocketClientFactory(
        url, protocols=[subprotocol] if subprotocol else [], reactor=reactor
    )
    factory.protocol = ClientSocket
    factory.owner = owner
    factory.setProtocolOptions(
        openHandshakeTimeout=HANDSHAKE_S,
        closeHandshakeTimeout=2,
        maxMessagePayloadSize=MAX_MESSAGE_BYTES,
        maxFramePayloadSize=MAX_MESSAGE_BYTES,
        autoFragmentSize=0,
    )
    if endpoint is not None:
        return endpoint.connect(factory)
    port = parts.port or (443 if secure else 80)
    endpoint = HostnameEndpoint(reactor, host, port)
    if secure:
        options = optionsForClientTLS(host, trustRoot=trust or platformTrust())
        endpoint = wrapClientTLS(options, endpoint)
    return endpoint.connect(factory)
