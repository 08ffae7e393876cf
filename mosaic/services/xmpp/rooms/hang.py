"""The rooms at home, and the same rooms under another server."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.outlet import Outlet, Parent
from mosaic.services.xmpp.rooms.outlet import LocalOutlet
from mosaic.services.xmpp.rooms.service import RoomsService
from mosaic.store.interface import Store
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza

NAME = "Mosaic rooms"


class HungRooms:
    """Rooms at `rooms.<domain>`, and at another address under each other parent.

    Whoever is in a room by one address is seen at the others, as those with a
    browser are: they meet over the bus.
    """

    def __init__(
        self,
        clock: IReactorTime,
        settings: Xmpp,
        exchange: Exchange,
        *,
        door: Door,
        store: Store,
        bus: Bus,
        wall: Callable[[], float],
    ) -> None:
        self._exchange = exchange

        def make(host: str, domain: str, outlet: Outlet) -> RoomsService:
            return RoomsService(
                clock,
                settings,
                host=host,
                domain=domain,
                door=door,
                store=store,
                bus=bus,
                outlet=outlet,
                wall=wall,
            )

        self._make = make
        domain = exchange.domain
        self.home = make(f"rooms.{domain}", domain, LocalOutlet(exchange))
        self._all = [self.home]
        exchange.components[self.home.front.host] = self._from_session

    def hang_under(self, parent: Parent, *, host: str, accounts: str) -> None:
        """The same rooms at an address of another server.

        accounts: the domain there whose addresses are Mosaic's accounts.
        """
        hung: list[RoomsService] = []

        def receive(stanza: Stanza, sender: Jid, to: Jid) -> None:
            try:
                hung[0].receive(stanza, sender, to)
            except Undeliverable as error:
                hung[0].front.refuse(stanza, sender, error)

        hung.append(self._make(host, accounts, parent.host(host, receive)))
        self._all += hung

    def start(self) -> None:
        """Hear what happens in rooms."""
        for rooms in self._all:
            rooms.start()

    def stop(self) -> None:
        """Everybody is told that the service ends."""
        for rooms in self._all:
            rooms.stop()

    def _from_session(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """What was said is acknowledged once it is safe (XEP-0198)."""
        done = self.home.receive(stanza, sender, to)
        session = self._exchange.find(sender)
        if done is not None and session is not None:
            session.owe(cast("Deferred[object]", done))
