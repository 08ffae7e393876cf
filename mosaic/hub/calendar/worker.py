"""The helper process: one calendar in, its entries out.

`python -I -m mosaic.hub.calendar.worker`: a line of JSON {now, server, dav}, then
the content to the end of the input; one line of JSON comes out. What a stranger
wrote may compute for ever: each series of events has its own share of CPU time,
and the kernel ends the process at its limit of time or memory.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from mosaic.hub.calendar.caldav import calendars_in
from mosaic.hub.calendar.ics import CalendarError, TakesTooLong, entries_in

SERIES_S = 0.5
"""CPU time for the occurrences of one series."""
EVENTS_S = 10.0
"""CPU time for all of them; what is left then is left out."""
CPU_S = 25
MEMORY_BYTES = 1024 * 1024 * 1024
MISSING = "calendars need more: pip install 'mosaic-meetings[hub]'"


class Share:
    """CPU time for each series, and for all of them together."""

    def __init__(self, series_s: float = SERIES_S, events_s: float = EVENTS_S) -> None:
        self._series_s = series_s
        self._left_s = events_s
        signal.signal(signal.SIGPROF, self._over)

    @staticmethod
    def _over(number: int, frame: Any) -> None:
        raise TakesTooLong

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Raises TakesTooLong inside when the share is used up."""
        if self._left_s <= 0:
            raise TakesTooLong
        began = min(self._series_s, self._left_s)
        signal.setitimer(signal.ITIMER_PROF, began)
        try:
            yield
        finally:
            left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
            self._left_s -= began - left


def main() -> None:
    """Answer the one question."""
    for kind, value in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    head, _, content = sys.stdin.buffer.read().partition(b"\n")
    asked = json.loads(head)
    try:
        found = entries_in(
            calendars_in(content) if asked["dav"] else [content],
            now=asked["now"],
            server=asked["server"],
            limit=Share(),
        )
        answer = asdict(found)
    except CalendarError as error:
        answer = {"error": str(error)}
    except ModuleNotFoundError:
        answer = {"error": MISSING}
    except MemoryError:
        answer = {"error": "the calendar takes too much memory"}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
