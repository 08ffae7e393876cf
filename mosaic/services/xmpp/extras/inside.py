"""Our components in this process, on the Wokkel router."""

from __future__ import annotations

from typing import Any

from mosaic.services.xmpp import components
from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.extras.outlet import Outlet, Receive


class InsideParent:
    """The sessions of this server. See Parent."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._router = components.make_router(exchange)
        self._services: list[Any] = []

    def host(self, domain: str, receive: Receive) -> Outlet:
        """Put a component on the router."""
        service, outlet = components.internal_component(
            self._exchange, self._router, domain, receive
        )
        self._services.append(service)
        return outlet

    def start(self) -> None:
        """Connect them."""
        for service in self._services:
            service.startService()

    def stop(self) -> None:
        """Take them off again."""
        for service in self._services:
            if service.running:
                service.stopService()
