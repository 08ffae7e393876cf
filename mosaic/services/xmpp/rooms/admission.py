"""Coming into a room (XEP-0045 section 7.2), by the rules of every door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mosaic.auth.interface import (
    AuthError,
    Forbidden,
    Issued,
    RoomUnavailable,
    TryLater,
    WrongCredentials,
)
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.history import (
    Wanted,
    entry_cast,
    read_wanted,
    subject_opened,
    wanted_entries,
)
from mosaic.services.xmpp.rooms.muc import Knock, Muc
from mosaic.services.xmpp.rooms.names import (
    NS_MUC,
    NS_MUC_USER,
    NS_OCCUPANT_ID,
    Status,
)
from mosaic.services.xmpp.rooms.nicks import unique, wished
from mosaic.services.xmpp.rooms.occupants import Occupant, Seat
from mosaic.services.xmpp.rooms.render import (
    address,
    for_each_address,
    halves,
    presence_cast,
)
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.pieces import open_stanza
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import element, read_node
from mosaic.workspace.archive import Entry
from mosaic.workspace.model import Principal, Role

_STRIPPED = frozenset(
    {(NS_MUC, "x"), (NS_MUC_USER, "x"), (NS_OCCUPANT_ID, "occupant-id")}
)

_HISTORY_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks for with a presence. password: None if none was said."""

    stanza: Stanza
    jid: Jid
    via: str
    nick: str
    password: str | None
    history: Wanted
    created: bool = False


def read_request(stanza: Stanza, jid: Jid, to: Jid, *, created: bool) -> Request:
    """What a presence to `room@host/nick` asks for. Raises Undeliverable."""
    if not to.resource:
        raise Undeliverable("jid-malformed", text="a nickname is needed")
    x = read_node(stanza).child(NS_MUC, "x")
    if x is None:
        raise Undeliverable("not-acceptable", text="you are not in this room")
    try:
        nick = wished(to.resource)
    except ValueError as error:
        raise Undeliverable("not-acceptable", text=str(error)) from None
    password = x.child(NS_MUC, "password")
    return Request(
        stanza=stanza,
        jid=jid,
        via=to.local,
        nick=nick,
        password=None if password is None else password.text,
        history=read_wanted(x.child(NS_MUC, "history")),
        created=created,
    )


def is_request(stanza: Stanza) -> bool:
    """Whether a presence asks to come in, rather than tells of a change."""
    return stanza.payload is not None and (
        read_node(stanza).child(NS_MUC, "x") is not None
    )


