"""One port for HTTP, XMPP and TURN.

Over TLS the ALPN protocol decides, where the client offers one of ours; many
clients offer none (Chromium's TURN client is one), and on plain ports there is
none: then the first bytes decide. After that the connection belongs to the
chosen protocol, which is put in this one's place, so that a read costs no more
than on a port of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    INegotiated,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.tls.addresses import peer_address
from mosaic.wire.firstbytes import FirstBytes, recognise

ALPN_ROUTES = {b"http/1.1": "http", b"xmpp-client": "xmpp", b"stun.turn": "turn"}
ROUTES = frozenset(ALPN_ROUTES.values())

_log = Logger()


class SharedPort(Factory):
    """Builds a protocol that waits until it knows which route is meant.

    routes: any of "http", "xmpp" and "turn". A port with one route does not
    look at the bytes; it waits for the TLS handshake alone, and behind a PROXY
    header for the first byte, so that the route sees the client's address.
    The deadlines are absolute, in seconds; traffic does not move them. What
    misses one, or fits no route, is aborted.
    """

    noisy = False

    def __init__(
        self,
        routes: Mapping[str, IProtocolFactory],
        clock: IReactorTime,
        first_bytes_timeout_s: float = 10.0,
        handshake_timeout_s: float = 10.0,
    ) -> None:
        """Raises ValueError if there is no route, or one of another name."""
        unknown = routes.keys() - ROUTES
        if unknown or not routes:
            raise ValueError(f"routes are of {sorted(ROUTES)}, not {sorted(routes)}")
        self.routes = dict(routes)
        self.only = next(iter(routes)) if len(routes) == 1 else None
        self.clock = clock
        self.first_bytes_timeout_s = first_bytes_timeout_s
        self.handshake_timeout_s = handshake_timeout_s
        self.undecided = 0
        """How many connections wait for their decision."""

    def startFactory(self) -> None:
        """Start the routes' factories with the first port."""
        for factory in self._factories():
            factory.doStart()

    def stopFactory(self) -> None:
        """Stop the routes' factories with the last port."""
        for factory in self._factories():
            factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Begin with the waiting protocol, whoever calls."""
        return UndecidedProtocol(self)

    def route_for_alpn(self, name: bytes | None) -> str | None:
        """The route of a negotiated protocol, if this port has it."""
        route = self.only or (ALPN_ROUTES.get(name) if name else None)
        return route if route in self.routes else None

    def route_for_bytes(self, verdict: FirstBytes) -> str | None:
        """The route that the first bytes name, if this port has it."""
        route = self.only or verdict.value
        return route if route in self.routes else None

    def _factories(self) -> list[IProtocolFactory]:
        """Each factory once, also where two routes share it."""
        return list({id(factory): factory for factory in self.routes.values()}.values())


@implementer(IHandshakeListener)
class UndecidedProtocol(Protocol):
    """Holds a connection until its route is known, then hands it over."""

    def __init__(self, port: SharedPort) -> None:
        self._port = port
        self._received = b""
        self._deadline: IDelayedCall | None = None
        self._inner: IProtocol | None = None
        self._decided = False

    def connectionMade(self) -> None:
        """Start the first deadline, or hand over where there is nothing to learn."""
        port = self._port
        port.undecided += 1
        if INegotiated.providedBy(self.transport):
            self._allow(port.handshake_timeout_s, "TLS handshake")
        elif port.only is None or isinstance(self.transport, ProtocolWrapper):
            self._allow(port.first_bytes_timeout_s, "first bytes")
        else:
            self._hand_over(port.only)

    def handshakeCompleted(self) -> None:
        """Decide by ALPN, or give the client its time for the first bytes."""
        if self._decided or self._inner is not None:
            return
        transport: Any = self.transport
        route = self._port.route_for_alpn(transport.negotiatedProtocol)
        if route is not None:
            self._hand_over(route)
        else:
            self._allow(self._port.first_bytes_timeout_s, "first bytes")

    def dataReceived(self, data: bytes) -> None:
        """Collect bytes until they decide."""
        if self._inner is not None:
            # Only transports whose protocol cannot be replaced come here.
            self._inner.dataReceived(data)
            return
        if self._decided:
            return
        self._received += data
        verdict = recognise(self._received)
        route = self._port.route_for_bytes(verdict)
        if route is not None:
            self._hand_over(route)
        elif verdict is not FirstBytes.MORE:
            self._refuse("unknown first bytes")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection, or pass the news on."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._decide()

    def _allow(self, seconds: float, step: str) -> None:
        """Set the deadline of the next step; it replaces the one before."""
        self._cancel()
        late = f"{step} took too long"
        self._deadline = self._port.clock.callLater(seconds, self._refuse, late)

    def _cancel(self) -> None:
        """Drop the deadline, if it has not struck."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _decide(self) -> None:
        """Leave the waiting state: once, whichever way."""
        self._cancel()
        if not self._decided:
            self._decided = True
            self._port.undecided -= 1

    def _refuse(self, why: str) -> None:
        """Abort the connection: no goodbye for what fits nothing."""
        self._decide()
        self._received = b""
        transport: Any = self.transport
        _log.debug(
            "connection refused from {peer}: {why}",
            peer=peer_address(transport),
            why=why,
        )
        transport.abortConnection()

    def _hand_over(self, route: str) -> None:
        """Give connection and bytes to the route, and step aside."""
        transport: Any = self.transport
        # Behind a PROXY header the peer is known now, and was not at first.
        inner = self._port.routes[route].buildProtocol(transport.getPeer())
        if inner is None:
            self._refuse(f"{route} takes no connection")
            return
        self._decide()
        received, self._received = self._received, b""
        self._inner = inner
        replace_protocol(transport, self, inner)
        inner.makeConnection(transport)
        if INegotiated.providedBy(transport) and IHandshakeListener.providedBy(inner):
            inner.handshakeCompleted()
        if received and not transport.disconnecting:
            inner.dataReceived(received)


def replace_protocol(transport: Any, old: IProtocol, new: IProtocol) -> bool:
    """Let the transport call another protocol from the next event on.

    Wrapping transports (TLS, PROXY) look up `wrappedProtocol` and sockets
    `protocol` at each event. Returns False, and changes nothing, where the
    transport has neither: then `old` must pass events on.
    """
    if isinstance(transport, ProtocolWrapper):
        if transport.wrappedProtocol is old:
            transport.wrappedProtocol = new
            return True
    elif getattr(transport, "protocol", None) is old:
        transport.protocol = new
        return True
    return False
