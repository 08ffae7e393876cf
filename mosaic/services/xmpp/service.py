# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""The XMPP service: streams, sessions and the components behind them."""

from __future__ import annotations

from collections.abc import Iterable

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
from mosaic.services.xmpp.extras.furnish import Extras
from mosaic.services.xmpp.extras.parents import Parents
from mosaic.services.xmpp.extras.surroundings import Surroundings
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.messages import Messages
from mosaic.services.xmpp.presence import Presence
from mosaic.services.xmpp.roster import Roster
from mosaic.store.interface import NotFound, Store
from mosaic.wire.xmpp.jid import is_prepared_local

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
        around: Surroundings | None = None,
    ) -> None:
        self.setName("xmpp")
        self._store = store
        self._bus = bus
        self._hearing: Subscription | None = None
        exchange = Exchange(domain)
        self._around = around or Surroundings()
        self._house = Household(
            clock=reactor,
            settings=settings,
            door=door,
            exchange=exchange,
            presence=Presence(exchange, self._is_account),
            messages=Messages(exchange),
            answers=Answers(exchange),
        )
        self._furnish()

    def _furnish(self) -> None:
        """Register whatever answers a client's questions."""
        house = self._house
        answers, domain = house.answers, house.exchange.domain
        Roster(domain, self._account_names).register(answers)
        self._extras = Extras(
            exchange=house.exchange,
            answers=answers,
            door=house.door,
            store=self._store,
            settings=house.settings,
            around=self._around,
            may_see=self._may_see,
            say_presence=house.presence.said,
            new_id=house.new_token,
        )
        house.marks.append(self._extras.profiles.mark)
        self.parents = Parents(
            house.clock, house.exchange, self._extras, house.settings
        )

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

    def startService(self) -> Deferred[None]:
        """Connect the components and listen for accounts that go away; fires
        when it may be used."""
        super().startService()
        self._hearing = self._bus.subscribe("account.*", self._account_changed)
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await self._extras.profiles.load()
        await self.parents.start()

    def stopService(self) -> Deferred[None]:
        """Drain: every stream ends with `system-shutdown`."""
        super().stopService()
        if self._hearing is not None:
            self._hearing.cancel()
            self._hearing = None
        streams = list(self._house.streams)
        all_gone = DeferredList([stream.closed() for stream in streams])
        for stream in streams:
            stream.close("system-shutdown")

        all_gone.addCallback(lambda _: self.parents.stop())
        all_gone.addCallback(lambda _: self._extras.seen.written())
        return all_gone.addCallback(lambda _: None)

    def _account_changed(self, topic: str, payload: Payload) -> None:
        """Who lost the account or its password must log in again."""
        account = topic.partition(".")[2]
        if payload.get("type") == "removed":
            self._extras.profiles.forget(account)
        for session in self._house.exchange.of_account(account):
            session.close("not-authorized")

    async def _account_names(self) -> Iterable[str]:
        names = [account.name for account in await self._store.accounts()]
        return [name for name in names if is_prepared_local(name)]

    async def _may_see(self, asker: str, account: str) -> bool:
        """In one organisation everybody with an account sees everybody."""
        return await self._is_account(account)

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
