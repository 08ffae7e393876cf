"""The hub's one state machine: events and the time in, actions out. No I/O.

The state is not kept but told from the facts, so that none can contradict
another: what is remembered (Memory, on the disk) and what was heard since the
program started. Whoever was killed starts with the memory alone and says at
once what leads back to where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec.structs import replace

from mosaic.hub.backoff import Backoff
from mosaic.hub.feed import Desired, Feed
from mosaic.hub.memory import Memory, Result
from mosaic.hub.words import (
    Action,
    Answer,
    Ask,
    CommandEnded,
    Enrolled,
    Enter,
    EntryBegins,
    Event,
    Execute,
    FeedRead,
    Forget,
    HubRemoved,
    Leave,
    Report,
    Restart,
    Save,
    SeatChanged,
    ServerLost,
    Show,
    Tick,
    UpdateRuns,
)

REPORT_S = 600.0
"""The status is told again after this, changed or not."""

JOINED_KEPT = 50


class State(StrEnum):
    """What the hub is doing."""

    UNENROLLED = "unenrolled"
    OFFLINE = "offline"
    IDLE = "idle"
    JOINING = "joining"
    MEETING = "meeting"
    PRESENTING = "presenting"
    UPDATING = "updating"
    REMOVED = "removed"


class HubMachine:
    """One hub. random: from 0 to 1, spreads the attempts of many.

    Actions are to be carried out in their order; Save stands before what
    follows from it. problem: one line for people, or None.
    """

    def __init__(self, memory: Memory, *, random: Callable[[], float]) -> None:
        self.memory = memory
        self.reached = False
        self.room: str | None = None
        self.seat: str | None = None
        self._server_problem: str | None = None
        self._seat_problem: str | None = None
        self._updating = False
        self._running: set[str] = set()
        self._shown: Desired | None = None
        self._retry = Backoff(random)
        self._enter_at: float | None = None
        self._report_at: float | None = None
        self._reported: tuple[State, str | None, str | None] | None = None

    @property
    def state(self) -> State:
        """Told from the facts."""
        if self.memory.hub_id is None:
            return State.UNENROLLED
        if self.memory.removed:
            return State.REMOVED
        if self._updating:
            return State.UPDATING
        if self.room is not None:
            if self.seat == "presenting":
                return State.PRESENTING
            if self.seat == "live":
                return State.MEETING
            return State.JOINING if self.reached else State.OFFLINE
        return State.IDLE if self.reached else State.OFFLINE

    @property
    def wanted(self) -> str | None:
        """The room that the hub shall be in."""
        feed = self.memory.feed
        if feed is None or self.memory.removed or self.memory.hub_id is None:
            return None
        return feed.desired.room

    @property
    def problem(self) -> str | None:
        """What is wrong, the server first."""
        return self._server_problem or self._seat_problem

    def next_deadline(self) -> float | None:
        """When to say Tick, on the clock of `now`; None: not by itself."""
        times = [t for t in (self._enter_at, self._report_at) if t is not None]
        return min(times, default=None)

    def start(self, now: float) -> list[Action]:
        """The first actions: they lead back to where the memory says we were."""
        out: list[Action] = []
        self._show(out)
        self._go(out, now)
        return out

    def handle(self, event: Event, now: float) -> list[Action]:
        """What follows from an event."""
        before = self.memory
        out: list[Action] = []
        match event:
            case Enrolled(hub_id, name):
                self._enrolled(hub_id, name, out)
            case FeedRead(feed):
                self._fed(feed, out)
            case ServerLost(problem):
                self.reached, self._server_problem = False, problem
            case HubRemoved():
                self._removed(out)
            case SeatChanged(room, state, problem):
                self._seated(room, state, problem, now, out)
            case CommandEnded(id_, result):
                self._ended(id_, result, out)
            case UpdateRuns(running):
                self._updating = running
            case EntryBegins(key, room):
                self._begins(key, room, out)
            case Tick():
                if self._enter_at is not None and now >= self._enter_at:
                    self._enter(out)
        self._go(out, now)
        self._tell(out, now)
        if self.memory != before:
            out.insert(0, Save(self.memory))
        return out

    # ------------------------------------------------------------------------
    def _enrolled(self, hub_id: str, name: str, out: list[Action]) -> None:
        """Another Hub ID is another hub: nothing of the old one holds."""
        if hub_id != self.memory.hub_id:
            self.memory = Memory(server=self.memory.server, slot=self.memory.slot)
        self.memory = replace(self.memory, hub_id=hub_id, name=name, removed=False)
        self._server_problem = None

    def _fed(self, feed: Feed, out: list[Action]) -> None:
        self.reached, self._server_problem = True, None
        if self.memory.hub_id is None:
            return
        listed = {command.id for command in feed.commands}
        done = {id_: r for id_, r in self.memory.done.items() if id_ in listed}
        self.memory = replace(
            self.memory,
            feed=replace(feed, report=False),
            name=feed.hub.name or self.memory.name,
            removed=False,
            done=done,
        )
        if feed.report:
            self._report_at = None
        self._show(out)
        for command in feed.commands:
            if command.id in done:
                out.append(Answer(command.id, done[command.id]))
            elif command.id not in self._running:
                self._running.add(command.id)
                if command.command == "restart":
                    # Kept as done first: else each start would restart again.
                    self._ended(command.id, Result(ok=True), out)
                    out.append(Restart())
                else:
                    out.append(Execute(command))

    def _removed(self, out: list[Action]) -> None:
        if self.memory.hub_id is None or self.memory.removed:
            return
        self.memory = replace(self.memory, removed=True, feed=None, done={}, joined=())
        self.reached, self._server_problem = False, None
        self._running.clear()
        self._leave(out)
        out.append(Forget())

    def _seated(
        self,
        room: str,
        state: str,
        problem: str | None,
        now: float,
        out: list[Action],
    ) -> None:
        if room != self.room:
            return  # of a room that we have left
        self.seat, self._seat_problem = state, problem
        if state in ("live", "presenting"):
            self._retry.worked()
            self._enter_at = None
        elif state == "ended":
            self._enter_at = now + self._retry.next_s()
        elif state == "out":
            # Nobody shall need to kick a hub twice.
            self._enter_at = now + self._retry.next_s()
            out.append(Ask(None))

    def _ended(self, id_: str, result: Result, out: list[Action]) -> None:
        self._running.discard(id_)
        if self.memory.removed:
            return
        self.memory = replace(self.memory, done={**self.memory.done, id_: result})
        out.append(Answer(id_, result))

    def _begins(self, key: str, room: str, out: list[Action]) -> None:
        """Each entry once, and only where nobody meets already."""
        if key in self.memory.joined or self.state is not State.IDLE:
            return
        joined = (*self.memory.joined, key)[-JOINED_KEPT:]
        self.memory = replace(self.memory, joined=joined)
        out.append(Ask(room))

    def _show(self, out: list[Action]) -> None:
        feed = self.memory.feed
        if feed is not None and feed.desired != self._shown:
            self._shown = feed.desired
            out.append(Show(feed.desired))

    def _go(self, out: list[Action], now: float) -> None:
        """To the room that is wanted, if we are not there or on the way."""
        if self.wanted == self.room:
            return
        self._leave(out)
        self.room = self.wanted
        if self.room is not None:
            self._retry.worked()
            self._enter(out)

    def _enter(self, out: list[Action]) -> None:
        self._enter_at = None
        if self.room is not None:
            self.seat = "joining"
            out.append(Enter(self.room))

    def _leave(self, out: list[Action]) -> None:
        if self.room is not None:
            out.append(Leave(self.room))
        self.room = self.seat = self._seat_problem = self._enter_at = None

    def _tell(self, out: list[Action], now: float) -> None:
        """The status, when it changed or is old."""
        if not self.reached or self.memory.removed or self.memory.hub_id is None:
            self._report_at = self._reported = None
            return
        status = (self.state, self.room, self.problem)
        due = self._report_at is None or now >= self._report_at
        if due or status != self._reported:
            self._reported = status
            self._report_at = now + REPORT_S
            out.append(Report())
