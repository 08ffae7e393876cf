# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""The XMPP service: streams, sessions and the components behind them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

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
from twisted.web.resource import IResource

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus, Payload, Subscription
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.answers import Answers
from mosaic.services.xmpp.counters import Counters
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.conversion import Conversion
from mosaic.services.xmpp.extras.furnish import Extras
from mosaic.services.xmpp.extras.outlet import Outlet
from mosaic.services.xmpp.extras.parents import Parents
from mosaic.services.xmpp.extras.surroundings import Surroundings
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.hubagents import HubStreams
from mosaic.services.xmpp.hubs import HubContacts
from mosaic.services.xmpp.people.csi import NS_CSI, client_state
from mosaic.services.xmpp.people.messages import Messages
from mosaic.services.xmpp.people.parts import People
from mosaic.services.xmpp.rooms.outlet import LocalOutlet
from mosaic.services.xmpp.rooms.service import RoomsService
from mosaic.services.xmpp.session import Session
from mosaic.services.xmpp.streams.tcp import TcpStream
from mosaic.services.xmpp.streams.upkeep import Upkeep
from mosaic.store.interface import Store
from mosaic.wire.xmpp.jid import Jid, is_prepared_local
from mosaic.wire.xmpp.payloads import NS_CARBONS
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.workspace.hubs import HubSource

