# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""The Wokkel side: a router of Elements, and components of ours on it.

Importing this module imports `wokkel.component`, which chooses the reactor:
import it when the service is built, never before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID, InvalidFormat
from twisted.words.protocols.jabber.xmlstream import XMPPHandler
from twisted.words.xish import domish

from mosaic.services.xmpp import compat
from mosaic.services.xmpp.elements import from_element, read_element, to_element
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.outlet import Outlet, Receive
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.stanza import STANZA_NAMES, Stanza

compat.install()
# The shim comes first: wokkel cannot be imported without it.
from wokkel import component  # noqa: E402

_log = Logger()


class ComponentRouter(component.Router):  # type: ignore[misc]  # wokkel is untyped
    """Wokkel's router without its faults: no stanza is logged, `to` may be
    missing or bad, and a component speaks for its own domain only."""

    def __init__(self) -> None:
        super().__init__()
        self.default: Any = None
        """Where stanzas for other hosts go."""
        self._observers: dict[Any, Callable[[domish.Element], None]] = {}

    def addRoute(self, destination: str, xs: Any) -> None:
        """Send the traffic for a host to a stream, and take its own."""

        def spoken(stanza: domish.Element) -> None:
            if _host(stanza.getAttribute("from")) == destination:
                self.route(stanza)
            else:
                _log.warn("a component spoke for others: {host}", host=destination)

        self.routes[destination] = xs
        self._observers[destination] = spoken
        xs.addObserver("/*", spoken)

    def removeRoute(self, destination: str, xs: Any) -> None:
        """Take a host out again."""
        xs.removeObserver("/*", self._observers.pop(destination))
        if self.routes.get(destination) is xs:
            del self.routes[destination]

    def route(self, stanza: domish.Element) -> None:
        """Pass an Element on by the host of its `to`."""
        host = _host(stanza.getAttribute("to"))
        if host is None:
            _log.warn("a stanza without a good address was dropped")
        elif host in self.routes:
            self.routes[host].send(stanza)
        elif self.default is not None:
            self.default.send(stanza)
        elif stanza.getAttribute("type") not in ("result", "error"):
            self.route(StanzaError("remote-server-not-found").toResponse(stanza))


class ClientsRoute:
    """The router's way to the sessions: Elements become bytes once."""

    def __init__(self, exchange: Exchange, router: ComponentRouter) -> None:
        self._exchange = exchange
        self._router = router

    def send(self, stanza: domish.Element) -> None:
        """Deliver a component's stanza; an error goes back to it."""
        try:
            sender = parse_jid(stanza["from"])
            to = parse_jid(stanza["to"])
            self._exchange.deliver(from_element(stanza), sender, to)
        except JidError:
            _log.warn("a component's stanza with a bad address was dropped")
        except Undeliverable as error:
            if stanza.getAttribute("type") not in ("result", "error"):
                self._router.route(StanzaError(error.condition).toResponse(stanza))

    def addObserver(self, event: str, observer: Any) -> None:
        """Nothing comes from here: sessions call the component themselves."""

    def removeObserver(self, event: str, observer: Any) -> None:
        """See addObserver."""


def _host(address: str | None) -> str | None:
    try:
        return None if address is None else JID(address).host
    except InvalidFormat:
        return None


class StanzaHandler(XMPPHandler):
    """A Wokkel handler that gives each stanza, as bytes, to one component.

    It hangs under any Wokkel parent. accepts: whether a sender and an
    addressee may be; what it refuses is dropped.
    """

    def __init__(
        self, receive: Receive, accepts: Callable[[Jid, Jid], bool] = lambda a, b: True
    ) -> None:
        super().__init__()
        self._receive = receive
        self._accepts = accepts

    def connectionInitialized(self) -> None:
        """The stream stands: hear everything."""
        stream: Any = self.xmlstream
        stream.addObserver("/*", self._heard)

    def _heard(self, element: domish.Element) -> None:
        if element.name not in STANZA_NAMES:
            return
        try:
            sender = parse_jid(element.getAttribute("from") or "")
            to = parse_jid(element.getAttribute("to") or "")
        except JidError:
            _log.warn("a stanza without good addresses was dropped")
            return
        if self._accepts(sender, to):
            self._receive(from_element(element), sender, to)


class _PipeOutlet:
    """Bytes onto the router, through the component's own end of its pipe."""

    def __init__(self, parent: component.InternalComponent, exchange: Exchange) -> None:
        self._parent = parent
        self._exchange = exchange

    def send(self, to: Jid, data: bytes) -> bool:
        """See Outlet."""
        if self._parent.xmlstream is not None:
            self._parent.send(read_element(data))
        return to.domain != self._exchange.domain or bool(self._exchange.find(to))

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """See Outlet."""
        self._exchange.deliver(stanza, sender, to)


def internal_component(
    exchange: Exchange, router: ComponentRouter, host: str, receive: Receive
) -> tuple[component.InternalComponent, Outlet]:
    """A service that puts a component on the router, and the exchange's
    stanzas for its host into it; and the component's way out."""
    service = component.InternalComponent(router, host)
    StanzaHandler(receive).setHandlerParent(service)

    def passed_on(stanza: Stanza, sender: Jid, to: Jid) -> None:
        router.route(to_element(stanza, str(sender)))

    exchange.components[host] = passed_on
    return service, _PipeOutlet(service, exchange)


def make_router(exchange: Exchange) -> ComponentRouter:
    """A router that knows the way to the sessions of the domain."""
    router = ComponentRouter()
    clients = ClientsRoute(exchange, router)
    router.addRoute(exchange.domain, clients)
    router.default = clients
    return router
