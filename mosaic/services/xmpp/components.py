# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""The Wokkel side: a router of Elements and Mosaic's own component.

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
from zope.interface import implementer

from mosaic import __version__
from mosaic.services.xmpp import compat
from mosaic.services.xmpp.elements import from_element, to_element
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.stanza import Stanza

compat.install()
# The shim comes first: wokkel cannot be imported without it.
from wokkel import component, disco, generic, iwokkel, ping  # noqa: E402

_log = Logger()


class ComponentRouter(component.Router):  # type: ignore[misc]  # wokkel is untyped
    """Wokkel's router without its faults: no stanza is logged, `to` may be
    missing or bad, and a component speaks for its own domain only."""

    def __init__(self) -> None:
        super().__init__()
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


@implementer(iwokkel.IDisco)
class Identity(XMPPHandler):
    """Says in service discovery that this is Mosaic."""

    def getDiscoInfo(
        self, requestor: JID, target: JID, nodeIdentifier: str = ""
    ) -> Any:
        """The identity, without a node only."""
        if nodeIdentifier:
            return []
        return [
            disco.DiscoIdentity("component", "generic", "Mosaic"),
            # XEP-0030 section 3.1 wants both announced; wokkel forgets it.
            disco.DiscoFeature(disco.NS_DISCO_INFO),
            disco.DiscoFeature(disco.NS_DISCO_ITEMS),
        ]

    def getDiscoItems(
        self, requestor: JID, target: JID, nodeIdentifier: str = ""
    ) -> Any:
        """Nothing below it yet."""
        return []


def mosaic_handlers() -> list[XMPPHandler]:
    """The handlers of Mosaic's component: the same in this process and under
    an external server."""
    return [
        Identity(),
        disco.DiscoHandler(),
        ping.PingHandler(),
        generic.VersionHandler("Mosaic", __version__),
        generic.FallbackHandler(),
    ]


def internal_component(
    exchange: Exchange, router: ComponentRouter, host: str
) -> component.InternalComponent:
    """A service that puts Mosaic's component on the router, and the exchange's
    stanzas for its host into it."""
    service = component.InternalComponent(router, host)
    for handler in mosaic_handlers():
        handler.setHandlerParent(service)

    def receive(stanza: Stanza, sender: Jid, to: Jid) -> None:
        router.route(to_element(stanza, str(sender)))

    exchange.components[host] = receive
    return service


def make_router(exchange: Exchange) -> ComponentRouter:
    """A router that knows the way to the sessions of the domain."""
    router = ComponentRouter()
    router.addRoute(exchange.domain, ClientsRoute(exchange, router))
    return router
