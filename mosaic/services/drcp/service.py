"""The collaboration service: rooms come and go, connections enter, all drain."""

from __future__ import annotations

# Twisted's Service is not annotated.
# mypy: allow-untyped-calls
import secrets
from collections.abc import Callable
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.resource import IResource

from mosaic.auth.interface import AuthError, Door
from mosaic.bus.interface import Bus, Payload, Subscription
from mosaic.config.settings import Drcp, History
from mosaic.services.drcp.apart import Apart, here
from mosaic.services.drcp.chatting import WELCOME_CHAT
from mosaic.services.drcp.connection import Connection
from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.desk import Desk
from mosaic.services.drcp.heartbeat import Heartbeat
from mosaic.services.drcp.pace import Pace
from mosaic.services.drcp.room import LiveRoom
from mosaic.services.drcp.rounds import Rounds, rounds_for
from mosaic.services.drcp.shared import Shared, spawn
from mosaic.services.drcp.states import RunInThread, at_once
from mosaic.store.interface import NotFound, Store, StoreError
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.workspace import attendance
from mosaic.workspace.attendance import Attendance
from mosaic.workspace.model import Principal

_log = Logger()

KEEP_ALIVE_S = 12.0
RETRY_AFTER_S = 2.0
GOODBYE_S = 2.0


class OriginRule(Protocol):
    """Whether a browser page may connect."""

    def __call__(self, origin: str, host: str) -> bool:
        """origin: the Origin header. host: the Host header, with its port."""


