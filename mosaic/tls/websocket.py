"""Autobahn's WebSockets on our own TLS transport."""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from contextlib import suppress
from typing import Any

from autobahn.twisted.util import peer2str
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.wamp.types import TransportDetails

_DETAILS = TransportDetails()


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
