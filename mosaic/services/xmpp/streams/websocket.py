"""A client's stream on a WebSocket (RFC 7395)."""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.types import ConnectionDeny
from twisted.web.resource import IResource

from mosaic.services.xmpp.c2s import ClientStream
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.outbox import Outbox
from mosaic.tls.websocket import LeanWebSocket, no_compression, options_in_class
from mosaic.wire.xmpp.frames import (
    NS_FRAMING,
    SUBPROTOCOL,
    FrameParser,
    standing_alone,
    text_frame,
)
from mosaic.wire.xmpp.stream import StreamParser
from mosaic.wire.xmpp.xml import element


class WebSocketStream(ClientStream):
    """Messages instead of a document; dataReceived takes one."""

    goodbye = element("close", ns=NS_FRAMING)

    def __init__(self, house: Household, socket: Socket) -> None:
        self._socket = socket
        super().__init__(house)
        self.transport = socket.transport

    def new_parser(self, max_stanza_bytes: int) -> StreamParser:
        """See StreamBase."""
        self._socket.limit_messages(max_stanza_bytes)
        return FrameParser(max_stanza_bytes=max_stanza_bytes)

    def allow_stanzas(self, max_bytes: int) -> None:
        """See StreamBase."""
        super().allow_stanzas(max_bytes)
        self._socket.limit_messages(max_bytes)

    def opening(self, stream_id: str) -> str:
        """RFC 7395 section 3.4."""
        attributes = {
            "id": stream_id,
            "from": self._house.exchange.domain,
            "version": "1.0",
            "xml:lang": "en",
        }
        return element("open", attributes, ns=NS_FRAMING)

    def open_outbox(self, outbox: Outbox) -> None:
        """Each element is a message of its own; those of a turn leave together."""
        write = outbox.write

        def write_message(data: bytes) -> None:
            write(text_frame(standing_alone(data)))

        self.write = write_message

    def hang_up(self) -> None:
        """The WebSocket's own goodbye follows ours."""
        self._socket.goodbye()


class Socket(LeanWebSocket):
    """Messages between Autobahn and a stream, and nothing else."""

    factory: Any
    _xmpp: WebSocketStream | None = None

    def onConnect(self, request: Any) -> Any:
        """The subprotocol is a must (RFC 7395 section 3.1)."""
        if self.factory.house.draining:
            raise ConnectionDeny(503, "restarting")
        if SUBPROTOCOL not in request.protocols:
            raise ConnectionDeny(400, f"the subprotocol {SUBPROTOCOL} is needed")
        return SUBPROTOCOL

    def onOpen(self) -> None:
        """The handshake is done."""
        transport: Any = self.transport
        # The HTTP channel that was here before has left its producer behind.
        transport.unregisterProducer()
        house = self.factory.house
        self._xmpp = WebSocketStream(house, self)
        self._xmpp.connectionMade()
        house.clock.callLater(0, self.forget_handshake)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One message, bounded by limit_messages."""
        stream = self._xmpp
        if stream is None:
            return
        if isBinary:
            stream.close("not-well-formed", "text messages only")
        else:
            stream.dataReceived(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The socket is gone."""
        stream, self._xmpp = self._xmpp, None
        if stream is not None:
            stream.connectionLost()

    def goodbye(self) -> None:
        """Close; what was written before leaves first."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=1000, reasonUtf8=None, isReply=False)


class SocketFactory(WebSocketServerFactory):
    """Makes sockets that share the household. No compression, as RFC 7692
    costs a context for each client."""

    protocol: Any = Socket

    def __init__(self, house: Household) -> None:
        super().__init__(reactor=house.clock)
        self.house = house
        limit_bytes = house.settings.max_stanza_bytes_before_login
        self.setProtocolOptions(
            versions=[13],
            maxFramePayloadSize=limit_bytes,
            maxMessagePayloadSize=limit_bytes,
            openHandshakeTimeout=house.settings.auth_timeout_s,
            # Whether the client is there is XMPP's question (upkeep.py), and how
            # long one waits for its goodbye, the stream's.
            autoPingInterval=0,
            closeHandshakeTimeout=0,
            failByDrop=False,
            perMessageCompressionAccept=no_compression,
        )
        self.protocol = options_in_class(self)


def websocket_resource(house: Household) -> IResource:
    """What to mount at /xmpp-websocket."""
    factory = SocketFactory(house)
    factory.startFactory()
    resource: IResource = WebSocketResource(factory)
    return resource
