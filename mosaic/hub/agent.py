# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""The agent: hears the server, asks the machine, does what it says."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.hub.backoff import Backoff
from mosaic.hub.calls import CallRefused
from mosaic.hub.feed import Desired
from mosaic.hub.machine import HubMachine, State
from mosaic.hub.memory import MemoryFile, Result
from mosaic.hub.netwatch import NetworkChecks, NoNetworkChecks
from mosaic.hub.participant import Seat
from mosaic.hub.server import HubUnknown, Server
from mosaic.hub.sitting import Sitter
from mosaic.hub.status import status_of
from mosaic.hub.updating import NoUpdates, Updates
from mosaic.hub.words import (
    Action,
    Answer,
    Ask,
    CommandEnded,
    Enrolled,
    Enter,
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
)
from mosaic.wire.hops import HopError

_log = Logger()

GRACE_S = 1.0
"""A poll that was poked has this long to end by itself."""

REMOVED_S = 600.0
"""A hub that was removed asks again after this."""

SPIN_S = 1.0
ANSWERS_S = 3.0
REFUSALS = (HopError, CallRefused)


class Presence(Protocol):
    """presence.HubPresence, or nothing in its place."""

    def start(self) -> None:
        """Be online."""

    def stop(self) -> None:
        """Be gone."""


class Commands(Protocol):
    """Carries commands out (commands.HubCommands)."""

    async def run(self, hub_id: str, command: Any) -> tuple[Result, bool]:
        """How it went, and whether a restart is due. Raises what the server's
        calls raise."""

    async def wipe(self) -> None:
        """What meetings left behind."""


@dataclass(slots=True, kw_only=True)
class Parts:
    """What the agent works with. sit: makes the sitter, which tells how it goes
    in a room. show: sound and light. calendar: entries as they are reported."""

    server: Server
    memory: MemoryFile
    sit: Callable[[Callable[[str, Seat], None]], Sitter]
    commands: Callable[[HubAgent], Commands]
    presence: Callable[[HubAgent], Presence]
    updates: Updates = field(default_factory=NoUpdates)
    network: Callable[[HubAgent], NetworkChecks] = lambda agent: NoNetworkChecks()
    show: Callable[[Desired], object] = lambda desired: None
    screens: Callable[[], list[dict[str, Any]]] = list
    calendar: Callable[[], list[dict[str, Any]] | None] = lambda: None
    problem: Callable[[], str | None] = lambda: None
    calendar_url: Callable[[str | None], object] = lambda url: None
    proxy: Callable[[], str] = lambda: "direct"
    route: Callable[[], str | None] = lambda: None
    reached: Callable[[], Coroutine[Any, Any, None]] | None = None


