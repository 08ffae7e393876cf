"""The hubs as they are now: all of them in memory, each with its last word.

What is to last is in the store; here are the rows as they were read, and what a
restart may forget: who is there, what they do, who waits for news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mosaic.bus.interface import Bus, Payload, Subscription
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.hubs import Doing, Hub, HubCommand, HubState, Outcome
from mosaic.workspace.model import Room

SWEEP_S = 5.0
MAX_WAITERS = 8
"""Of one hub: its agent and some screens; the oldest is answered early."""

_log = Logger()


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who follows the feed. news: fires when there may be some. screen:
    a screen, which is told what the agent reports too."""

    news: Deferred[None]
    screen: bool = False
    timer: IDelayedCall | None = None


@dataclass(slots=True, eq=False)
class Live:
    """One hub now.

    room: its own, None if it is to be read again. doing: as reported, while it is
    there. status: the last report, None if there was none since the start. asked:
    whether the feed has asked for one.
    heard_at: its last word, on the clock; None for none since the start.
    commands: those that wait. nonces: used ones and when they may be forgotten.
    """

    hub: Hub
    room: Room | None = None
    doing: Doing = Doing.IDLE
    status: Any = None
    asked: bool = False
    heard_at: float | None = None
    online: bool = False
    commands: tuple[HubCommand, ...] = ()
    waiters: list[Waiter] = field(default_factory=list)
    nonces: dict[str, float] = field(default_factory=dict)
    password: str = ""
    password_until: float = 0.0
    verifier: Any = None

    @property
    def state(self) -> HubState:
        """As others see it."""
        return HubState(
            id=self.hub.hub_id,
            name=self.hub.name,
            doing=self.doing if self.online else Doing.OFFLINE,
        )


@dataclass(slots=True)
class HubCounters:
    """Levels by state, and what happened."""

    enrolled: int = 0
    offline: int = 0
    idle: int = 0
    meeting: int = 0
    presenting: int = 0
    updating: int = 0
    waiting: int = 0
    network_degraded: int = 0
    network_blocked: int = 0
    tokens: int = 0
    tokens_refused: int = 0
    enrolments: int = 0
    enrolments_refused: int = 0


LEVELS = (
    "enrolled",
    "offline",
    "idle",
    "meeting",
    "presenting",
    "updating",
    "waiting",
    "network_degraded",
    "network_blocked",
)
"""Of HubCounters, those that may fall."""


