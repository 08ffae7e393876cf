"""XMPP over WebSocket in memory: the real socket on a transport of strings."""

# Autobahn is not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import base64
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mosaic.services.xmpp.streams.websocket import SocketFactory
from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.xmpp.frames import FrameParser
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Node, element, read_node
from tests.support.websocket import BINARY, CLOSE, TEXT, frame
from tests.support.xmpp import ACCOUNTS, NS_BIND, MemoryXmpp, sasl

OPEN = (
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
)
END = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"


class SocketTransport(StringTransport):
    """Tells its protocol that it is gone."""

    protocol: Any = None
    gone = False
    aborted = False

    def unregisterProducer(self) -> None:
        """Real ones do not mind if there is none."""
        self.producer = None

    def loseConnection(self) -> None:
        """Gone."""
        super().loseConnection()
        self.drop()

    def abortConnection(self) -> None:
        """Gone at once."""
        self.aborted = True
        self.drop()

    def drop(self) -> None:
        """The connection is lost."""
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


class MemorySocket:
    """A browser's connection and what it got, message by message."""

    def __init__(self, house: MemoryXmpp, protocols: str = "xmpp") -> None:
        self.house = house
        self.closed: int | None = None
        self.transport = SocketTransport(
            peerAddress=IPv4Address("TCP", "192.0.2.7", 4711)
        )
        factory = self.factory_of(house)
        self.protocol: Any = cast(Any, factory.buildProtocol(None))
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(
            b"GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: " + protocols.encode() + b"\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        house.clock.advance(0)
        self.answer = self.transport.value()
        self.transport.clear()

    @staticmethod
    def factory_of(house: MemoryXmpp) -> SocketFactory:
        """One for each house. Autobahn's own timer is on the real reactor."""
        if house.sockets is None:
            house.sockets = SocketFactory(house.household)
            house.sockets.protocol.openHandshakeTimeout = 0
        return cast(SocketFactory, house.sockets)

    @property
    def open(self) -> bool:
        """Whether the socket lives."""
        return not self.transport.gone and self.closed is None

    def send(self, *messages: str | bytes) -> list[Node]:
        """One message each; the answers as trees."""
        for message in messages:
            data = message.encode() if isinstance(message, str) else message
            self.frames(frame(TEXT, data))
        return self.receive()

    def frames(self, data: bytes) -> None:
        """Any bytes at all."""
        if not self.transport.gone:
            self.protocol.dataReceived(data)

    def receive_raw(self) -> list[bytes]:
        """The messages that came."""
        self.house.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        found = []
        while data:
            size, at = data[1], 2
            if size == 126:
                size, at = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, at = int.from_bytes(data[2:10], "big"), 10
            payload, opcode = data[at : at + size], data[0] & 15
            data = data[at + size :]
            if opcode == CLOSE:
                self.closed = int.from_bytes(payload[:2], "big")
            else:
                assert opcode == TEXT, opcode
                found.append(payload)
        return found

    def receive(self) -> list[Node]:
        """The same as trees; each must stand alone."""
        nodes = []
        for raw in self.receive_raw():
            parser = FrameParser(max_stanza_bytes=1 << 20)
            [event] = super(FrameParser, parser).feed(raw)
            assert isinstance(event, Stanza), (event, raw)
            nodes.append(read_node(event))
        return nodes

    def log_in(self, name: str, resource: str = "r", *, present: bool = True) -> None:
        """Everything up to initial presence."""
        self.send(OPEN)
        client = ScramClient(name, ACCOUNTS[name], nonce="clientnonce")
        [answer] = self.send(sasl("auth", client.first(), "SCRAM-SHA-256"))
        final = client.final(base64.b64decode(answer.text))
        [answer] = self.send(sasl("response", final))
        client.verify(base64.b64decode(answer.text))
        self.send(OPEN)
        wish = element("bind", None, element("resource", None, resource), ns=NS_BIND)
        self.send(element("iq", {"type": "set", "id": "b"}, wish, ns="jabber:client"))
        if present:
            self.send("<presence xmlns='jabber:client'/>")


__all__ = ["BINARY", "END", "OPEN", "MemorySocket", "SocketTransport"]
