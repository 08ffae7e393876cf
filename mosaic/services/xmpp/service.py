# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""The XMPP service: streams, sessions and the components behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus, Payload, Subscription
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.answers import Answers
from mosaic.services.xmpp.c2s import ClientStream
from mosaic.services.xmpp.counters import Counters
from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.messages import Messages
from mosaic.services.xmpp.presence import Presence
from mosaic.services.xmpp.rooms.outlet import LocalOutlet
from mosaic.services.xmpp.rooms.service import RoomsService
from mosaic.services.xmpp.roster import Roster
from mosaic.store.interface import NotFound, Store
from mosaic.wire.xmpp.jid import Jid, is_prepared_local
from mosaic.wire.xmpp.stanza import Stanza

_log = Logger()


class XmppService(Service):
    """Client-to-server XMPP for one domain.

    Its factories make streams for any listener; stopService tells every client
    `system-shutdown` and fires when the last connection is gone.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        settings: Xmpp,
        *,
        domain: str,
        door: Door,
        store: Store,
        bus: Bus,
        wall: Callable[[], float] = time.time,
    ) -> None:
        # Wokkel's component module chooses the reactor when it is imported.
        from mosaic.services.xmpp.components import internal_component, make_router

        self.setName("xmpp")
        self._store = store
        self._bus = bus
        self._hearing: Subscription | None = None
        exchange = Exchange(domain)
        self._router = make_router(exchange)
        self._component = internal_component(exchange, self._router, f"mosaic.{domain}")
        self._house = Household(
            clock=reactor,
            settings=settings,
            door=door,
            exchange=exchange,
            presence=Presence(exchange, self._is_account),
            messages=Messages(exchange),
            answers=Answers(exchange),
        )
        self.rooms = RoomsService(
            reactor,
            settings,
            host=f"rooms.{domain}",
            domain=domain,
            door=door,
            store=store,
            bus=bus,
            outlet=LocalOutlet(exchange),
            wall=wall,
        )
        self._furnish()

    def _furnish(self) -> None:
        """Register whatever answers a client's questions."""
        answers, domain = self._house.answers, self._house.exchange.domain
        Roster(domain, self._account_names).register(answers)
        self._house.exchange.components[self.rooms.front.host] = self._to_rooms

    @property
    def counters(self) -> Counters:
        """What happened so far; streams and sessions are levels."""
        return self._house.counters

    def stream_factory(self) -> IProtocolFactory:
        """Streams for a transport that is already as safe as it will be: the
        shared TLS port, direct TLS (XEP-0368), or a proxy that ends TLS."""
        return _StreamFactory(self._house, None)

    def starttls_factory(
        self, tls: IOpenSSLServerConnectionCreator
    ) -> IProtocolFactory:
        """Streams for a plain TCP port; each must be upgraded before login."""
        return _StreamFactory(self._house, tls)

    def startService(self) -> None:
        """Connect the component and listen for accounts that go away."""
        super().startService()
        self._component.startService()
        self.rooms.start()
        self._hearing = self._bus.subscribe("account.*", self._account_changed)

    def stopService(self) -> Deferred[None]:
        """Drain: every stream ends with `system-shutdown`."""
        super().stopService()
        if self._hearing is not None:
            self._hearing.cancel()
            self._hearing = None
        self.rooms.stop()
        streams = list(self._house.streams)
        all_gone = DeferredList([stream.closed() for stream in streams])
        for stream in streams:
            stream.close("system-shutdown")

        def stopped(_: object) -> None:
            if self._component.running:
                self._component.stopService()

        return all_gone.addCallback(stopped)

    def _to_rooms(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        self.rooms.receive(stanza, sender, to)

    def _account_changed(self, topic: str, payload: Payload) -> None:
        """Who lost the account or its password must log in again."""
        for session in self._house.exchange.of_account(topic.partition(".")[2]):
            session.close("not-authorized")

    async def _account_names(self) -> Iterable[str]:
        names = [account.name for account in await self._store.accounts()]
        return [name for name in names if is_prepared_local(name)]

    async def _is_account(self, name: str) -> bool:
        try:
            await self._store.account(name)
        except NotFound:
            return False
        return True


class _StreamFactory(Factory):
    """Makes streams that share the household."""

    noisy = False

    def __init__(
        self, house: Household, tls: IOpenSSLServerConnectionCreator | None
    ) -> None:
        self._house = house
        self._tls = tls

    def buildProtocol(self, addr: IAddress | None) -> ClientStream:
        """A stream for one connection."""
        return ClientStream(self._house, self._tls)
