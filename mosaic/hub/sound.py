# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Volume and mute of the box, by whichever of the usual programs is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import Logger

from mosaic.hub.feed import Desired

_log = Logger()


def sound_commands(program: str, volume: int, muted: bool) -> list[list[str]]:
    """What to run. volume: 0-100, anything else is brought into it."""
    level = min(100, max(0, volume))
    flag = "1" if muted else "0"
    match program:
        case "wpctl":
            sink = "@DEFAULT_AUDIO_SINK@"
            return [
                ["set-volume", sink, f"{level / 100:.2f}"],
                ["set-mute", sink, flag],
            ]
        case "pactl":
            sink = "@DEFAULT_SINK@"
            return [
                ["set-sink-volume", sink, f"{level}%"],
                ["set-sink-mute", sink, flag],
            ]
        case _:
            return [["-q", "set", "Master", f"{level}%", "mute" if muted else "unmute"]]


class Sound:
    """Sets what is desired; a box without sound says so once in the log."""

    def __init__(
        self, reactor: Any, which: Callable[[str], str | None] = shutil.which
    ) -> None:
        self._reactor = reactor
        self._path = next(
            (path for name in ("wpctl", "pactl", "amixer") if (path := which(name))),
            None,
        )

    def show(self, desired: Desired) -> None:
        """Bring the box's volume to what is wanted."""
        if self._path is None:
            return
        name = os.path.basename(self._path)
        for words in sound_commands(name, desired.volume, desired.muted):
            getProcessOutputAndValue(
                self._path, words, env=dict(os.environ), reactor=self._reactor
            ).addCallbacks(self._ran, self._not_run)

    def _ran(self, result: tuple[bytes, bytes, int]) -> None:
        _, said, code = result
        if code:
            _log.warn(
                "volume not set: {said}", said=said.decode(errors="replace")[:200]
            )

    def _not_run(self, failure: Any) -> None:
        _log.warn("volume not set: {why}", why=failure.getErrorMessage())