class DrcpService(Service):
    """Live rooms, and the three doors that lead to them.

    counters: plain integers for the metrics page.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        settings: Drcp,
        *,
        door: Door,
        store: Store,
        bus: Bus,
        origin_allowed: OriginRule | Callable[[str, str], bool],
        wall_clock: Callable[[], float],
        history: History | None = None,
        run_in_thread: RunInThread = at_once,
        apart: Apart = here,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.history = history or History()
        self.origin_allowed = origin_allowed
        self.wall_clock = wall_clock
        self.counters = Counters()
        self.draining = False
        self.rooms: dict[str, LiveRoom] = {}
        self.connections: set[Connection] = set()
        self._door = door
        self._store = store
        self._bus = bus
        self.heartbeat = Heartbeat(reactor)
        self.rounds: Rounds | None = None
        self._pace = Pace()
        self._run_in_thread = run_in_thread
        self._apart = apart
        self._loading: dict[str, Shared[LiveRoom]] = {}
        self._unloads: dict[str, IDelayedCall] = {}
        self._subscriptions: list[Subscription] = []
        self._elsewhere = Attendance(source=secrets.token_hex(8))
        self._keep_alive = LoopingCall(self._keep_others_alive)
        self._keep_alive.clock = reactor
        self._all_gone: Deferred[None] | None = None

    # Service --------------------------------------------------------------
    def startService(self) -> None:
        """Hear of accounts; keep stock clients from hanging up."""
        super().startService()
        self.draining = False
        self._subscriptions = [
            self._bus.subscribe("account.*", self._account_news),
            self._bus.subscribe("room.*", self._room_news),
            self._bus.subscribe(attendance.QUESTION, self._asked),
        ]
        source = self._elsewhere.source
        self._bus.publish(attendance.QUESTION, attendance.question(source))
        self.heartbeat.start()
        self.rounds = rounds_for(self.reactor)
        started = self._keep_alive.start(KEEP_ALIVE_S, now=False)
        started.addErrback(
            lambda failure: _log.failure("keep-alive failed", failure=failure)
        )

    def stopService(self) -> Deferred[None]:
        """Drain: say so, save everything, close with 1012; fires when done."""
        super().stopService()
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        self.draining = True
        for subscription in self._subscriptions:
            subscription.cancel()
        if self._keep_alive.running:
            self._keep_alive.stop()
        self.heartbeat.stop()
        for room in list(self.rooms.values()):
            room.broadcast("draining", {"retry_after_s": RETRY_AFTER_S})
        for room in list(self.rooms.values()):
            await room.desk.drain()
        for connection in list(self.connections):
            connection.close(1012, "restarting")
        await self._wait_for_goodbyes()
        for hub_id, room in list(self.rooms.items()):
            # What arrived between the first drain and the close.
            await room.desk.drain()
            self._unload_now(hub_id)
        if self.rounds is not None:
            self.rounds.stop()
            self.rounds = None

    async def _wait_for_goodbyes(self) -> None:
        """Until every socket is gone, two seconds at most."""
        if not self.connections:
            return
        gone: Deferred[None] = Deferred()
        self._all_gone = gone
        late = self.reactor.callLater(GOODBYE_S, self._say_gone)
        await gone
        if late.active():
            late.cancel()

    def _say_gone(self) -> None:
        gone, self._all_gone = self._all_gone, None
        if gone is not None:
            gone.callback(None)

    def resources(self) -> dict[str, IResource]:
        """What to mount: the keys are the first path segments."""
        from mosaic.services.drcp.sockets import masks_natively, resources

        if not masks_natively():
            _log.warn("Autobahn's NVX is missing: long messages will be slow")
        return resources(self)

    # Entering -------------------------------------------------------------
    def connected(self, connection: Connection) -> None:
        """A socket opened."""
        self.connections.add(connection)
        self.counters.connections += 1

    def connection_lost(self, connection: Connection) -> None:
        """A socket is gone."""
        if connection in self.connections:
            self.connections.discard(connection)
            self.counters.connections -= 1
            if not self.connections:
                self._say_gone()

    async def principal(self, token: str) -> Principal:
        """Raises ProtocolError (4401)."""
        try:
            return await self._door.principal(token)
        except AuthError as error:
            raise ProtocolError(str(error), code=4401) from None

    async def admit(self, token: str) -> tuple[Principal, LiveRoom]:
        """Who it is, and the room that the token is for. Raises ProtocolError."""
        principal = await self.principal(token)
        if principal.hub_id is None:
            raise ProtocolError("a room token is needed", code=4403)
        room = await self.room(principal.hub_id)
        await self._read_again(room)
        if room.room.closed_at is not None:
            raise ProtocolError("closed", code=4423)
        return principal, room

    async def _read_again(self, room: LiveRoom) -> None:
        """The bus is a hint, the database is the truth. Raises ProtocolError."""
        try:
            room.room = await self._store.room(room.room.hub_id)
        except NotFound:
            raise ProtocolError("no such room", code=4404) from None
        except StoreError:
            # It was read before, and its members work on: so may this one.
            _log.failure("cannot read room {hub_id}", hub_id=room.room.hub_id)

    async def room(self, hub_id: str) -> LiveRoom:
        """The live room. Raises ProtocolError (4404, 4500)."""
        call = self._unloads.pop(hub_id, None)
        if call is not None and call.active():
            call.cancel()
        room = self.rooms.get(hub_id)
        if room is not None:
            self._unload_later(hub_id)
            return room
        shared = self._loading.get(hub_id)
        if shared is None:
            shared = self._loading[hub_id] = Shared(lambda: self._load(hub_id))
        try:
            return await shared.get()
        except NotFound:
            raise ProtocolError("no such room", code=4404) from None
        except StoreError:
            _log.failure("cannot load room {hub_id}", hub_id=hub_id)
            raise ProtocolError("the room cannot be read", code=4500) from None
        finally:
            self._loading.pop(hub_id, None)

    async def _load(self, hub_id: str) -> LiveRoom:
        stored = await self._store.room(hub_id)
        history = await self._store.messages(hub_id, limit=WELCOME_CHAT)
        room = LiveRoom(
            stored,
            history,
            self._desk_of(hub_id),
            elsewhere=self._elsewhere.people(hub_id),
            source=self._elsewhere.source,
            store=self._store,
            bus=self._bus,
            settings=self.settings,
            wall_clock=self.wall_clock,
            counters=self.counters,
            idle=lambda: self._unload_later(hub_id),
        )
        self.rooms[hub_id] = room
        self.counters.rooms += 1
        self._unload_later(hub_id)
        return room

    def _desk_of(self, hub_id: str) -> Desk:
        return Desk(
            hub_id,
            store=self._store,
            settings=self.settings,
            history=self.history,
            reactor=self.reactor,
            wall_clock=self.wall_clock,
            pace=self._pace,
            counters=self.counters,
            rounds=self.rounds,
            run_in_thread=self._run_in_thread,
            apart=self._apart,
        )

    def find_state(self, hub_id: str, etag: str) -> bytes | None:
        """The gzipped state of a document that a client was referred to."""
        room = self.rooms.get(hub_id)
        state = None if room is None else room.desk.shelf.find(etag)
        return None if state is None else state.packed

    # Leaving --------------------------------------------------------------
    def _unload_later(self, hub_id: str) -> None:
        if not self.draining and hub_id not in self._unloads:
            self._unloads[hub_id] = self.reactor.callLater(
                self.settings.unload_after_s, self._unload, hub_id
            )

    def _unload(self, hub_id: str) -> None:
        del self._unloads[hub_id]
        room = self.rooms.get(hub_id)
        if room is not None and room.is_empty:
            spawn(self._save_and_unload(hub_id, room), "unloading a room")

    async def _save_and_unload(self, hub_id: str, room: LiveRoom) -> None:
        await room.desk.prune()
        await room.desk.drain()
        if not room.is_empty or self.rooms.get(hub_id) is not room:
            return
        if room.desk.is_saved:
            self._unload_now(hub_id)
        else:
            self._unload_later(hub_id)

    def _unload_now(self, hub_id: str) -> None:
        call = self._unloads.pop(hub_id, None)
        if call is not None and call.active():
            call.cancel()
        self.rooms.pop(hub_id).stop()
        self.counters.rooms -= 1

    # News -----------------------------------------------------------------
    def _account_news(self, topic: str, payload: Payload) -> None:
        """An account is gone or has a new password: its tokens are void."""
        account = topic.partition(".")[2]
        for room in list(self.rooms.values()):
            for member in [*room.members, *room.waiting]:
                if member.account == account:
                    member.end(4401, "logged out")

    def _room_news(self, topic: str, payload: Payload) -> None:
        """Who is in rooms through other doors, whether we have the room or not."""
        change = self._elsewhere.heard(topic, payload)
        room = None if change is None else self.rooms.get(change.hub_id)
        if change is not None and room is not None:
            room.elsewhere(change)

    def _asked(self, topic: str, payload: Payload) -> None:
        if payload.get("source") != self._elsewhere.source:
            for room in self.rooms.values():
                room.tell_attendance()

    def _keep_others_alive(self) -> None:
        for room in self.rooms.values():
            for document in room.desk.documents.values():
                document.audience.keep_alive()
