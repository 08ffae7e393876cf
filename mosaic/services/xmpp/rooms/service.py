"""The rooms of the domain: which live, and where a stanza goes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus, Subscription
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.exchange import NS_STANZAS, Undeliverable
from mosaic.services.xmpp.extras.disco import NS_DISCO_INFO
from mosaic.services.xmpp.extras.outlet import Outlet
from mosaic.services.xmpp.rooms.admission import (
    Admission,
    is_request,
    read_request,
    set_presence,
)
from mosaic.services.xmpp.rooms.disco import strangers_info
from mosaic.services.xmpp.rooms.front import Front, RoomCounters
from mosaic.services.xmpp.rooms.muc import Knock, Muc
from mosaic.services.xmpp.rooms.news import News
from mosaic.services.xmpp.rooms.nicks import wished
from mosaic.services.xmpp.rooms.occupants import Occupant, Seat
from mosaic.services.xmpp.rooms.private import Private
from mosaic.services.xmpp.rooms.questions import Questions
from mosaic.services.xmpp.rooms.render import farewell
from mosaic.services.xmpp.rooms.speech import Speech
from mosaic.store.interface import NameTaken, NotFound, Store
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import read_node
from mosaic.workspace.attendance import Attendance
from mosaic.workspace.ids import parse_hub_id
from mosaic.workspace.model import Room
from mosaic.workspace.names import room_alias

RENEW_EVERY_S = 600.0
RENEW_BEFORE_S = 3600.0
MAX_BEHIND = 100
"""Stanzas that may wait behind somebody's joining."""
_GHOSTLY = frozenset(
    {
        "gone",
        "item-not-found",
        "jid-malformed",
        "recipient-unavailable",
        "redirect",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    }
)
"""Errors that say that nobody is there any more."""


