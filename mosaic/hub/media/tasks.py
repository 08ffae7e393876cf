"""Coroutines that nobody awaits: kept while they run, and heard when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from twisted.logger import Logger

_log = Logger()


class Tasks:
    """Started on asyncio's loop, which is the hub's reactor."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it; a failure is logged with its traceback."""
        task = asyncio.get_event_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def settled(self) -> None:
        """Until all have ended, those started meanwhile included."""
        while others := self._running - {asyncio.current_task()}:
            await asyncio.wait(others)

    def cancel(self) -> None:
        """Stop all that still run."""
        for task in self._running:
            task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a step failed: {error!r}", error=error)
