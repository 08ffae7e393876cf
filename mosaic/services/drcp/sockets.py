"""The WebSockets themselves: Autobahn's protocol, three factories, resources."""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import (
    WebSocketServerFactory,
)
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.web.resource import IResource
from zope.interface import implementer

from mosaic.services.drcp.compat import HocuspocusConnection, YConnection, check_y
from mosaic.services.drcp.connection import Connection
from mosaic.services.drcp.native import NativeConnection
from mosaic.tls.websocket import WebSocketOverTls
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.native import PING_S, SUBPROTOCOL

if TYPE_CHECKING:
    from mosaic.services.drcp.service import DrcpService

_STATUS = {4401: 401, 4403: 403, 4404: 404, 4423: 423}
"""DRCP's codes as HTTP speaks them."""


class Socket(WebSocketOverTls):
    """Bytes between Autobahn and a Connection, and nothing else."""

    factory: Any
    connection: Connection | None = None

    def connectionMade(self) -> None:
        """Before the handshake."""
        self._pauses: set[str] = set()
        super().connectionMade()

    def onConnect(self, request: Any) -> Any:
        """Refuse foreign pages, and everybody while draining."""
        service = self.factory.service
        self._request = request
        host = request.headers.get("host", "")
        if service.draining:
            raise ConnectionDeny(503, "restarting")
        # Programs other than browsers send no Origin.
        origin = request.headers.get("origin")
        if origin is not None and not service.origin_allowed(origin, host):
            service.counters.refused_connections += 1
            raise ConnectionDeny(403, "this page may not connect")
        factory: SocketFactory = self.factory
        return Deferred.fromCoroutine(factory.accept(request))

    def onOpen(self) -> None:
        """The handshake is done."""
        service = self.factory.service
        # The HTTP channel that was here before has left its producer behind.
        self._stream().unregisterProducer()
        self.connection = connection = self.factory.connect(self, self._request)
        service.connected(connection)
        self._stream().registerProducer(cast(IPushProducer, connection.outbound), True)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One message, bounded by limit_messages."""
        if self.connection is None:
            return
        if isBinary:
            self.connection.frame_received(payload)
        else:
            self.connection.close(4400, "binary messages only")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The socket is gone."""
        if self.connection is not None:
            self.connection.lost()
            self.connection = None

    def _stream(self) -> Any:
        """The transport; Autobahn's annotation is narrower than it is."""
        return self.transport

    # Wire -----------------------------------------------------------------
    def write(self, data: bytes) -> None:
        """Frames, ready-made; a direct socket write would go here."""
        if self.state == self.STATE_OPEN:
            self.sendData(data)

    def close(self, code: int, reason: str) -> None:
        """Close; Autobahn's own sendClose does not allow 1012."""
        if self.state == self.STATE_OPEN:
            self.resume_all()
            text = reason.encode()[:120].decode(errors="ignore").encode()
            self.sendCloseFrame(code=code, reasonUtf8=text, isReply=False)

    def limit_messages(self, size_bytes: int) -> None:
        """Larger messages close the connection (1009)."""
        self.maxFramePayloadSize = self.maxMessagePayloadSize = size_bytes

    def pause_reading(self, why: str) -> None:
        """Stop reading until every reason has gone."""
        if not self._pauses:
            self._stream().pauseProducing()
        self._pauses.add(why)

    def resume_reading(self, why: str) -> None:
        """This reason has gone."""
        if why in self._pauses:
            self._pauses.discard(why)
            if not self._pauses:
                self._stream().resumeProducing()

    def resume_all(self) -> None:
        """Read on, to hear the peer's goodbye."""
        if self._pauses:
            self._pauses.clear()
            self._stream().resumeProducing()


class SocketFactory(WebSocketServerFactory):
    """One door. No compression: it costs a context for each client, and the
    same bytes could no longer go to all."""

    protocol: Any = Socket

    def __init__(self, service: DrcpService) -> None:
        super().__init__(reactor=service.reactor)
        self.service = service
        settings = service.settings
        self.setProtocolOptions(
            versions=[13],
            maxFramePayloadSize=settings.max_frame_bytes,
            maxMessagePayloadSize=settings.max_frame_bytes,
            openHandshakeTimeout=settings.handshake_timeout_s,
            autoPingInterval=PING_S,
            autoPingTimeout=PING_S,
            failByDrop=False,
            perMessageCompressionAccept=lambda offers: None,
        )

    async def accept(self, request: Any) -> str | None:
        """The subprotocol. Raises ConnectionDeny."""
        return None

    def connect(self, socket: Socket, request: Any) -> Connection:
        """The connection of a socket."""
        raise NotImplementedError


class NativeFactory(SocketFactory):
    """`/drcp`."""

    async def accept(self, request: Any) -> str | None:
        """drcp.1 and nothing else."""
        if SUBPROTOCOL not in request.protocols:
            raise ConnectionDeny(400, f"the subprotocol {SUBPROTOCOL} is needed")
        return SUBPROTOCOL

    def connect(self, socket: Socket, request: Any) -> Connection:
        """Hello comes first."""
        return NativeConnection(self.service, socket)


class HocuspocusFactory(SocketFactory):
    """`/hocuspocus`."""

    def connect(self, socket: Socket, request: Any) -> Connection:
        """Tokens come with each document."""
        return HocuspocusConnection(self.service, socket)


class YFactory(SocketFactory):
    """`/y/<hub_id>/<document>?token=`."""

    async def accept(self, request: Any) -> str | None:
        """Refuse at the handshake: the stock client comes back at once, for
        ever, after a socket that opened, and more and more slowly otherwise."""
        try:
            await check_y(self.service, *_y_target(request))
        except ProtocolError as error:
            self.service.counters.refused_connections += 1
            status = _STATUS.get(error.code, 503)
            raise ConnectionDeny(status, str(error)) from None
        return None

    def connect(self, socket: Socket, request: Any) -> Connection:
        """Room, document and token come with the URL."""
        return YConnection(self.service, socket, *_y_target(request))


def _y_target(request: Any) -> tuple[str, str, str]:
    """Hub ID, document and token of a handshake's URL."""
    path = unquote(request.path).partition("/y/")[2]
    hub_id, _, name = path.partition("/")
    token = (request.params.get("token") or [""])[0]
    return hub_id, name, token


@implementer(IResource)
class SocketResource(WebSocketResource):
    """A WebSocket at a path and at everything below it."""

    isLeaf = True

    def getChildWithDefault(self, name: bytes, request: object) -> SocketResource:
        """Whatever follows belongs to us."""
        return self


def resources(service: DrcpService) -> dict[str, IResource]:
    """The three doors."""
    doors = {"drcp": NativeFactory, "y": YFactory, "hocuspocus": HocuspocusFactory}
    mounted: dict[str, IResource] = {}
    for name, make in doors.items():
        factory = make(service)
        factory.startFactory()
        mounted[name] = SocketResource(factory)
    return mounted
