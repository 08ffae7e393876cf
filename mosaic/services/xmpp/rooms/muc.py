"""One live room as XMPP sees it: who is there, what is said, what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from mosaic.bus.interface import Payload
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.gathering import Gathering
from mosaic.services.xmpp.rooms.names import Status
from mosaic.services.xmpp.rooms.nicks import nick_of, unique
from mosaic.services.xmpp.rooms.occupants import (
    Affiliation,
    Occupant,
    Seat,
    affiliation_of,
    occupant_id,
)
from mosaic.services.xmpp.rooms.render import Cast, presence_cast
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml, element
from mosaic.workspace import attendance
from mosaic.workspace.archive import Subject
from mosaic.workspace.attendance import Attendee, Change
from mosaic.workspace.hubs import HUBS
from mosaic.workspace.model import Role, Room


@dataclass(eq=False, slots=True, kw_only=True)
class Knock:
    """A session that waits in the lobby, and the stanza by which it came."""

    jid: Jid
    stanza: Stanza
    via: str
    nick: str
    id: str
    account: str | None
    token: str
    expires_at: float


class Muc:
    """A room while somebody is in it by XMPP, or asks about it.

    empty: called when nobody is here any more.
    """

    def __init__(self, room: Room, front: Front, empty: Callable[[Muc], None]) -> None:
        self.room = room
        self.front = front
        self.people = Gathering(front, self.sweep)
        self.knocks: dict[Jid, Knock] = {}
        self.members: dict[str, Role] = {}
        self.admins: set[str] = set()
        self.subject = Subject(subject="", author="", at=0.0, secret=b"")
        self.heard_seq = 0
        self.visitors = 0
        self.removals: dict[str, tuple[Status, str]] = {}
        self._empty = empty
        self._loading: Deferred[None] | None = None
        self._waiters: list[Deferred[None]] = []
        self.loaded = False

    @property
    def hub_id(self) -> str:
        """Of the room."""
        return self.room.hub_id

    # Coming to life --------------------------------------------------------
    async def ready(self) -> None:
        """Once everything is known. Raises StoreError."""
        if self.loaded:
            return
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        if len(self._waiters) == 1:
            Deferred.fromCoroutine(self._load()).addBoth(self._tell_waiters)
        await waiter

    def _tell_waiters(self, result: object) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(result)  # type: ignore[arg-type]  # a Failure is an errback

    async def _load(self) -> None:
        store = self.front.store
        self.subject = await store.subject(self.hub_id)
        self.members = await store.members(self.hub_id)
        self.heard_seq = max(self.heard_seq, await store.last_seq(self.hub_id))
        for attendee in self.front.attendance.people(self.hub_id):
            if attendee.id not in self.people.by_id:
                self.people.add(self._occupant_of(attendee))
        self.loaded = True
        for occupant in list(self.people.by_nick.values()):
            await self.learn_admin(occupant.account, occupant.role)

    def left(self) -> None:
        """Somebody has gone: is anybody left?"""
        if not (self.people.seats or self.knocks or self.visitors):
            self._empty(self)

    # Who somebody is -------------------------------------------------------
    def standing(self, account: str | None) -> Affiliation:
        """Of an account, whether it is here or not."""
        if account is None:
            return Affiliation.NONE
        if account in self.admins:
            return Affiliation.OWNER
        return affiliation_of(self.members.get(account))

    async def learn_admin(self, account: str | None, role: Role | None) -> None:
        """Administrators are hosts of every room without being its members."""
        if account is None or role is not Role.HOST or account in self.members:
            return
        principal = await self.front.principal(Jid(account, self.front.domain, ""))
        if principal is not None and principal.admin:
            self.admins.add(account)
            for occupant in list(self.people.by_nick.values()):
                if occupant.account == account:
                    self._restand(occupant)

    def occupant_id(self, identity: str) -> str:
        """XEP-0421."""
        return occupant_id(self.subject.secret, identity)

    def seat(self, jid: Jid) -> Seat:
        """Of a session. Raises Undeliverable (not-acceptable) if it has none."""
        seat = self.people.seats.get(jid)
        if seat is None:
            raise Undeliverable("not-acceptable", text="you are not in this room")
        return seat

    # People of other doors ---------------------------------------------------
    def _occupant_of(self, attendee: Attendee) -> Occupant:
        account = attendee.account
        return Occupant(
            nick=unique(nick_of(attendee.name), self.people.by_nick),
            name=attendee.name,
            id=attendee.id,
            role=attendee.role,
            account=account,
            affiliation=self.standing(account),
            occupant_id=self.occupant_id(attendee.id),
            via=attendee.via,
            real=self._real(attendee),
            hand=attendee.hand,
        )

    def _real(self, attendee: Attendee) -> str:
        """The address that everybody is told: an account's, or the contact that a
        hub is. Nobody else has one of that domain."""
        if attendee.hub is not None:
            return f"{attendee.hub}@{HUBS}.{self.front.domain}"
        account = attendee.account
        return "" if account is None else f"{account}@{self.front.domain}"

    def elsewhere(self, change: Change) -> None:
        """Somebody came, changed or went through another door."""
        occupant = self.people.by_id.get(change.id)
        if not self.loaded or (occupant is not None and occupant.seats):
            return
        if change.after is None:
            if occupant is not None:
                self.dismiss(occupant)
        elif occupant is None:
            occupant = self._occupant_of(change.after)
            self.people.add(occupant)
            self.people.show_first(occupant)
            work = self.learn_admin(occupant.account, occupant.role)
            self.front.spawn(work, "reading an account")
        else:
            self._changed_elsewhere(occupant, change.after)

    def _changed_elsewhere(self, occupant: Occupant, now: Attendee) -> None:
        occupant.hand = now.hand
        if now.name != occupant.name:
            others = {n for n, o in self.people.by_nick.items() if o is not occupant}
            occupant.name, wanted = now.name, unique(nick_of(now.name), others)
            if wanted != occupant.nick:
                self.rename(occupant, wanted)
        if now.role is not occupant.role:
            self.change_role(occupant, now.role)

    # What happens to an occupant ---------------------------------------------
    def tell_doors(self, payload: Payload) -> None:
        """Of the room's attendance."""
        self.front.bus.publish(attendance.topic_of(self.hub_id), payload)

    def tell_here(self, occupant: Occupant) -> None:
        """One of ours is here, or another than before."""
        if occupant.token is not None:
            source = self.front.attendance.source
            self.tell_doors(attendance.here(source, occupant.attendee()))

    def change_role(self, occupant: Occupant, role: Role) -> None:
        """A new role, at once."""
        if occupant.role is role:
            return
        occupant.role = role
        self.people.show(occupant)
        self.people.catch_up(occupant)
        self.tell_here(occupant)

    def _restand(self, occupant: Occupant) -> None:
        """The standing role may be another one."""
        standing = self.standing(occupant.account)
        if standing is not occupant.affiliation:
            occupant.affiliation = standing
            self.people.show(occupant)

    def take_nick(self, occupant: Occupant, nick: str, stanza_id: str | None) -> None:
        """An occupant asks for another nick. Raises Undeliverable (conflict)."""
        if nick in self.people.by_nick:
            raise Undeliverable("conflict", text="somebody else has this nickname")
        occupant.name = nick
        self.rename(occupant, nick, stanza_id)

    def rename(
        self, occupant: Occupant, nick: str, stanza_id: str | None = None
    ) -> None:
        """Another nick (XEP-0045 section 7.6)."""
        goodbye = presence_cast(
            occupant,
            self.front.host,
            nick=occupant.nick,
            available=False,
            all_codes=[Status.NICK_CHANGED],
            new_nick=nick,
        )
        self.people.rename(occupant, nick)
        self.people.show_gone(occupant, goodbye)
        self.people.cast(goodbye, occupant.seats)
        self.people.show(occupant, stanza_id=stanza_id)
        self.tell_here(occupant)

    def rise(self, seat: Seat, goodbye: Cast | None = None) -> None:
        """A session leaves; the last one takes its occupant with it."""
        occupant = seat.occupant
        if self.people.seats.get(seat.jid) is not seat:
            return
        if len(occupant.seats) > 1:
            cast = goodbye or presence_cast(occupant, self.front.host, available=False)
            self.people.cast(cast, [seat])
            was_newest = occupant.seats[-1] is seat
            self.people.rise(seat)
            if was_newest:
                self.people.show(occupant)
            return
        self.dismiss(occupant, goodbye=goodbye)

    def dismiss(
        self,
        occupant: Occupant,
        *,
        codes: Iterable[Status] = (),
        item: Iterable[Xml] = (),
        goodbye: Cast | None = None,
        more: Xml | None = None,
    ) -> None:
        """An occupant is gone, with every session. Their token ends as well."""
        cast = goodbye or presence_cast(
            occupant,
            self.front.host,
            available=False,
            all_codes=codes,
            item=item,
            more=more,
        )
        self.people.cast(cast, list(occupant.seats))
        for seat in list(occupant.seats):
            self.people.rise(seat)
        self.people.remove(occupant)
        self.people.show_gone(occupant, cast)
        self.people.settle()
        self._ended(occupant)
        self.left()

    def _ended(self, occupant: Occupant) -> None:
        """Their token ends, and the other doors hear of it."""
        self.removals.pop(occupant.id, None)
        if occupant.token is not None:
            self.tell_doors(attendance.gone(self.front.attendance.source, occupant.id))
            work = self.front.door.log_out(occupant.token)
            self.front.spawn(work, "ending a token")

    def sweep(self) -> None:
        """Take out those whom nothing can be sent to any more."""
        while self.people.lost:
            seat = self.people.lost.pop()
            if self.people.seats.get(seat.jid) is not seat:
                continue
            self.front.counters.ghosts += 1
            goodbye = presence_cast(
                seat.occupant,
                self.front.host,
                available=False,
                all_codes=[Status.ERROR],
            )
            self.rise(seat, goodbye)

    # News --------------------------------------------------------------------
    def closed(self) -> None:
        """The room is closed for all (XEP-0045 section 10.9)."""
        for knock in list(self.knocks.values()):
            self.turn_away(knock, Undeliverable("gone", text="the room was closed"))
        for occupant in self.people.by_nick.values():
            occupant.affiliation = Affiliation.NONE
        self._end_all(more=element("destroy"))

    def shut_down(self) -> None:
        """The service ends (status 332)."""
        for knock in list(self.knocks.values()):
            error = Undeliverable("service-unavailable", kind="wait")
            self.turn_away(knock, error)
        self._end_all(codes=[Status.SHUTDOWN])

    def _end_all(
        self, *, codes: Iterable[Status] = (), more: Xml | None = None
    ) -> None:
        """Each is told of their own end: nobody needs to hear of the others'."""
        occupants = list(self.people.by_nick.values())
        for occupant in occupants:
            cast = presence_cast(
                occupant,
                self.front.host,
                available=False,
                all_codes=codes,
                more=more,
            )
            self.people.cast(cast, list(occupant.seats))
        for occupant in occupants:
            for seat in list(occupant.seats):
                self.people.rise(seat)
            self.people.remove(occupant)
            self._ended(occupant)
        self.left()

    def turn_away(self, knock: Knock, error: Undeliverable) -> None:
        """Somebody in the lobby is not let in."""
        if self.knocks.pop(knock.jid, None) is None:
            return
        self.front.counters.waiting -= 1
        self.front.refuse(knock.stanza, knock.jid, error)
        self.front.spawn(self.front.door.log_out(knock.token), "ending a token")
        self.left()

    def kicked(self, participant_id: str) -> None:
        """A host, through whatever door, has put somebody out."""
        code, reason = self.removals.pop(participant_id, (Status.KICKED, ""))
        occupant = self.people.by_id.get(participant_id)
        if occupant is not None:
            self.put_out(occupant, code, reason)
        for knock in list(self.knocks.values()):
            if knock.id == participant_id:
                self.turn_away(knock, Undeliverable("forbidden"))

    def put_out(self, occupant: Occupant, code: Status, reason: str = "") -> None:
        """Out with a code: kicked, banned, or not a member any more."""
        if code is Status.BANNED:
            occupant.affiliation = Affiliation.OUTCAST
        item = [element("reason", None, reason)] if reason else []
        self.dismiss(occupant, codes=[code], item=item)

    async def member_changed(self, account: str) -> None:
        """The standing of an account is another; its tokens follow it."""
        self.members = await self.front.store.members(self.hub_id)
        for occupant in list(self.people.by_nick.values()):
            if occupant.account == account:
                await self.recheck(occupant)

    async def recheck(self, occupant: Occupant) -> None:
        """The token says what somebody may do now; without it they must go."""
        if occupant.token is not None:
            token = await self.front.store.participant_token(self.hub_id, occupant.id)
            if self.people.by_id.get(occupant.id) is not occupant:
                return
            if token is None:
                code, reason = self.removals.pop(
                    occupant.id, (Status.AFFILIATION_LOST, "")
                )
                occupant.affiliation = self.standing(occupant.account)
                self.put_out(occupant, code, reason)
                return
            if token.role is not None and token.role is not occupant.role:
                occupant.affiliation = self.standing(occupant.account)
                self.change_role(occupant, token.role)
                return
        self._restand(occupant)

    async def reload(self) -> Room:
        """Read the room again; what it was before."""
        before = self.room
        try:
            self.room = await self.front.store.room(self.hub_id)
        except NotFound:
            return before
        return before
