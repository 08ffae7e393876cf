"""Keeps the feed of releases fresh while the server runs."""

from __future__ import annotations

# Twisted's services have no annotations.
# mypy: allow-untyped-calls
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.config.settings import Updates

_log = Logger()
LOOK_S = 3600.0
RunInThread = Callable[..., Deferred[Any]]


class FeedKeeper(Service):
    """Signs the timestamp (and the snapshot, when it must be) again and again.

    It looks when it starts and every hour of the monotonic clock, and signs
    what is older than resign_s or ends too late to be true, so that neither a
    machine that slept nor a wall clock that jumped leaves hubs without a fresh
    word. The keys are made by `mosaic release`, never here.

    folder: the feed. keys: the folder with the online keys. now: Unix seconds.
    """

    def __init__(
        self,
        *,
        folder: Path,
        keys: Path,
        settings: Updates,
        clock: IReactorTime,
        run_in_thread: RunInThread,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._settings = settings
        self._run_in_thread = run_in_thread
        self._now = now
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._problem: str | None = None

    def startService(self) -> None:
        """Look at once, then every hour."""
        super().startService()
        self._loop.start(LOOK_S, now=True)

    def stopService(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()
        super().stopService()

    def warning(self) -> str | None:
        """What an administrator should do, for /readyz; None if all is well."""
        return self._problem

    def _look(self) -> Deferred[None]:
        looking = self._run_in_thread(self._refresh)
        return looking.addCallbacks(self._tell, self._failed)

    def _failed(self, failure: Failure) -> None:
        """Strangers may read /readyz: where our files are is for the log."""
        _log.error("the update feed: {why}", why=failure.getErrorMessage())
        self._problem = "it cannot be signed anew; the log says why"

    def _tell(self, problem: str | None) -> None:
        if problem is not None:
            _log.warn("the update feed: {problem}", problem=problem)
        self._problem = problem

    def _refresh(self) -> str | None:
        """In a thread: sign what needs it; what is wrong, if anything is."""
        if not (self._folder / "metadata" / "1.root.json").exists():
            return None
        try:
            from mosaic.release.feed import Feed
            from mosaic.release.online import OnlineKeys, OnlineSigner
        except ImportError as error:
            return (
                f"cannot be kept fresh: {error.name} is not installed "
                "(pip install 'mosaic-meetings[release]')"
            )
        feed = Feed(self._folder)
        now = self._now()
        signer = OnlineSigner(
            feed,
            OnlineKeys(self._keys),
            life_s=self._settings.timestamp_life_s,
            resign_s=self._settings.resign_s,
        )
        done = signer.refresh(now=now)
        if done is not None and done.timestamp:
            _log.info("the update feed's timestamp was signed anew")
        ends = feed.standing().expiries()
        soon = [
            f"{role} ({moment:%Y-%m-%d})"
            for role, moment in ends.items()
            if moment.timestamp() - now < self._settings.warn_s
        ]
        if soon:
            return f"must be signed offline soon: {', '.join(soon)}: `release renew`"
        return None