class HubAgent:
    """One hub. ended: called once when it shall stop; True: start again.

    problem: what stands in the way now, with what to do about it.
    """

    def __init__(
        self,
        reactor: Any,
        machine: HubMachine,
        parts: Parts,
        *,
        code: str | None,
        name: str | None,
        random: Callable[[], float],
        ended: Callable[[bool], None],
    ) -> None:
        self.machine = machine
        self.parts = parts
        self.advice = ""
        self._disk_problem: str | None = None
        self._enrol_problem: str | None = None
        self._reactor = reactor
        self._code = code
        self._name = name
        self._ended = ended
        self._random = random
        self._backoff = Backoff(random)
        self._sitter = parts.sit(self._seat_told)
        self.network = parts.network(self)
        self._commands = parts.commands(self)
        self._presence = parts.presence(self)
        self._running = False
        self._healthy = False
        self._began = reactor.seconds()
        self._poll: Deferred[Any] | None = None
        self._pause: Deferred[None] | None = None
        self._hurried = False
        self._ticker: IDelayedCall | None = None
        self._reporting = self._report_again = False
        self._answers = 0

    # The owner's side -------------------------------------------------------
    @property
    def problem(self) -> str | None:
        """One line, or None."""
        return (
            self._enrol_problem
            or self.machine.problem
            or self._disk_problem
            or self.parts.problem()
        )

    def start(self) -> None:
        """Go where the memory says, and ask the server."""
        self._running = True
        self._perform(self.machine.start(self._reactor.seconds()))
        self._wake()
        self._spawn(self._live(), "the feed")

    async def stop(self) -> None:
        """Out of the room, off the stream, nothing under way."""
        self._running = False
        if self._ticker is not None and self._ticker.active():
            self._ticker.cancel()
        self._presence.stop()
        self.network.stop()
        self.look()
        if self._poll is not None:
            self._poll.cancel()
        await self._sitter.leave()

    def hear(self, event: Event) -> None:
        """Something happened: what the machine makes of it is done."""
        if not self._running:
            return
        before = self.machine.state
        self._perform(self.machine.handle(event, self._reactor.seconds()))
        if self.machine.state is not before:
            _log.info(
                "{before} -> {state}",
                before=before.value,
                state=self.machine.state.value,
            )
        self._wake()

    def look(self) -> None:
        """There is news: read the feed now."""
        if self._pause is not None:
            pause, self._pause = self._pause, None
            pause.callback(None)
        elif self._poll is not None:
            # It ends by itself, unless its connection is dead.
            poll = self._poll
            self._reactor.callLater(GRACE_S, self._hurry, poll)

    def enrol(self, code: str) -> None:
        """A person typed an activation code (hubcodes.parse_code)."""
        self._code, self._enrol_problem = code, None
        self.look()

    def uptime_s(self) -> float:
        """Since the program started."""
        return float(self._reactor.seconds() - self._began)

    # The feed ---------------------------------------------------------------
    async def _live(self) -> None:
        after: int | None = None
        while self._running:
            wait_s: float | None = None
            asked = self._reactor.seconds()
            try:
                if self._code is not None or self.machine.memory.hub_id is None:
                    await self._enrol()
                    after = None
                hub_id = self.machine.memory.hub_id
                if hub_id is None:
                    wait_s = REMOVED_S
                else:
                    feed = await self._polled(self.parts.server.feed(hub_id, after))
                    quick = self._reactor.seconds() - asked < SPIN_S
                    if feed.seq == after and quick:
                        wait_s = SPIN_S  # it does not hold what it should hold
                    after = feed.seq
                    self._reached()
                    self.hear(FeedRead(feed))
                    self.parts.calendar_url(feed.calendar_url)
                    window = feed.update.window
                    self.parts.updates.channel_set(
                        feed.update.channel,
                        None if window is None else f"{window.start}-{window.end}",
                    )
            except CancelledError:
                self._hurried = False
            except HubUnknown:
                self._presence.stop()
                self.hear(HubRemoved())
                after, wait_s = None, REMOVED_S
            except REFUSALS as error:
                # What ends by our own cutting says so in many ways.
                hurried, self._hurried = self._hurried, False
                if hurried:
                    continue
                self._lost(error)
                after = None
                wait_s = self._backoff.next_s()
                asked_for = getattr(error, "retry_after_s", None)
                if asked_for is not None:
                    # Many were told the same: a random part more, each.
                    wait_s += asked_for * (1 + self._random())
            except Exception:
                _log.failure("fault while reading the feed")
                after, wait_s = None, self._backoff.next_s()
            if wait_s is not None and self._running:
                await self._sleep(wait_s)

    async def _enrol(self) -> None:
        """Trade the code, if there is one; it is wanted for the first time, or
        for a hub that was removed."""
        code = self._code
        memory = self.machine.memory
        if code is None or (memory.hub_id is not None and not memory.removed):
            self._code = None
            return
        try:
            enrolment = await self._polled(self.parts.server.enrol(code, self._name))
        except CallRefused as error:
            if error.status in (403, 409, 422):
                self._code = None
                self._enrol_problem = f"not enrolled: {error}"
                _log.warn("{problem}", problem=self._enrol_problem)
                return
            raise
        self._code = self._enrol_problem = None
        _log.info("enrolled as {hub_id}", hub_id=enrolment.hub_id)
        self.hear(Enrolled(enrolment.hub_id, enrolment.name))

    def _reached(self) -> None:
        self._backoff.worked()
        self.advice = ""
        self._presence.start()
        self.network.reached()
        if not self.machine.reached and self.parts.reached is not None:
            self._spawn(self.parts.reached(), "meeting the server")
        if not self._healthy:
            self._healthy = True
            self._spawn(self.parts.updates.started(), "saying that this slot is good")

    def _lost(self, error: Exception) -> None:
        if not self._running:
            return  # we hung up
        self.advice = getattr(error, "advice", "")
        if self.machine.problem != str(error):
            _log.warn("server lost: {reason}", reason=str(error))
        self.hear(ServerLost(str(error)))
        self.network.lost()

    def _polled(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        self._poll = poll = Deferred.fromCoroutine(work)

        def over(result: Any) -> Any:
            self._poll = None
            return result

        return poll.addBoth(over)

    def _hurry(self, poll: Deferred[Any]) -> None:
        if self._poll is poll:
            self._hurried = True
            poll.cancel()

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until look()."""
        pause: Deferred[None] = Deferred()
        self._pause = pause
        timer = self._reactor.callLater(seconds, self.look)
        await pause
        if timer.active():
            timer.cancel()

    # What the machine says --------------------------------------------------
    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Save(memory):
                    self._save(memory)
                case Enter(room):
                    self._spawn(self._enter(room), "entering a room")
                case Leave():
                    self._spawn(self._leave(), "leaving a room")
                case Ask(room):
                    self._spawn(self._ask(room), "asking for a room")
                case Show(desired):
                    self.parts.show(desired)
                case Execute(command):
                    self._spawn(self._execute(command), "a command")
                case Answer(id_, result):
                    self._spawn(self._answer(id_, result), "an answer")
                case Report():
                    self._spawn(self._report(), "the status")
                case Forget():
                    self.parts.server.forget_token()
                    self._presence.stop()
                    self._spawn(self._commands.wipe(), "wiping")
                case Restart():
                    self._restart_soon(self._reactor.seconds() + ANSWERS_S)

    def _save(self, memory: Any) -> None:
        """A full disk stops no meeting, but is said."""
        try:
            self.parts.memory.save(memory)
            self._disk_problem = None
        except OSError as error:
            self._disk_problem = f"cannot save the hub's state: {error.strerror}"
            _log.error("{problem}", problem=self._disk_problem)

    async def _enter(self, room: str) -> None:
        hub_id = self.machine.memory.hub_id
        if hub_id is None:
            return
        try:
            await self._sitter.enter(hub_id, room)
        except HubUnknown:
            self.hear(HubRemoved())
        except REFUSALS as error:
            self.hear(SeatChanged(room, "ended", str(error)))

    async def _leave(self) -> None:
        await self._sitter.leave()
        await self._commands.wipe()

    async def _ask(self, room: str | None) -> None:
        hub_id = self.machine.memory.hub_id
        if hub_id is not None:
            await self.parts.server.ask_room(hub_id, room)

    async def _execute(self, command: Any) -> None:
        hub_id = self.machine.memory.hub_id
        if hub_id is None:
            return
        restart = False
        try:
            result, restart = await self._commands.run(hub_id, command)
        except (HubUnknown, *REFUSALS) as error:
            result = Result(ok=False, detail=str(error))
        except Exception:
            _log.failure("a command failed")
            result = Result(ok=False, detail="failed; the hub's log says why")
        self.hear(CommandEnded(command.id, result))
        if restart:
            self._restart_soon(self._reactor.seconds() + ANSWERS_S)

    async def _answer(self, id_: str, result: Result) -> None:
        hub_id = self.machine.memory.hub_id
        if hub_id is None:
            return
        self._answers += 1
        try:
            await self.parts.server.answer(hub_id, id_, result)
        finally:
            self._answers -= 1

    async def _report(self) -> None:
        """One at a time; what changed meanwhile is told after."""
        if self._reporting:
            self._report_again = True
            return
        self._reporting = True
        try:
            self._report_again = True
            while self._report_again and self._running:
                self._report_again = False
                hub_id = self.machine.memory.hub_id
                if hub_id is None or self.machine.state is State.REMOVED:
                    return
                await self.parts.server.report(hub_id, self._status())
        finally:
            self._reporting = False

    def report(self) -> None:
        """Something that the machine does not know has changed."""
        if self.machine.reached:
            self._spawn(self._report(), "the status")

    def _status(self) -> dict[str, Any]:
        parts = self.parts
        return status_of(
            self.machine,
            uptime_s=self.uptime_s(),
            screens=parts.screens(),
            proxy=parts.proxy(),
            route=parts.route(),
            update=parts.updates.state,
            problem=self.problem,
            calendar=parts.calendar(),
        )

    def _restart_soon(self, latest: float) -> None:
        """The answer to the command goes first, if it goes at all."""
        if self._answers and self._reactor.seconds() < latest:
            self._reactor.callLater(0.05, self._restart_soon, latest)
        else:
            self._ended(True)

    # ------------------------------------------------------------------------
    def _seat_told(self, room: str, seat: Seat) -> None:
        self.hear(SeatChanged(room, seat.state, seat.problem))

    def _wake(self) -> None:
        if self._ticker is not None and self._ticker.active():
            self._ticker.cancel()
        due = self.machine.next_deadline()
        if due is not None and self._running:
            delay = max(0.0, due - self._reactor.seconds())
            self._ticker = self._reactor.callLater(delay, self.hear, Tick())

    def _spawn(self, work: Coroutine[Any, Any, Any], what: str) -> None:
        """What goes wrong on the way is said in one line; the rest is a fault."""

        def failed(failure: Failure) -> None:
            if failure.check(HopError, CallRefused, HubUnknown, CancelledError):
                reason = failure.getErrorMessage()
                _log.info("{what}: {reason}", what=what, reason=reason)
            else:
                _log.failure("fault in {what}", failure, what=what)

        Deferred.fromCoroutine(work).addErrback(failed)
