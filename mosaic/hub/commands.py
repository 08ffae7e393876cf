"""What an administrator may order: updates, a screenshot, the log, a wipe, a check
of the network."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mosaic.hub.feed import Command
from mosaic.hub.memory import Result
from mosaic.hub.netwatch import CheckFailed, NetworkChecks
from mosaic.hub.server import Server
from mosaic.hub.updating import UpdateRefused, Updates

MAX_FILE_BYTES = 5 * 1024 * 1024
CACHE = "cache"


class HubCommands:
    """agent.Commands. screenshot: PNG bytes, or None where there is no screen.
    clear_screens: drops what the meeting left in the browsers. network: the checks
    of the network."""

    def __init__(
        self,
        server: Server,
        updates: Updates,
        *,
        state: Path,
        log: Callable[[], bytes],
        screenshot: Callable[[], Awaitable[bytes]] | None,
        clear_screens: Callable[[], Awaitable[None]] | None,
        network: NetworkChecks,
    ) -> None:
        self._server = server
        self._updates = updates
        self._cache = state / CACHE
        self._log = log
        self._screenshot = screenshot
        self._clear_screens = clear_screens
        self._network = network

    async def run(self, hub_id: str, command: Command) -> tuple[Result, bool]:
        """agent.Commands.run."""
        match command.command:
            case "update-check":
                return await self._update(self._updates.check), False
            case "update-install":
                result = await self._update(self._updates.install)
                return result, result.ok and self._updates.state.state == "restart"
            case "screenshot":
                return await self._send_screenshot(hub_id, command.id), False
            case "log":
                content = self._log()[-MAX_FILE_BYTES:]
                await self._server.send_file(hub_id, command.id, content, "text/plain")
                return Result(ok=True, detail=f"{len(content)} bytes"), False
            case "wipe":
                await self.wipe()
                return Result(ok=True), False
            case "check-network":
                return await self._check_network(), False
        detail = f"this version knows no command {command.command[:40]!r}"
        return Result(ok=False, detail=detail), False

    async def wipe(self) -> None:
        """agent.Commands.wipe: the cache, and what is in the browsers. Key,
        memory, slots and proxy logins stay."""
        shutil.rmtree(self._cache, ignore_errors=True)
        if self._clear_screens is not None:
            await self._clear_screens()

    async def _update(self, step: Callable[[], Awaitable[Any]]) -> Result:
        try:
            state = await step()
        except UpdateRefused as error:
            return Result(ok=False, detail=str(error))
        words = (
            state.state
            if state.available is None
            else (f"{state.state}: {state.available}")
        )
        return Result(ok=state.state != "failed", detail=state.problem or words)

    async def _check_network(self) -> Result:
        """The result itself goes to the server before the answer."""
        try:
            found = await self._network.check("asked")
        except CheckFailed as error:
            return Result(ok=False, detail=str(error))
        return Result(ok=True, detail=found.words)

    async def _send_screenshot(self, hub_id: str, id_: str) -> Result:
        if self._screenshot is None:
            return Result(ok=False, detail="this hub has no screen")
        content = await self._screenshot()
        if len(content) > MAX_FILE_BYTES:
            return Result(ok=False, detail="the picture is larger than 5 MiB")
        await self._server.send_file(hub_id, id_, content, "image/png")
        return Result(ok=True, detail=f"{len(content)} bytes")