ROOMS = "Rooms"
"""What the rooms are called in service discovery."""

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
        hubs: HubSource | None = None,
    ) -> None:
        self.setName("xmpp")
        self._store = store
        self._bus = bus
        self._hearing: list[Subscription] = []
        exchange = Exchange(domain)
        self._around = around or Surroundings()
        counters = Counters()
        self._people = People(
            reactor,
            settings,
            exchange,
            store,
            counters,
            account_names=self._account_names,
            wall=self._around.wall,
        )
        answers = Answers(exchange)
        self._house = Household(
            clock=reactor,
            settings=settings,
            door=door,
            exchange=exchange,
            persons=self._people.persons,
            presence=self._people.presence,
            messages=self._people.messages,
            answers=answers,
            agents=HubStreams(exchange, answers),
            counters=counters,
        )
        if hubs is not None:
            HubContacts(
                exchange,
                hubs,
                directory=self._people.directory,
                presence=self._people.presence,
            )
        self._upkeep = Upkeep(self._house)
        self.rooms = self._make_rooms(f"rooms.{domain}", domain, LocalOutlet(exchange))
        self._furnish()

    def _furnish(self) -> None:
        """Register whatever answers a client's questions."""
        house = self._house
        self._people.register(house.answers)
        house.features.extend(self._people.features)
        for name in ("active", "inactive"):
            house.nonzas[NS_CSI, name] = client_state
            house.at_bind.add(NS_CSI, name, self._people.at_bind)
        house.at_bind.add(NS_CARBONS, "enable", self._people.at_bind)
        self._extras = Extras(
            clock=house.clock,
            exchange=house.exchange,
            answers=house.answers,
            door=house.door,
            store=self._store,
            settings=house.settings,
            around=self._around,
            may_see=self._people.may_see,
            say_presence=house.presence.said,
            new_id=house.new_token,
        )
        house.marks.append(self._extras.profiles.mark)
        conversion = Conversion(self._extras.profiles, self._people.pep)
        conversion.register(house.answers)
        self.parents = Parents(
            house.clock, house.exchange, self._extras, house.settings
        )
        house.exchange.components[self.rooms.front.host] = self._to_rooms
        house.answers.name_host(self.rooms.front.host, ROOMS)
        self.rooms_outside = self._rooms_outside()

    def _to_rooms(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """What was said is acknowledged once it is safe (XEP-0198)."""
        done = self.rooms.receive(stanza, sender, to)
        session = self._house.exchange.find(sender)
        if done is not None and session is not None:
            session.owe(cast("Deferred[object]", done))

    def _make_rooms(self, host: str, accounts: str, outlet: Outlet) -> RoomsService:
        house = self._house
        return RoomsService(
            house.clock,
            house.settings,
            host=host,
            domain=accounts,
            door=house.door,
            store=self._store,
            bus=self._bus,
            outlet=outlet,
            wall=self._around.wall,
        )

    def _rooms_outside(self) -> RoomsService | None:
        """The same rooms under another server, if there is one."""
        settings = self._house.settings
        if not settings.component:
            return None
        host = f"rooms.{settings.component_domain}"

        def receive(stanza: Stanza, sender: Jid, to: Jid) -> None:
            try:
                rooms.receive(stanza, sender, to)
            except Undeliverable as error:
                rooms.front.refuse(stanza, sender, error)

        outlet = self.parents.hang_outside(host, ROOMS, receive)
        rooms = self._make_rooms(host, settings.component_accounts, outlet)
        return rooms

    @property
    def counters(self) -> Counters:
        """What happened so far; streams and sessions are levels."""
        return self._house.counters

    @property
    def messages(self) -> Messages:
        """The way of messages between people."""
        return self._people.messages

    def sessions_of(self, account: str) -> list[Session]:
        """What an account has bound."""
        return self._house.exchange.of_account(account)

    def stream_factory(self) -> IProtocolFactory:
        """Streams for a transport that is already as safe as it will be: the
        shared TLS port, direct TLS (XEP-0368), or a proxy that ends TLS."""
        return _StreamFactory(self._house, None)

    def starttls_factory(
        self, tls: IOpenSSLServerConnectionCreator
    ) -> IProtocolFactory:
        """Streams for a plain TCP port; each must be upgraded before login."""
        return _StreamFactory(self._house, tls)

    def resources(self) -> dict[str, IResource]:
        """What to mount on the web site, by the first path segment."""
        from mosaic.services.xmpp.streams.websocket import websocket_resource

        return {"xmpp-websocket": websocket_resource(self._house)}

    async def prune(self) -> int:
        """Forget messages that are older than xmpp.archive_days; how many."""
        return await self._people.prune()

    def startService(self) -> Deferred[None]:
        """Connect the components and listen for accounts that go away; fires
        when it may be used."""
        super().startService()
        self._upkeep.start()
        for rooms in self._all_rooms():
            rooms.start()
        self._house.draining = False
        self._hearing = [
            self._bus.subscribe("account.*", self._account_changed),
            # New ones, and whatever the command line did.
            self._bus.subscribe("accounts", self._accounts_changed),
            self._bus.subscribe("store", self._accounts_changed),
            self._bus.subscribe("hub.*", self._house.agents.news),
        ]
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await self._extras.profiles.load()
        await self.parents.start()

    def stopService(self) -> Deferred[None]:
        """Drain: every stream ends with `system-shutdown`."""
        super().stopService()
        while self._hearing:
            self._hearing.pop().cancel()
        self._upkeep.stop()
        self._house.draining = True
        for rooms in self._all_rooms():
            rooms.stop()
        streams = list(self._house.streams)
        all_gone = DeferredList([stream.closed() for stream in streams])
        for stream in streams:
            stream.close("system-shutdown")
        for managed in list(self._house.resumable.values()):
            managed.close("system-shutdown")

        # What the streams' ends made wait must be on disk, too.
        all_gone.addCallback(lambda _: Deferred.fromCoroutine(self._people.settled()))
        all_gone.addCallback(lambda _: self.parents.stop())
        all_gone.addCallback(lambda _: self._extras.seen.written())
        return all_gone.addCallback(lambda _: None)

    def _all_rooms(self) -> list[RoomsService]:
        outside = self.rooms_outside
        return [self.rooms] if outside is None else [self.rooms, outside]

    def _account_changed(self, topic: str, payload: Payload) -> None:
        """Who lost the account or its password must log in again."""
        name = topic.partition(".")[2]
        if payload.get("type") == "removed":
            self._extras.profiles.forget(name)
        for session in self._house.exchange.of_account(name):
            session.close("not-authorized")
        if payload.get("type") == "removed":
            self._people.account_removed(name)

    def _accounts_changed(self, topic: str, payload: Payload) -> None:
        steps = self._people.accounts_changed()
        Deferred.fromCoroutine(steps).addErrback(
            lambda reason: _log.failure("accounts could not be read", reason)
        )

    async def _account_names(self) -> Iterable[str]:
        names = [account.name for account in await self._store.accounts()]
        return [name for name in names if is_prepared_local(name)]


class _StreamFactory(Factory):
    """Makes streams that share the household."""

    noisy = False

    def __init__(
        self, house: Household, tls: IOpenSSLServerConnectionCreator | None
    ) -> None:
        self._house = house
        self._tls = tls

    def buildProtocol(self, addr: IAddress | None) -> TcpStream:
        """A stream for one connection."""
        return TcpStream(self._house, self._tls)
