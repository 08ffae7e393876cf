"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable

FIRST_S = 0.5
LAST_S = 30.0


class Backoff:
    """Twice as long each time, spread over a half of it, so that many who lost
    the same server do not come back as one. random: from 0 to 1."""

    def __init__(
        self,
        random: Callable[[], float],
        *,
        first_s: float = FIRST_S,
        last_s: float = LAST_S,
    ) -> None:
        self._random = random
        self._first_s = first_s
        self._last_s = last_s
        self._pause_s = first_s

    def next_s(self) -> float:
        """Seconds to wait now: from a half of the pause to the whole."""
        pause = self._pause_s
        self._pause_s = min(self._last_s, pause * 2)
        return pause * (0.5 + self._random() / 2)

    def worked(self) -> None:
        """Begin with short pauses again."""
        self._pause_s = self._first_s
