# Some of Twisted's functions are not annotated.
# mypy: allow-untyped-calls
"""What the agent has of updates: look, install, say how it stands."""

from __future__ import annotations

import fcntl
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mosaic.hub.updates.client import Box, FeedClient, Found
from mosaic.hub.updates.errors import NO_FEED, UpdateError
from mosaic.hub.updates.install import Slots
from mosaic.hub.updates.launcher import RESTART, SUPERVISED
from mosaic.hub.updating import UpdateRefused, UpdateState
from mosaic.wire.hops import HopError
from mosaic.workspace.releases import (
    ReleaseError,
    check_channel,
    in_window,
    missing_bytes,
    ring_of,
)

_log = Logger()
HOUR_S = 3600.0
MINUTE_S = 60.0
HAND_OVER = (sys.executable, "-I", "-c", f"raise SystemExit({RESTART})")
"""What a supervised agent executes to be started again from the current slot."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`updates/state.json`. epoch: the highest that ever proved itself. failed:
    the version that was taken back last; it is not installed again unasked."""

    epoch: int = 0
    failed: str | None = None


class HubUpdates:
    """Fulfils mosaic.hub.updating.Updates.

    folder: the hub's state folder. run_in_thread: like deferToThread. changed:
    called when `state` is another than before. may_install: whether nobody would
    be disturbed at this moment. restart: called when an installation that nobody
    asked for is ready. strict: never to an older version.
    """

    def __init__(
        self,
        *,
        folder: Path,
        client: FeedClient,
        slots: Slots,
        public_key: bytes,
        clock: IReactorTime,
        run_in_thread: Callable[..., Deferred[Any]],
        strict: bool = True,
        supervised: bool | None = None,
        prefix: str = sys.prefix,
        changed: Callable[[], None] = lambda: None,
        may_install: Callable[[], bool] = lambda: False,
        restart: Callable[[], None] = lambda: None,
        local_time: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        spread: Callable[[], float] = lambda: random.uniform(0.75, 1.25),  # noqa: S311
    ) -> None:
        self._file = folder / "updates" / "state.json"
        self._client = client
        self._slots = slots
        self._ring = ring_of(public_key)
        self._clock = clock
        self._run_in_thread = run_in_thread
        self._strict = strict
        self._supervised = (
            SUPERVISED in os.environ if supervised is None else supervised
        )
        self._prefix = prefix
        self.changed = changed
        self.may_install = may_install
        self.restart = restart
        self._local_time = local_time
        self._spread = spread
        self._channel = "stable"
        self._window: str | None = None
        self._found: Found | None = None
        self._busy = False
        self._ready: str | None = None
        self._next_look: Any = None
        self._minutes = LoopingCall(self._minute)
        self._minutes.clock = clock
        self._state = UpdateState()
        self._learn_from_trial()

    # -- the interface

    @property
    def state(self) -> UpdateState:
        """What is known now."""
        return self._state

    @property
    def restart_command(self) -> Sequence[str] | None:
        """Supervised: end, so that the launcher starts what is current."""
        return HAND_OVER if self._supervised else None

    async def check(self) -> UpdateState:
        """Ask the feed. Raises UpdateRefused or HopError."""
        return await self._alone(self._check, self._look_failed)

    async def install(self) -> UpdateState:
        """Look, fetch, install, flip. Raises UpdateRefused or HopError."""
        return await self._alone(self._install, self._fail)

    def channel_set(self, channel: str, window: str | None) -> None:
        """What the administrator wants, said with every answer of the feed.
        window: "02:00-05:00", local time."""
        try:
            check_channel(channel)
            if window is not None:
                in_window(window, 0)
        except ReleaseError as error:
            self._say(str(error))
            return
        if channel != self._channel:
            self._found = None
        self._channel, self._window = channel, window

    async def started(self) -> None:
        """The agent has reached its server: what runs here is healthy."""
        trial = self._slots.files.trial()
        if trial is None:
            return
        home = self._slots.files.path(trial.slot)
        if Path(self._prefix).resolve() == home.resolve():
            self._slots.files.say_healthy(trial)
            _log.info("{version} is healthy", version=trial.version)

    # -- its own time

    def start(self) -> None:
        """Look soon, then about every hour; watch the window."""
        self._look_in(MINUTE_S)
        self._minutes.start(MINUTE_S, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._minutes.running:
            self._minutes.stop()

    def _look_in(self, seconds: float) -> None:
        self._next_look = self._clock.callLater(seconds * self._spread(), self._look)

    def _look(self) -> None:
        self._look_in(HOUR_S)
        if not self._busy and self._ready is None:
            self._unasked(self.check())

    def _minute(self) -> None:
        offer = self._found.offer if self._found else None
        if offer is None or self._busy or self._ready or self._window is None:
            return
        if offer.version == self._kept().failed or not self._supervised:
            return
        now = self._local_time()
        if in_window(self._window, now.hour * 60 + now.minute) and self.may_install():
            self._unasked(self._install_unasked())

    async def _install_unasked(self) -> None:
        await self.install()
        self.restart()

    def _unasked(self, work: Any) -> None:
        """Nobody waits; what went wrong is in the state."""
        done = Deferred.fromCoroutine(work)
        done.addErrback(
            lambda failure: _log.info("updates: {why}", why=failure.getErrorMessage())
        )

    # -- the work

    async def _alone(
        self, work: Callable[[], Any], failed: Callable[[str], None]
    ) -> UpdateState:
        if self._busy:
            raise UpdateRefused("an update is being looked for or installed already")
        self._busy = True
        try:
            with self._locked():
                await work()
        except UpdateError as error:
            self._found = None  # not again before the next look
            if error.why == NO_FEED:
                self._set(UpdateState())
            else:
                failed(str(error))
            hop = _hop_in(error)
            raise hop or UpdateRefused(str(error)) from error
        except Exception as error:
            failed(f"{type(error).__name__}: see the log")
            raise
        finally:
            self._busy = False
        return self._state

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the folders: `mosaic hub update-install` may run beside the
        agent."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            lock = self._file.with_name("lock").open("w")
        except OSError as error:
            raise UpdateError("disk", f"{error.filename}: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UpdateError(
                    "busy", "another program looks for updates or installs one"
                ) from error
            yield

    async def _check(self) -> None:
        if self._ready is not None:
            return
        box = Box(
            installed=self._slots.installed(epoch=self._kept().epoch),
            ring=self._ring,
            strict=self._strict,
        )
        self._found = await self._run_in_thread(self._client.look, self._channel, box)
        self._show_found()

    async def _install(self) -> None:
        if self._ready is not None:
            return
        if not self._supervised:
            raise UpdateError(
                "unsupervised",
                "this hub was not started by `mosaic hub supervise`: nobody could "
                "take a broken update back",
            )
        if self._slots.files.trial() is not None:
            raise UpdateError("trial", "the last update has not proved itself yet")
        await self._check()
        offer = self._found.offer if self._found else None
        if offer is None:
            raise UpdateError("none", self._state.problem or "there is nothing newer")
        self._set(
            UpdateState(
                state="installing",
                available=offer.version,
                notes=offer.manifest.notes,
                size=offer.size_bytes,
            )
        )
        paths = await self._run_in_thread(self._client.fetch, offer)
        slot = await self._run_in_thread(self._slots.install, offer, paths)
        self._slots.flip(slot)
        self._client.store.keep_only(self._slots.needed())
        self._ready = offer.version
        self._set(UpdateState(state="restart", available=offer.version))

    def _show_found(self) -> None:
        found = self._found
        offer = found.offer if found else None
        problem = "; ".join(found.passed_over) if found else ""
        if offer is None:
            self._set(UpdateState(state="none", problem=problem or None))
            return
        state = "available"
        if offer.version == self._kept().failed:
            state, problem = "taken-back", self._trial_problem() or problem
        have = self._client.store.have()
        self._set(
            UpdateState(
                state=state,
                available=offer.version,
                notes=offer.manifest.notes,
                size=missing_bytes(offer.wheels, have),
                problem=problem or None,
            )
        )

    def _learn_from_trial(self) -> None:
        report = self._slots.files.report()
        if self._slots.files.trial() is None:
            # What has proved itself counts from now on.
            self._keep(
                epoch=self._slots.installed(epoch=self._kept().epoch).security_epoch
            )
        if report is None:
            return
        failed = None if report.ok else report.version
        if failed != self._kept().failed:
            self._keep(failed=failed)
        if not report.ok:
            self._state = UpdateState(
                state="taken-back",
                available=report.version,
                problem=self._trial_problem(),
            )

    def _trial_problem(self) -> str | None:
        report = self._slots.files.report()
        if report is None or report.ok:
            return None
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.at))
        runs = self._slots.installed().version
        return (
            f"update {report.version} {report.why} and was taken back: "
            f"{runs} runs again ({when})"
        )

    def _look_failed(self, why: str) -> None:
        """What is known of a version stays true while the feed cannot be read."""
        if self._state.available is None:
            self._fail(why)
        else:
            self._set(replace(self._state, problem=why))

    def _fail(self, why: str) -> None:
        self._set(
            UpdateState(
                state="failed",
                available=self._state.available,
                notes=self._state.notes,
                size=self._state.size,
                problem=why,
            )
        )

    def _say(self, problem: str) -> None:
        self._set(UpdateState(state=self._state.state, problem=problem))

    def _set(self, state: UpdateState) -> None:
        before, self._state = self._state, state
        if state != before:
            self.changed()

    def _kept(self) -> Kept:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Kept)
        except (OSError, msgspec.DecodeError):
            return Kept()

    def _keep(self, **changes: Any) -> None:
        before = self._kept()
        kept = msgspec.structs.replace(before, **changes)
        if kept == before:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_name(".state.json")
        beside.write_bytes(msgspec.json.encode(kept))
        beside.replace(self._file)


def _hop_in(error: BaseException | None) -> HopError | None:
    """What the network said, if it was that."""
    while error is not None:
        if isinstance(error, HopError):
            return error
        error = error.__cause__
    return None
