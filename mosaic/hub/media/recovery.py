"""When a call that does not connect tries the next way.

Two steps, as the browsers' ladder without its ICE restart, which aiortc cannot
do: a connection that may go any way, then a new one by relay alone, then that
again at growing intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CONNECT_S = 4.0
"""Direct paths either connect within this time or hardly ever."""
RELAY_S = 10.0
BREAK_S = 1.0
POLITE_EXTRA_S = 1.0
"""The polite side lets the other act first, lest both do the same."""
FIRST_REPEAT_S, LAST_REPEAT_S = 15.0, 60.0


class Recovery:
    """The ladder of one call. clock: has callLater.

    by_relay: called to make a new connection by relay. failed: all ways were
    tried; more attempts follow.
    """

    def __init__(
        self,
        clock: Any,
        *,
        polite: bool,
        by_relay: Callable[[], object],
        failed: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._extra_s = POLITE_EXTRA_S if polite else 0.0
        self._by_relay = by_relay
        self._failed = failed
        self._timer: Any = None
        self._step = 0
        self._repeat_s = FIRST_REPEAT_S

    def started(self) -> None:
        """Negotiation goes on; the first call starts the clock."""
        if self._timer is None:
            self._arm(CONNECT_S if self._step == 0 else RELAY_S)

    def connected(self) -> None:
        """The call is connected."""
        self.stop()
        self._step = 0
        self._repeat_s = FIRST_REPEAT_S

    def broken(self) -> None:
        """This way is over for certain."""
        self._arm(BREAK_S)

    def renewed(self, *, relay: bool) -> None:
        """A new connection was made, by whichever side: give it its time."""
        if relay:
            self._step = max(self._step, 1)
        self._arm(RELAY_S if relay else CONNECT_S)

    def stop(self) -> None:
        """Wait no more, until started again."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _arm(self, delay_s: float) -> None:
        self.stop()
        self._timer = self._clock.callLater(delay_s + self._extra_s, self._next)

    def _next(self) -> None:
        self._timer = None
        self._step += 1
        if self._step % 2:
            self._arm(RELAY_S)
            self._by_relay()
        else:
            self._failed()
            self._arm(self._repeat_s)
            self._repeat_s = min(LAST_REPEAT_S, self._repeat_s * 2)