class Fleet:
    """Every enrolled hub. A HubSource.

    clock: the reactor's. wall: Unix seconds now. offline_after_s: since the
    last word.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        *,
        clock: IReactorTime,
        wall: Callable[[], float],
        offline_after_s: float,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._wall = wall
        self._offline_after_s = offline_after_s
        self._hubs: dict[str, Live] = {}
        self._changed: list[Callable[[HubState], None]] = []
        self._gone: list[Callable[[HubState], None]] = []
        self._hearing: list[Subscription] = []
        self._sweep = LoopingCall(self.sweep)
        self._sweep.clock = clock
        self._counters = HubCounters()
        self._readings = 0
        self._removed_meanwhile: set[str] = set()
        self.stopping = False

    # Its life -------------------------------------------------------------
    async def start(self) -> None:
        """Read all hubs. Raises StoreError."""
        self.stopping = False
        await self.reload()
        self._hearing = [self._bus.subscribe("store", self._store_changed)]

    def begin_stop(self) -> None:
        """Whoever waits is answered."""
        self.stopping = True
        for live in self._hubs.values():
            self._wake(live)

    async def stop(self) -> None:
        """Note when each was here last."""
        self.begin_stop()
        while self._hearing:
            self._hearing.pop().cancel()
        if self._sweep.running:
            self._sweep.stop()
        for live in list(self._hubs.values()):
            if live.online:
                await self._note_seen(live)

    def _store_changed(self, topic: str, payload: Payload) -> None:
        Deferred.fromCoroutine(self.reload()).addErrback(
            lambda failure: _log.failure("hubs could not be read", failure)
        )

    async def reload(self) -> None:
        """Read all again: another process wrote.

        What happens here meanwhile is newer than what is read.
        """
        known = set(self._hubs)
        self._readings += 1
        try:
            hubs = await self._store.hubs()
            waiting = await self._store.hub_commands(state=Outcome.WAITING)
        finally:
            self._readings -= 1
        commands: dict[str, tuple[HubCommand, ...]] = {}
        for one in reversed(waiting):
            commands[one.hub_id] = (*commands.get(one.hub_id, ()), one)
        for hub_id in known - {hub.hub_id for hub in hubs}:
            self.removed(hub_id)
        for hub in hubs:
            live = self._hubs.get(hub.hub_id)
            if live is None and hub.hub_id not in self._removed_meanwhile:
                self.enrolled(hub, commands=commands.get(hub.hub_id, ()))
            elif live is not None and hub.seq >= live.hub.seq:
                self.changed(hub, commands=commands.get(hub.hub_id, ()))
        if not self._readings:
            self._removed_meanwhile.clear()

    # Who there is ---------------------------------------------------------
    def get(self, hub_id: str) -> Live | None:
        """One hub."""
        return self._hubs.get(hub_id)

    def every(self) -> list[Live]:
        """All, in the order of their enrolment."""
        return list(self._hubs.values())

    def enrolled(self, hub: Hub, *, commands: tuple[HubCommand, ...] = ()) -> None:
        """The store has it, perhaps for some time. commands: those that wait."""
        if hub.hub_id in self._hubs:
            return
        live = self._hubs[hub.hub_id] = Live(hub, commands=commands)
        self._tell(self._changed, live.state)

    def changed(
        self, hub: Hub, *, commands: tuple[HubCommand, ...] | None = None
    ) -> None:
        """The store has it so now. commands: those that wait, if they changed."""
        live = self._hubs.get(hub.hub_id)
        if live is None:
            return  # removed meanwhile
        before, live.hub, live.room = live.hub, hub, None
        if commands is not None:
            live.commands = commands
        if before.name != hub.name:
            self._tell(self._changed, live.state)
        if before.seq != hub.seq:
            self._wake(live)
            self._bus.publish(f"hub.{hub.hub_id}", {"type": "changed"})

    def removed(self, hub_id: str) -> None:
        """The store has it no more: everything of it ends."""
        if self._readings:
            self._removed_meanwhile.add(hub_id)
        live = self._hubs.pop(hub_id, None)
        if live is None:
            return
        live.online = False
        self._wake(live)
        self._tell(self._gone, live.state)
        self._bus.publish(f"hub.{hub_id}", {"type": "removed"})

    # What they say --------------------------------------------------------
    def heard(self, live: Live) -> None:
        """Its word: it is there."""
        live.heard_at = self._clock.seconds()
        if not live.online and self._come(live):
            self._tell(self._changed, live.state)

    def report(self, live: Live, doing: Doing, status: object) -> None:
        """It said what it does."""
        before = live.state
        live.status = status
        live.doing = doing
        live.heard_at = self._clock.seconds()
        if self._come(live) and live.state != before:
            self._tell(self._changed, live.state)

    def _come(self, live: Live) -> bool:
        """It is online, unless it was removed meanwhile."""
        live.online = self._hubs.get(live.hub.hub_id) is live
        if live.online and not self._sweep.running and not self.stopping:
            self._sweep.start(SWEEP_S, now=False)
        return live.online

    def sweep(self) -> None:
        """Whoever has been silent for too long is not there; when nobody is,
        nobody looks any more."""
        latest = self._clock.seconds() - self._offline_after_s
        for live in list(self._hubs.values()):
            if live.online and live.heard_at is not None and live.heard_at <= latest:
                live.online = False
                self._tell(self._changed, live.state)
                Deferred.fromCoroutine(self._note_seen(live)).addErrback(
                    lambda failure: _log.failure("a hub's end was not kept", failure)
                )
        if self._sweep.running and not any(live.online for live in self.every()):
            self._sweep.stop()

    def last_seen(self, live: Live) -> float:
        """Unix seconds of its last word, 0 for never."""
        if live.heard_at is None:
            return live.hub.last_seen
        return self._wall() - (self._clock.seconds() - live.heard_at)

    async def _note_seen(self, live: Live) -> None:
        seen = self.last_seen(live)
        try:
            hub = await self._store.change_hub(
                live.hub.hub_id, lambda hub: replace(hub, last_seen=seen)
            )
        except NotFound:
            return
        self.changed(hub)

    # News -----------------------------------------------------------------
    def wait(self, live: Live, seconds: float, *, screen: bool = False) -> Waiter:
        """Its news fires once: at news, after the time, or when all ends."""
        waiter = Waiter(Deferred(), screen)
        waiter.timer = self._clock.callLater(seconds, self.let_go, live, waiter)
        live.waiters.append(waiter)
        if len(live.waiters) > MAX_WAITERS:
            self.let_go(live, live.waiters[0])
        return waiter

    def let_go(self, live: Live, waiter: Waiter) -> None:
        """Let one wait no more; twice is no error."""
        if waiter not in live.waiters:
            return
        live.waiters.remove(waiter)
        if waiter.timer is not None and waiter.timer.active():
            waiter.timer.cancel()
        waiter.news.callback(None)

    def tell_screens(self, live: Live) -> None:
        """The agent has reported something that its walls show."""
        for waiter in list(live.waiters):
            if waiter.screen:
                self.let_go(live, waiter)

    def _wake(self, live: Live) -> None:
        for waiter in list(live.waiters):
            self.let_go(live, waiter)

    # HubSource ------------------------------------------------------------
    def states(self) -> Iterable[HubState]:
        """Every enrolled hub, offline ones too."""
        return [live.state for live in self._hubs.values()]

    def listen(
        self,
        changed: Callable[[HubState], None],
        gone: Callable[[HubState], None] = lambda state: None,
    ) -> None:
        """Be told of each change, and of hubs that were removed."""
        self._changed.append(changed)
        self._gone.append(gone)

    def _tell(
        self, listeners: list[Callable[[HubState], None]], state: HubState
    ) -> None:
        for listener in listeners:
            try:
                listener(state)
            except Exception:
                _log.failure("a listener to hub {id} failed", id=state.id)

    @property
    def counters(self) -> HubCounters:
        """With the levels as they are."""
        counters = self._counters
        for name in LEVELS:
            setattr(counters, name, 0)
        counters.enrolled = len(self._hubs)
        for live in self._hubs.values():
            counters.waiting += len(live.waiters)
            network = live.hub.network
            if network is not None and not (live.online and network.over):
                counters.network_degraded += network.outcome == "degraded"
                counters.network_blocked += network.outcome == "blocked"
            name = live.doing.name.lower() if live.online else "offline"
            setattr(counters, name, getattr(counters, name) + 1)
        return counters

    @property
    def tally(self) -> HubCounters:
        """To count what happens."""
        return self._counters