class Admission:
    """Lets sessions in: at once, after a host's word, or not at all."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def enter(self, muc: Muc, request: Request) -> None:
        """Come in, or wait in the lobby. Raises Undeliverable, StoreError."""
        front = self._front
        if request.jid in muc.knocks:
            self._tell_waiting(muc, muc.knocks[request.jid])
            return
        seat = muc.people.seats.get(request.jid)
        if seat is not None and seat.occupant.nick != request.nick:
            # One session has one place, by whichever address it asks.
            seat.via = request.via
            muc.take_nick(seat.occupant, request.nick, request.stanza.id)
            return
        account = front.account_of(request.jid)
        holder = muc.people.by_nick.get(request.nick)
        if holder is not None and _same_person(holder, request.jid):
            # the same person from another device, under one nick
            await self._sit(muc, holder, request, own=[])
            return
        self._check_nick(muc, request.nick, account)
        if len(muc.people.seats) >= front.settings.max_occupants:
            raise Undeliverable("service-unavailable", kind="wait", text="it is full")
        principal = await front.principal(request.jid)
        issued = await self._ask(muc.hub_id, muc.members, request, principal)
        try:
            self._check_nick(muc, request.nick, account)
        except Undeliverable:
            await front.door.log_out(issued.token)
            raise
        if issued.principal.waiting:
            self._wait(muc, request, issued)
            return
        await muc.learn_admin(account, issued.principal.role)
        await self._come_in(
            muc,
            request,
            participant_id=issued.principal.participant_id,
            role=issued.principal.role or Role.VIEWER,
            account=issued.principal.account,
            token=issued.token,
            expires_at=issued.principal.expires_at,
        )

    def _check_nick(self, muc: Muc, nick: str, account: str | None) -> None:
        """Raises Undeliverable (conflict) if it is somebody else's."""
        holder = muc.people.by_nick.get(nick)
        if holder is None:
            return
        if account is None or holder.account != account:
            raise Undeliverable("conflict", text="somebody else has this nickname")

    async def nowhere(self, request: Request) -> None:
        """There is no such room; the door says no, as it does for a wrong PIN.

        Raises Undeliverable.
        """
        principal = await self._front.principal(request.jid)
        await self._ask(request.via, {}, request, principal)

    async def _ask(
        self,
        hub_id: str,
        members: Mapping[str, Role],
        request: Request,
        principal: Principal | None,
    ) -> Issued:
        """The door decides. Raises Undeliverable."""
        try:
            return await self._front.door.join(
                hub_id,
                name=request.nick,
                pin=request.password,
                # Under another server there is no address but this one.
                address=f"xmpp:{request.jid.bare}",
                session=principal,
            )
        except (AuthError, ValueError) as error:
            self._front.counters.joins_refused += 1
            raise _told(error, members, principal) from error

    # The lobby ---------------------------------------------------------------
    def _wait(self, muc: Muc, request: Request, issued: Issued) -> None:
        knock = Knock(
            jid=request.jid,
            stanza=request.stanza,
            via=request.via,
            nick=request.nick,
            id=issued.principal.participant_id,
            account=issued.principal.account,
            token=issued.token,
            expires_at=issued.principal.expires_at,
        )
        muc.knocks[knock.jid] = knock
        self._front.counters.waiting += 1
        self._tell_waiting(muc, knock)

    def _tell_waiting(self, muc: Muc, knock: Knock) -> None:
        """MUC has no word for it: the room writes to the one who waits."""
        text = f"You are in the lobby of {muc.room.name}. A host can let you in."
        self._front.send(
            knock.jid,
            element(
                "message",
                {
                    "from": address(knock.via, self._front.host),
                    "to": str(knock.jid),
                    "type": "normal",
                },
                element("body", None, text),
            ),
        )

    async def admitted(self, muc: Muc, knock: Knock, role: Role) -> None:
        """A host has let somebody in from the lobby."""
        if muc.knocks.pop(knock.jid, None) is None:
            return
        self._front.counters.waiting -= 1
        to = Jid(knock.via, self._front.host, knock.nick)
        request = read_request(knock.stanza, knock.jid, to, created=False)
        muc.visitors += 1
        try:
            self._check_nick(muc, knock.nick, knock.account)
            await muc.learn_admin(knock.account, role)
            await self._come_in(
                muc,
                request,
                participant_id=knock.id,
                role=role,
                account=knock.account,
                token=knock.token,
                expires_at=knock.expires_at,
            )
        except Undeliverable as error:
            self._front.refuse(knock.stanza, knock.jid, error)
            await self._front.door.log_out(knock.token)
        finally:
            muc.visitors -= 1
            muc.left()

    # Inside --------------------------------------------------------------------
    async def _come_in(
        self,
        muc: Muc,
        request: Request,
        *,
        participant_id: str,
        role: Role,
        account: str | None,
        token: str,
        expires_at: float,
    ) -> None:
        entries = await self._history(muc, request)
        # From here to the end nothing waits: what others do comes before or after.
        if request.jid in muc.people.seats:
            # It came in twice at once, by both addresses of the room.
            await self._front.door.log_out(token)
            raise Undeliverable("conflict", text="you are in this room already")
        nick, own = request.nick, []
        if nick in muc.people.by_nick:
            nick, own = unique(nick, muc.people.by_nick), [Status.NICK_ASSIGNED]
        if request.created:
            own.append(Status.CREATED)
        occupant = Occupant(
            nick=nick,
            name=nick,
            id=participant_id,
            role=role,
            account=account,
            affiliation=muc.standing(account),
            occupant_id=muc.occupant_id(request.jid.bare),
            real=str(request.jid),
            token=token,
            expires_at=expires_at,
        )
        muc.people.add(occupant)
        self._front.counters.joins += 1
        self._take_seat(muc, occupant, request, entries, own, is_new=True)
        muc.tell_here(occupant)

    async def _sit(
        self, muc: Muc, occupant: Occupant, request: Request, own: list[Status]
    ) -> None:
        """One more session of an occupant, or one that asks again."""
        entries = await self._history(muc, request)
        if muc.people.by_id.get(occupant.id) is not occupant:
            raise Undeliverable("conflict", text="try again")
        older = muc.people.seats.get(request.jid)
        if older is not None:
            if older.occupant is not occupant:
                raise Undeliverable("conflict", text="you have another nickname here")
            occupant.seats.remove(older)
            del muc.people.seats[request.jid]
            self._front.counters.occupants -= 1
        self._take_seat(muc, occupant, request, entries, own, is_new=False)

    async def _history(self, muc: Muc, request: Request) -> list[Entry]:
        """Read again if something was told meanwhile: nothing may be missed."""
        store, now = self._front.store, self._front.wall()
        for _ in range(_HISTORY_TRIES):
            mark = muc.heard_seq
            entries = await wanted_entries(store, muc.hub_id, request.history, now=now)
            if muc.heard_seq == mark or not request.history.max_stanzas:
                break
        return entries

    def _take_seat(
        self,
        muc: Muc,
        occupant: Occupant,
        request: Request,
        entries: list[Entry],
        own: list[Status],
        *,
        is_new: bool,
    ) -> None:
        """XEP-0045 section 7.1: others, oneself, history, subject, in this order."""
        front, people = self._front, muc.people
        seat = Seat(
            jid=request.jid,
            via=request.via,
            occupant=occupant,
            pace=front.new_pace(),
            since=max([muc.heard_seq, *(entry.seq for entry in entries)]),
        )
        set_presence(seat, request.stanza)
        people.sit(seat)
        people.introduce(seat)
        if is_new:
            people.show_first(occupant)
        codes = [Status.REAL_ADDRESSES, Status.LOGGED, *own]
        cast = presence_cast(
            occupant, front.host, own=codes, stanza_id=request.stanza.id
        )
        people.cast(cast, [seat])
        for entry in entries:
            people.cast(entry_cast(muc, entry, delayed=True), [seat])
        subject = subject_opened(muc.subject)
        nick = muc.subject.author
        make = lambda via: halves(subject, address(via, front.host, nick))  # noqa: E731
        people.cast(for_each_address(make), [seat])


