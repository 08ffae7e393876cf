"""One live room: its members and its events."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from mosaic.auth.lobby import lobby_of
from mosaic.bus.interface import Bus, Payload
from mosaic.config.settings import Drcp
from mosaic.services.drcp.chatting import Chat
from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.desk import Desk
from mosaic.services.drcp.member import Member
from mosaic.services.drcp.people import MAX_EMOJI, EventRing, Person, person_of
from mosaic.services.drcp.shared import spawn
from mosaic.store.interface import NotFound, Store
from mosaic.wire.drcp.framing import websocket_frame
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.native import CAPS, MAX_CHANNELS, PING_S, json_message
from mosaic.wire.drcp.yprotocols import Type
from mosaic.workspace import attendance
from mosaic.workspace.attendance import Attendee, Change
from mosaic.workspace.model import Message, Role, Room


class LiveRoom:
    """A room while somebody is in it.

    people: those with a native connection and those who came through another
    door, by participant id. desk: its documents. elsewhere: the latter people.
    source: by which the other doors know this one. idle: called when the last
    member has left.
    """

    def __init__(
        self,
        room: Room,
        history: list[Message],
        desk: Desk,
        *,
        elsewhere: Iterable[Attendee] = (),
        source: str = "",
        store: Store,
        bus: Bus,
        settings: Drcp,
        wall_clock: Callable[[], float],
        counters: Counters,
        idle: Callable[[], None],
    ) -> None:
        self.room = room
        self.members: set[Member] = set()
        self.waiting: set[Member] = set()
        self.desk = desk
        self.people: dict[str, Person] = {
            attendee.id: person_of(attendee) for attendee in elsewhere
        }
        self.ring = EventRing()
        self._natives: dict[str, Member] = {}
        self._source = source
        self._bus = bus
        self._chat = Chat(
            room.hub_id,
            history,
            store=store,
            bus=bus,
            listeners=self,
            wall_clock=wall_clock,
        )
        self._instance = secrets.token_hex(6)
        self._sessions = 0
        self._store = store
        self._settings = settings
        self._wall_clock = wall_clock
        self._counters = counters
        self._idle = idle
        topic = f"room.{room.hub_id}"
        self._subscriptions = [
            bus.subscribe(topic, self._room_news),
            bus.subscribe(f"{topic}.people", self._people_news),
            bus.subscribe("store", self._store_news),
        ]

    @property
    def is_empty(self) -> bool:
        """Nobody is here or waits."""
        return not self.members and not self.waiting

    # Coming and going -----------------------------------------------------
    def enter(self, member: Member) -> None:
        """Let a member in, or to the lobby if it must wait.

        A participant has one native connection: the older one is replaced.
        """
        if member.native:
            for older in [*self.members, *self.waiting]:
                same = older.participant_id == member.participant_id
                if older.native and same:
                    older.end(4409, "replaced by a newer connection")
        if member.waiting:
            self.waiting.add(member)
            self._tell_lobby()
            return
        self.members.add(member)
        if member.native:
            self._appear(member)

    def leave(self, member: Member) -> None:
        """A member has gone; safe to call twice."""
        if member in self.waiting:
            self.waiting.discard(member)
            self._tell_lobby()
        elif member in self.members:
            self.members.discard(member)
            member.detach_all()
            if self._natives.get(member.participant_id) is member:
                del self._natives[member.participant_id]
                del self.people[member.participant_id]
                self._counters.people -= 1
                self._tell_doors(attendance.gone(self._source, member.participant_id))
                self.broadcast("leave", {"id": member.participant_id})
        if self.is_empty:
            self._idle()

    def _appear(self, member: Member) -> None:
        person = Person(
            member.participant_id,
            member.name,
            member.role,
            member.account,
            hub=member.principal.hub,
        )
        self._natives[person.id] = member
        self.people[person.id] = person
        self._counters.people += 1
        self._tell_doors(attendance.here(self._source, person.attendee()))
        self.broadcast("join", person.as_json(), sender=person.id, but=member)

    def _tell_doors(self, payload: Payload) -> None:
        self._bus.publish(attendance.topic_of(self.room.hub_id), payload)

    def tell_attendance(self) -> None:
        """Say again who is here: another door has just opened."""
        for participant_id in self._natives:
            person = self.people[participant_id]
            self._tell_doors(attendance.here(self._source, person.attendee()))

    def elsewhere(self, change: Change) -> None:
        """Somebody came, changed or went through another door."""
        if change.id in self._natives:
            return
        before = self.people.get(change.id)
        if change.after is None:
            if before is not None:
                del self.people[change.id]
                self.broadcast("leave", {"id": change.id})
            return
        person = self.people[change.id] = person_of(change.after)
        kind = "join" if before is None else "person"
        self.broadcast(kind, person.as_json(), sender=person.id)

    def welcome(self, member: Member, resume: tuple[str, int] | None) -> list[bytes]:
        """The messages that greet a member, missed events included."""
        self._sessions += 1
        missed = None
        if resume is not None and not member.waiting:
            sid, last_seq = resume
            if sid.partition(".")[0] == self._instance:
                missed = self.ring.since(last_seq)
        body = {
            "v": 1,
            "sid": f"{self._instance}.{self._sessions}",
            "participant_id": member.participant_id,
            "name": member.name,
            "role": member.role.value,
            "waiting": member.waiting,
            "room": self.describe(),
            "caps": list(CAPS),
            "limits": self._limits(),
            "server_time": self._wall_clock(),
            "resumed": missed is not None,
            **self._present(member),
        }
        messages = [json_message(0, Type.WELCOME, body)]
        if missed is not None:
            messages += missed
        elif resume is not None:
            messages.append(self.resync(member))
        return messages

    def welcomed(self, member: Member) -> None:
        """The member has its welcome: hosts hear who waits."""
        if member.role is Role.HOST and not member.waiting:
            self._tell_lobby()

    def resync(self, member: Member) -> bytes:
        """The present state."""
        return json_message(0, Type.RESYNC, self._present(member))

    def describe(self) -> dict[str, Any]:
        """The room as its members see it."""
        room = self.room
        return {
            "hub_id": room.hub_id,
            "name": room.name,
            "locked": room.locked,
            "lobby": room.lobby,
            "moderated": room.moderated,
        }

    def _present(self, member: Member) -> dict[str, Any]:
        """People and chat; those in the lobby see neither."""
        inside = not member.waiting
        return {
            "seq": self.ring.seq,
            "people": [p.as_json() for p in self.people.values()] if inside else [],
            "chat": self._chat.as_json() if inside else [],
        }

    def _limits(self) -> dict[str, float]:
        settings = self._settings
        return {
            "max_frame_bytes": settings.max_frame_bytes,
            "max_sync_bytes": settings.max_sync_bytes,
            "max_awareness_bytes": settings.max_awareness_bytes,
            "max_state_vector_bytes": settings.max_state_vector_bytes,
            "max_document_bytes": settings.max_document_bytes,
            "messages_per_s": settings.messages_per_s,
            "message_burst": settings.message_burst,
            "bytes_per_s": settings.bytes_per_s,
            "max_channels": MAX_CHANNELS,
            "snapshot_ref_bytes": settings.snapshot_ref_bytes,
            "ping_interval_s": PING_S,
            "greeting_s": settings.handshake_timeout_s,
        }

    # Events ---------------------------------------------------------------
    def broadcast(
        self,
        kind: str,
        data: object,
        *,
        sender: str | None = None,
        but: Member | None = None,
    ) -> None:
        """Number an event and send the same bytes to everybody."""
        at = self._wall_clock()
        frame = websocket_frame(self.ring.add(kind, data, at=at, sender=sender))
        for member in list(self._natives.values()):
            if member is not but:
                member.outbound.write(frame)

    def tell(self, members: Iterable[Member], kind: str, data: object) -> None:
        """An event for a few; it takes no number and is not replayed."""
        at = self._wall_clock()
        frame = websocket_frame(self.ring.event(kind, data, at=at, sender=None))
        for member in members:
            member.outbound.write(frame)

    def receive_event(self, member: Member, kind: str, data: dict[str, Any]) -> None:
        """chat, state or reaction. Raises ProtocolError."""
        person = self.people.get(member.participant_id)
        if member.waiting or person is None:
            raise ProtocolError("you are in the lobby", code=4423)
        if kind == "chat":
            self._chat.receive(member, data, moderated=self.room.moderated)
        elif kind == "state":
            if not person.merge(data):
                raise ProtocolError("state takes hand, mic, cam, screen")
            self._tell_doors(attendance.here(self._source, person.attendee()))
            self.broadcast("person", person.as_json(), sender=person.id)
        elif kind == "reaction":
            emoji = data.get("emoji")
            if not isinstance(emoji, str) or not 0 < len(emoji) <= MAX_EMOJI:
                raise ProtocolError("reaction takes an emoji")
            self.broadcast("reaction", {"emoji": emoji}, sender=person.id)
        else:
            raise ProtocolError("clients send chat, state and reaction")

    def relay_signal(self, member: Member, to: str, data: object) -> None:
        """WebRTC signalling to one participant; lost if they have gone."""
        other = self._natives.get(to)
        if member.waiting or member.participant_id not in self._natives:
            raise ProtocolError("you are in the lobby", code=4423)
        if other is None:
            self._counters.signals_dropped += 1
            return
        body = {"from": member.participant_id, "data": data}
        other.send([json_message(0, Type.SIGNAL, body)])

    # News from the bus ----------------------------------------------------
    def _room_news(self, topic: str, payload: Payload) -> None:
        if payload.get("type") == "closed":
            for member in [*self.members, *self.waiting]:
                member.end(4423, "closed")
        else:
            spawn(self._reload(), "reading a room again")

    async def _reload(self) -> None:
        try:
            self.room = await self._store.room(self.room.hub_id)
        except NotFound:
            return
        self.broadcast("room", self.describe())

    def _store_news(self, topic: str, payload: Payload) -> None:
        """Another process wrote (the command line): what holds still?"""
        spawn(self._recheck(), "checking a room again")

    async def _recheck(self) -> None:
        before = self.room
        await self._reload()
        if self.room.closed_at is not None and before.closed_at is None:
            self._room_news("", {"type": "closed"})
        for member in [*self.members, *self.waiting]:
            await self._recheck_member(member, 4401, "logged out")

    async def _recheck_account(self, account: str) -> None:
        """Its standing in the room has changed, and its tokens with it."""
        for member in [*self.members, *self.waiting]:
            if member.account == account:
                await self._recheck_member(member, 4403, "kicked")
        self._tell_lobby()

    async def _recheck_member(self, member: Member, code: int, reason: str) -> None:
        """The token says what somebody may do now; without it they must go."""
        hub_id, who = self.room.hub_id, member.participant_id
        token = await self._store.participant_token(hub_id, who)
        if token is None:
            member.end(code, reason)
        elif token.role is not None and not token.waiting:
            self.change_role(member, token.role)

    def _people_news(self, topic: str, payload: Payload) -> None:
        kind = payload.get("type")
        who = payload.get("participant_id")
        if kind == "waiting":
            self._tell_lobby()
            return
        if kind == "member":
            work = self._recheck_account(str(payload["account"]))
            spawn(work, "checking a member again")
            return
        for member in [*self.members, *self.waiting]:
            if member.participant_id != who:
                continue
            if kind in ("refused", "kicked"):
                member.end(4403, str(kind))
            elif kind in ("admitted", "role"):
                self.change_role(member, Role(payload["role"]))
        if kind in ("admitted", "refused", "kicked"):
            self._tell_lobby()

    def change_role(self, member: Member, role: Role) -> None:
        """A new role takes effect at once; also lets in from the lobby."""
        if member in self.waiting:
            self.waiting.discard(member)
            member.waiting, member.role = False, role
            self.members.add(member)
            self._appear(member)
            self.tell([member], "admitted", {"role": role.value})
            member.owner.role_changed(member)
            member.send([self.resync(member)])
        elif member.role is not role:
            member.role = role
            member.owner.role_changed(member)
            person = self.people.get(member.participant_id)
            if person is not None and person.role is not role:
                person.role = role
                self._tell_doors(attendance.here(self._source, person.attendee()))
                self.broadcast("person", person.as_json())
        if role is Role.HOST:
            self._tell_lobby()

    def _tell_lobby(self) -> None:
        spawn(self._send_lobby(), "telling the hosts who waits")

    async def _send_lobby(self) -> None:
        waiting = []
        for one in await lobby_of(self._store, self.room.hub_id):
            entry = {"participant_id": one.participant_id, "name": one.name}
            if one.hub is not None:
                entry["hub"] = one.hub
            waiting.append(entry)
        hosts = [m for m in self._natives.values() if m.role is Role.HOST]
        self.tell(hosts, "lobby", {"waiting": waiting})

    def stop(self) -> None:
        """Hear nothing more, no more timers."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._chat.stop()
        self.desk.stop()
