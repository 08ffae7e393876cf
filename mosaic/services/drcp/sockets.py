"""The WebSockets themselves: Autobahn's protocol, three factories, resources."""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import (
    WebSocketServerFactory,
)
from autobahn.websocket import xormasker
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.web.resource import IResource
from zope.interface import implementer

from mosaic.services.drcp.compat import (
    Admitted,
    HocuspocusConnection,
    YConnection,
    check_y,
)
from mosaic.services.drcp.connection import Connection
from mosaic.services.drcp.direct import eager_write
from mosaic.services.drcp.native import NativeConnection
from mosaic.services.drcp.rounds import Rounds
from mosaic.tls.websocket import LeanWebSocket, no_compression, options_in_class
from mosaic.wire.drcp.frames import begins_small_frame, small_frames
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.native import SUBPROTOCOL

if TYPE_CHECKING:
    from mosaic.services.drcp.service import DrcpService

_STATUS = {4401: 401, 4403: 403, 4404: 404, 4423: 423}
"""DRCP's codes as HTTP speaks them."""


class Socket(LeanWebSocket):
    """Bytes between Autobahn and a Connection, and nothing else."""

    factory: Any
    connection: Connection | None = None
    admitted: Admitted | None = None
    """What a door has found out before the connection is there."""
    heard = True
    """Whether anything has come since the last ping."""

    _write_now: Callable[[bytes], None]
    _tail = b""
    """The first part of a small frame."""

    _pauses: frozenset[str] = frozenset()

    def dataReceived(self, data: bytes) -> None:
        """Small frames go the short way, everything else Autobahn's."""
        self.heard = True
        if self._tail:
            data, self._tail = self._tail + data, b""
        connection = self.connection
        if connection is not None and self._is_between_messages():
            at, limit = 0, self.maxMessagePayloadSize
            for payload, at in small_frames(data, limit):  # noqa: B007 # used below
                connection.frame_received(payload)
                if self.state != self.STATE_OPEN:
                    break
            else:
                if at == len(data):
                    return
                if begins_small_frame(data, at, limit):
                    self._tail = data[at:]
                    return
            data = data[at:]
            if not data:
                return
        super().dataReceived(data)

    def _is_between_messages(self) -> bool:
        waiting: Any = self.current_frame
        return (
            self.state == self.STATE_OPEN
            and waiting is None
            and not self.inside_message
            and not self.data
        )

    def onConnect(self, request: Any) -> Any:
        """Refuse foreign pages, and everybody while draining."""
        service = self.factory.service
        self._asked = request
        host = request.headers.get("host", "")
        if service.draining:
            raise ConnectionDeny(503, "restarting")
        # Programs other than browsers send no Origin.
        origin = request.headers.get("origin")
        if origin is not None and not service.origin_allowed(origin, host):
            service.counters.refused_connections += 1
            raise ConnectionDeny(403, "this page may not connect")
        factory: SocketFactory = self.factory
        return Deferred.fromCoroutine(factory.accept(self, request))

    def onOpen(self) -> None:
        """The handshake is done."""
        service = self.factory.service
        # The HTTP channel that was here before has left its producer behind.
        self._stream().unregisterProducer()
        self._write_now = eager_write(self._stream())
        if service.rounds is not None:
            service.rounds.adopt(self._stream())
        self.connection = connection = self.factory.connect(self, self._asked)
        service.connected(connection)
        service.reactor.callLater(0, self.forget_handshake)
        service.heartbeat.add(self)
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
        self.factory.service.heartbeat.remove(self)
        if self.connection is not None:
            self.connection.lost()
            self.connection = None

    def _stream(self) -> Any:
        """The transport; Autobahn's annotation is narrower than it is."""
        return self.transport

    # Heartbeat ------------------------------------------------------------
    def ping(self) -> None:
        """Ask for a pong."""
        self.sendPing()

    def give_up(self) -> None:
        """Nothing came since the ping."""
        self.wasNotCleanReason = "no answer to a ping"
        self.dropConnection(abort=True)

    # Wire -----------------------------------------------------------------
    def write(self, data: bytes) -> None:
        """Frames, ready-made."""
        if self.state == self.STATE_OPEN:
            self._write_now(data)

    def close(self, code: int, reason: str) -> None:
        """Close; Autobahn's own sendClose does not allow 1012."""
        if self.state == self.STATE_OPEN:
            self.resume_all()
            text = reason.encode()[:120].decode(errors="ignore").encode()
            self.sendCloseFrame(code=code, reasonUtf8=text, isReply=False)

    def read_with(self, room: Rounds) -> None:
        """Read when the room is read."""
        room.adopt(self._stream())

    def pause_reading(self, why: str) -> None:
        """Stop reading until every reason has gone."""
        if not self._pauses:
            self._stream().pauseProducing()
        self._pauses |= {why}

    def resume_reading(self, why: str) -> None:
        """This reason has gone."""
        if why in self._pauses:
            self._pauses -= {why}
            if not self._pauses:
                self._stream().resumeProducing()

    def resume_all(self) -> None:
        """Read on, to hear the peer's goodbye."""
        if self._pauses:
            self._pauses = frozenset()
            self._stream().resumeProducing()


class SocketFactory(WebSocketServerFactory):
    """One door."""

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
            # Pings are the heartbeat's.
            autoPingInterval=0,
            failByDrop=False,
            perMessageCompressionAccept=no_compression,
        )
        self.protocol = options_in_class(self)

    async def accept(self, socket: Socket, request: Any) -> str | None:
        """The subprotocol. Raises ConnectionDeny."""
        return None

    def connect(self, socket: Socket, request: Any) -> Connection:
        """The connection of a socket."""
        raise NotImplementedError


class NativeFactory(SocketFactory):
    """`/drcp`."""

    async def accept(self, socket: Socket, request: Any) -> str | None:
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

    async def accept(self, socket: Socket, request: Any) -> str | None:
        """Refuse at the handshake: the stock client comes back at once, for
        ever, after a socket that opened, and more and more slowly otherwise."""
        try:
            socket.admitted = await check_y(self.service, *_y_target(request))
        except ProtocolError as error:
            self.service.counters.refused_connections += 1
            status = _STATUS.get(error.code, 503)
            raise ConnectionDeny(status, str(error)) from None
        return None

    def connect(self, socket: Socket, request: Any) -> Connection:
        """Room, document and token came with the URL, and were looked at."""
        admitted, socket.admitted = socket.admitted, None
        target = _y_target(request)
        return YConnection(self.service, socket, *target, admitted=admitted)


def masks_natively() -> bool:
    """Whether Autobahn's frames are unmasked in C (NVX): 1.3 times the speed."""
    return "nvx" in vars(xormasker)["create_xor_masker"].__module__


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