def set_presence(seat: Seat, stanza: Stanza) -> None:
    """Keep what a client tells of itself, without what is the room's to say."""
    opened = open_stanza(
        stanza,
        keep=lambda name: name == b"xml:lang",
        unwanted=lambda ns, name, attributes: (ns, name) in _STRIPPED,
    )
    seat.presence, seat.declared = opened.inner, opened.attributes


def _same_person(holder: Occupant, jid: Jid) -> bool:
    return any(seat.jid.bare_jid == jid.bare_jid for seat in holder.seats)


def _told(
    error: Exception, members: Mapping[str, Role], principal: Principal | None
) -> Undeliverable:
    """The stanza error for a refusal (XEP-0045 sections 7.2.5 to 7.2.12)."""
    match error:
        case WrongCredentials():
            return Undeliverable("not-authorized", text="the PIN is the password")
        case TryLater():
            wait_s = int(error.retry_after_s) + 1
            text = f"too many tries; wait {wait_s} s"
            return Undeliverable("resource-constraint", text=text)
        case RoomUnavailable(reason="closed"):
            return Undeliverable("gone", text="the room was closed")
        case RoomUnavailable():
            is_member = principal is not None and principal.account in members
            condition = "not-allowed" if is_member else "registration-required"
            return Undeliverable(condition, text="the room is locked")
        case Forbidden():
            return Undeliverable("forbidden", text=str(error))
        case NotFound():
            return Undeliverable("item-not-found")
    return Undeliverable("not-acceptable", text=str(error))