class RoomsService:
    """Everything at `rooms.<domain>`.

    It sees stanzas with addresses that are already made sure of, and an Outlet:
    never a session. So it is the same under an external server.
    """

    def __init__(
        self,
        clock: IReactorTime,
        settings: Xmpp,
        *,
        host: str,
        domain: str,
        door: Door,
        store: Store,
        bus: Bus,
        outlet: Outlet,
        wall: Callable[[], float],
    ) -> None:
        self.front = Front(
            host=host,
            domain=domain,
            settings=settings,
            door=door,
            store=store,
            bus=bus,
            outlet=outlet,
            clock=clock,
            wall=wall,
            attendance=Attendance(source=secrets.token_hex(8)),
        )
        self.live: dict[str, Muc] = {}
        self._by_local: dict[str, Muc] = {}
        self._entering: dict[tuple[str, Jid], list[tuple[Stanza, Jid]]] = {}
        self._admission = Admission(self.front)
        self._speech = Speech(self.front)
        self._private = Private(self.front)
        self._questions = Questions(self.front, self._private)
        self._news = News(self.front, self.live, self._admission, self._speech)
        self._subscriptions: list[Subscription] = []
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = clock

    @property
    def counters(self) -> RoomCounters:
        """What happened so far."""
        return self.front.counters

    def start(self) -> None:
        """Hear the bus; keep tokens alive."""
        self._subscriptions = self._news.subscribe()
        started = self._renewing.start(RENEW_EVERY_S, now=False)
        started.addErrback(lambda failure: None)

    def stop(self) -> None:
        """Tell everybody that the service ends (status 332)."""
        for subscription in self._subscriptions:
            subscription.cancel()
        if self._renewing.running:
            self._renewing.stop()
        for muc in list(self.live.values()):
            muc.shut_down()

    # Stanzas -----------------------------------------------------------------------
    def receive(self, stanza: Stanza, sender: Jid, to: Jid) -> Deferred[None] | None:
        """A stanza for this domain. Raises Undeliverable.

        Fires when what was said is safe or refused, with nothing; None if that
        is so already.
        """
        behind = self._entering.get((to.local, sender))
        if behind is not None:
            if len(behind) >= MAX_BEHIND:
                raise Undeliverable("resource-constraint")
            behind.append((stanza, to))
        elif not to.local:
            self._to_service(stanza, sender)
        elif stanza.name == "presence":
            self._presence(stanza, sender, to)
        elif stanza.name == "message":
            return self._message(stanza, sender, to)
        else:
            return self.front.attempt(stanza, sender, self._iq(stanza, sender, to))
        return None

    def _to_service(self, stanza: Stanza, sender: Jid) -> None:
        if stanza.name == "iq":
            work = self._questions.of_service(stanza, sender)
            self.front.attempt(stanza, sender, work)
        elif stanza.name == "message" and stanza.type != "error":
            raise Undeliverable("service-unavailable")

    # Presence
    def _presence(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        muc = self._by_local.get(to.local)
        seat = None if muc is None else muc.people.seats.get(sender)
        if stanza.type == "":
            if muc is not None and seat is not None:
                self._changed(muc, seat, stanza, to)
            else:
                self._enter(stanza, sender, to)
        elif stanza.type == "unavailable" and muc is not None:
            if seat is not None:
                set_presence(seat, stanza)
                muc.rise(seat, farewell(seat, self.front.host))
            elif sender in muc.knocks:
                muc.turn_away(muc.knocks[sender], Undeliverable("not-acceptable"))
        elif stanza.type == "error" and muc is not None and seat is not None:
            self._bounced(muc, seat, stanza)

    def _changed(self, muc: Muc, seat: Seat, stanza: Stanza, to: Jid) -> None:
        """Another presence (section 7.7), another nick (section 7.6), or a client
        that has lost its state and asks for everything again (section 7.2)."""
        if not seat.pace.take(self.front.clock.seconds()):
            raise Undeliverable("resource-constraint", text="not so fast")
        occupant = seat.occupant
        if to.resource and to.resource != occupant.nick:
            try:
                nick = wished(to.resource)
            except ValueError as error:
                raise Undeliverable("not-acceptable", text=str(error)) from None
            set_presence(seat, stanza)
            muc.take_nick(occupant, nick, stanza.id)
            return
        if is_request(stanza):
            self._enter(stanza, seat.jid, to)
            return
        set_presence(seat, stanza)
        if occupant.seats[-1] is not seat:
            # the newest word counts for all devices of an occupant
            occupant.seats.remove(seat)
            occupant.seats.append(seat)
        muc.people.show(occupant, stanza_id=stanza.id)

    def _enter(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        request = read_request(stanza, sender, to, created=False)
        key = (to.local, sender)
        behind: list[tuple[Stanza, Jid]] = []
        self._entering[key] = behind

        async def steps() -> None:
            try:
                async with self._visit(to.local, sender, create=True) as found:
                    muc, created = found
                    wish = read_request(stanza, sender, to, created=created)
                    await self._admission.enter(muc, wish)
            except _NoRoom:
                # A Hub ID that does not exist costs and answers as a wrong PIN.
                await self._admission.nowhere(request)

        def entered(_: object) -> None:
            del self._entering[key]
            for late, late_to in behind:
                try:
                    self.receive(late, sender, late_to)
                except Undeliverable as error:
                    self.front.refuse(late, sender, error)

        self.front.attempt(stanza, sender, steps()).addBoth(entered)

    def _bounced(self, muc: Muc, seat: Seat, stanza: Stanza) -> None:
        """Something that the room sent came back: is anybody there?"""
        if _condition(stanza) in _GHOSTLY:
            muc.people.lost.append(seat)
            muc.sweep()

    # Messages
    def _message(self, stanza: Stanza, sender: Jid, to: Jid) -> Deferred[None] | None:
        muc = self._by_local.get(to.local)
        seat = None if muc is None else muc.people.seats.get(sender)
        if stanza.type == "error":
            if muc is not None and seat is not None:
                if to.resource in muc.people.by_nick:
                    self._private.forward(muc, seat, stanza, to.resource)
                self._bounced(muc, seat, stanza)
            return None
        if muc is None or seat is None:
            work = self._from_outside(stanza, sender, to)
            return self.front.attempt(stanza, sender, work)
        if not seat.pace.take(self.front.clock.seconds()):
            raise Undeliverable("resource-constraint", text="not so fast")
        if to.resource:
            if stanza.type == "groupchat":
                raise Undeliverable("bad-request")
            self._private.forward(muc, seat, stanza, to.resource)
            return None
        if stanza.type == "groupchat":
            work = self._speech.say(muc, seat, stanza)
        else:
            work = self._private.to_room(muc, seat, stanza)
        return self.front.attempt(stanza, sender, work)

    async def _from_outside(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        async with self._visit(to.local, sender) as (muc, _):
            self._private.declined(muc, sender, stanza)

    # IQs
    async def _iq(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        if stanza.type in ("result", "error"):
            muc = self._by_local.get(to.local)
            seat = None if muc is None else muc.people.seats.get(sender)
            if muc is not None and seat is not None and to.resource:
                self._private.forward(muc, seat, stanza, to.resource)
            return
        try:
            async with self._visit(to.local, sender) as (muc, _):
                if to.resource:
                    self._questions.of_occupant(muc, stanza, sender, to)
                else:
                    await self._questions.of_room(muc, stanza, sender, to)
        except _NoRoom:
            if stanza.payload == (NS_DISCO_INFO, "query") and _is_hub_id(to.local):
                # Hub IDs that exist and those that do not look alike.
                self._questions.reply(stanza, sender, strangers_info())
                return
            raise Undeliverable("item-not-found", text="no such room") from None

    # Live rooms ----------------------------------------------------------------------
    @asynccontextmanager
    async def _visit(
        self, local: str, sender: Jid, *, create: bool = False
    ) -> AsyncIterator[tuple[Muc, bool]]:
        """The room of an address, alive for the time of a visit, and whether it
        was made just now.

        Raises _NoRoom, which is an Undeliverable (item-not-found).
        """
        muc, created = self._by_local.get(local), False
        if muc is None:
            room, created = await self._find(local, sender, create=create)
            muc = self.live.get(room.hub_id)
            if muc is None:
                muc = self.live[room.hub_id] = Muc(room, self.front, self._unload)
                self.counters.rooms += 1
            self._by_local[local] = muc
        muc.visitors += 1
        try:
            await muc.ready()
            yield muc, created
        finally:
            muc.visitors -= 1
            muc.left()

    async def _find(
        self, local: str, sender: Jid, *, create: bool
    ) -> tuple[Room, bool]:
        store = self.front.store
        try:
            hub_id = parse_hub_id(local) if local.isdigit() else None
        except ValueError:
            hub_id = None
        try:
            if hub_id is not None:
                return await store.room(hub_id), False
            alias = room_alias(local)
        except NotFound:
            raise _NoRoom from None
        except ValueError as error:
            raise Undeliverable("not-acceptable", text=str(error)) from None
        try:
            return await store.room_by_alias(alias), False
        except NotFound:
            if not create:
                raise _NoRoom from None
        owner = await self.front.principal(sender)
        if owner is None or not self.front.settings.create_rooms:
            raise Undeliverable("not-allowed", text="rooms are not made by entering")
        try:
            # As XMPP expects of a room with a name: others find it open.
            room = await self.front.door.create_room(
                alias, owner=owner.account, alias=alias, open_to_accounts=True
            )
        except NameTaken:
            return await store.room_by_alias(alias), False
        return room, True

    def _unload(self, muc: Muc) -> None:
        if self.live.get(muc.hub_id) is muc:
            del self.live[muc.hub_id]
            self.counters.rooms -= 1
            for local, known in list(self._by_local.items()):
                if known is muc:
                    del self._by_local[local]

    # Tokens ---------------------------------------------------------------------
    async def _renew(self) -> None:
        """Nobody asks for a new token on behalf of those who stay for days."""
        soon = self.front.wall() + RENEW_BEFORE_S
        for muc in list(self.live.values()):
            held: list[Occupant | Knock] = [
                *muc.people.by_nick.values(),
                *muc.knocks.values(),
            ]
            for one in held:
                if one.token is None or one.expires_at > soon:
                    continue
                with suppress(NotFound):
                    one.expires_at = await self.front.door.prolong(one.token)


class _NoRoom(Undeliverable):
    def __init__(self) -> None:
        super().__init__("item-not-found", text="no such room")


def _condition(stanza: Stanza) -> str:
    """Of a stanza error; "" if it says none."""
    error = read_node(stanza).child(NS_CLIENT, "error")
    found = [] if error is None else [c for c in error.children if c.ns == NS_STANZAS]
    return found[0].name if found else ""


def _is_hub_id(local: str) -> bool:
    try:
        return parse_hub_id(local) == local
    except ValueError:
        return False
