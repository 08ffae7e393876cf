"""Autobahn's WebSockets on our own TLS transport."""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from contextlib import suppress
from typing import Any

from autobahn.twisted.util import peer2str
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.wamp.types import TransportDetails
from autobahn.websocket.protocol import TrafficStats

_DETAILS = TransportDetails()
_HANDSHAKE = (
    "http_request_data", "http_status_line", "http_headers", "http_request_uri",
    "http_request_path", "http_request_params", "http_request_host",
    "http_response_data", "websocket_protocols", "websocket_origin",
    "websocket_extensions", "_wskey", "_asked", "_transport_details", "is_open",
    "trafficStats", "trackedTimings", "send_queue",
)  # fmt: skip
"""What Autobahn keeps of a handshake and never asks for again; and what it
makes for each connection although one for all would do."""


class WebSocketOverTls(WebSocketServerProtocol):
    """Stands on any TLS transport.

    Autobahn describes each connection for WAMP's logins, and raises RuntimeError
    where TLS is not Twisted's own (create_transport_details). Nobody here reads
    that description, so all connections share an empty one.
    """

    def connectionMade(self) -> None:
        """As Autobahn's, without the description."""
        transport: Any = self.transport
        self._transport_details = _DETAILS
        self.peer = peer2str(transport)
        with suppress(AttributeError, OSError):  # in-memory transports, UNIX sockets
            transport.setTcpNoDelay(True)
        self._connectionMade()


class LeanWebSocket(WebSocketOverTls):
    """Keeps less of what nobody asks for again."""

    # In place of those in _HANDSHAKE: nothing reads or queues there any more.
    _asked: Any = None
    _transport_details: Any = None
    is_open: Any = None
    trafficStats = TrafficStats()
    trackedTimings: Any = None
    send_queue: Any = ()

    def forget_handshake(self) -> None:
        """A thousand idle connections should not hold a thousand requests."""
        kept = self.__dict__
        self.__dict__ = {name: kept[name] for name in kept if name not in _HANDSHAKE}

    def limit_messages(self, size_bytes: int) -> None:
        """Larger messages close the connection (1009)."""
        self.maxFramePayloadSize = self.maxMessagePayloadSize = size_bytes


def options_in_class(factory: Any) -> type[WebSocketServerProtocol]:
    """The factory's class of protocols, with its options in it: Autobahn copies
    thirty to every connection, and prints them for a log that nobody reads."""
    base = factory.protocol
    options = {name: getattr(factory, name) for name in base.CONFIG_ATTRS}
    options["perMessageCompressionAccept"] = staticmethod(no_compression)
    return type(base.__name__, (base,), {**options, "CONFIG_ATTRS": []})


def no_compression(offers: object) -> None:
    """Never: it costs a context for each client, and the same bytes could no
    longer go to all."""
