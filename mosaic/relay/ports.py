"""Relay ports: unpredictable ones, and none that was somebody else's just now.

Peers of an allocation that has ended go on sending for a while; whoever got
the port at once would get their packets. So freed ports rest. The rest is a
preference: when no other port is free the longest rested one is taken, so that
a client who makes and ends allocations quickly cannot use up the range for
others.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Callable
from errno import EADDRNOTAVAIL, EMFILE, ENFILE
from typing import Generic, TypeVar

from mosaic.relay.interface import HostUnavailable, NoRelayPort

T = TypeVar("T")
QUARANTINE_S = 30.0
_ABSENT = 0xFFFF
_TRIES = 1024
_EVEN_GUESSES = 32
_DICE_BYTES = 2048


class Dice:
    """Numbers that nobody can predict, from the kernel in large portions."""

    def __init__(self) -> None:
        self._left = memoryview(b"").cast("I")
        self._at = 0

    def below(self, size: int) -> int:
        """A number of 0 to size - 1; size is far below 2**32."""
        if self._at == len(self._left):
            self._left = memoryview(os.urandom(_DICE_BYTES)).cast("I")
            self._at = 0
        self._at += 1
        return self._left[self._at - 1] % size


class PortPool:
    """The ports of one host: free ones, resting ones, and who is out.

    first, last: the range. rest_s: how long a freed port rests. Every step
    takes the same time, however full the range is; memory is bounded by it.
    """

    def __init__(
        self, first: int, last: int, rest_s: float, clock: Callable[[], float]
    ) -> None:
        self._first = first
        self._free = array("H", range(first, last + 1))
        self._places = array("H", range(last + 1 - first))
        self._rest_s = rest_s
        self._clock = clock
        self._resting: deque[tuple[float, int]] = deque()
        self._dice = Dice()

    def take(self, *, even: bool = False) -> int | None:
        """A random port that nobody has; None when all are out."""
        self._wake()
        free = self._free
        if not free:
            return self._longest_rested(even)
        port = free[self._dice.below(len(free))]
        if even and port & 1:
            found = self._even()
            if found is None:
                return self._longest_rested(even)
            port = found
        self._remove(port)
        return port

    def take_many(self, count: int) -> list[int]:
        """Random ports that nobody has; fewer when all others are out."""
        self._wake()
        free, places, below = self._free, self._places, self._dice.below
        found = []
        for _ in range(min(count, len(free))):
            at = below(len(free))
            port, last = free[at], free.pop()
            places[port - self._first] = _ABSENT
            if last != port:
                free[at] = last
                places[last - self._first] = at
            found.append(port)
        while len(found) < count and self._resting:
            found.append(self._resting.popleft()[1])
        return found

    def _even(self) -> int | None:
        free = self._free
        for _ in range(_EVEN_GUESSES):
            port = free[self._dice.below(len(free))]
            if not port & 1:
                return port
        return next((port for port in free if not port & 1), None)

    def take_this(self, port: int) -> bool:
        """One port, if it is free; one that rests is left in peace."""
        self._wake()
        at = port - self._first
        if not 0 <= at < len(self._places) or self._places[at] == _ABSENT:
            return False
        self._remove(port)
        return True

    def put_back(self, port: int) -> None:
        """It was not used after all."""
        self._places[port - self._first] = len(self._free)
        self._free.append(port)

    def freed(self, port: int) -> None:
        """It was used, and rests."""
        if self._rest_s > 0:
            self._resting.append((self._clock() + self._rest_s, port))
        else:
            self.put_back(port)

    def _remove(self, port: int) -> None:
        """The last of the free ones takes its place."""
        free, places = self._free, self._places
        place = places[port - self._first]
        places[port - self._first] = _ABSENT
        last = free.pop()
        if last != port:
            free[place] = last
            places[last - self._first] = place

    def _wake(self) -> None:
        resting = self._resting
        if resting:
            now = self._clock()
            while resting and resting[0][0] <= now:
                self.put_back(resting.popleft()[1])

    def _longest_rested(self, even: bool) -> int | None:
        for at, (_, port) in enumerate(self._resting):
            if not (even and port & 1):
                del self._resting[at]
                return port
        return None


class RelayPorts(Generic[T]):
    """Opens sockets on the ports of a range, each host with a pool of its own.

    ports: first and last. rest_s: how long a freed port rests.
    opens: makes a socket that is bound to a host and port, or raises OSError;
    closes: closes one that is not wanted after all.
    """

    def __init__(
        self,
        ports: tuple[int, int],
        *,
        opens: Callable[[str, int], T],
        closes: Callable[[T], None],
        rest_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._ports = ports
        self._opens = opens
        self._closes = closes
        self._rest_s = rest_s
        self._clock = clock
        self._pools: dict[str, PortPool] = {}

    def _pool(self, host: str) -> PortPool:
        held = self._pools.get(host)
        if held is None:
            held = PortPool(*self._ports, self._rest_s, self._clock)
            self._pools[host] = held
        return held

    def open(self, host: str, *, even: bool = False) -> tuple[T, int]:
        """A socket and its port; raises RelayError.

        A port that somebody else on this machine has rests like a freed one.
        """
        pool = self._pool(host)
        taken: list[int] = []
        try:
            for _ in range(_TRIES):
                port = pool.take(even=even)
                if port is None:
                    break
                try:
                    return self._opens(host, port), port
                except OSError as error:
                    if error.errno not in (EADDRNOTAVAIL, EMFILE, ENFILE):
                        taken.append(port)
                        continue
                    pool.put_back(port)
                    if error.errno == EADDRNOTAVAIL:
                        raise HostUnavailable(host) from error
                    break
        finally:
            for port in taken:
                pool.freed(port)
        first, last = self._ports
        raise NoRelayPort(f"no port of {first}-{last} is free on {host}")

    def take_many(self, host: str, count: int) -> list[int]:
        """Up to so many ports, for whoever opens the sockets itself."""
        return self._pool(host).take_many(count)

    def open_pair(self, host: str) -> tuple[T, T, int]:
        """An even port and the next one (RFC 8656 section 7.2, EVEN-PORT with
        R): both sockets, and the first port. Raises RelayError."""
        pool = self._pool(host)
        alone: list[int] = []
        try:
            for _ in range(_EVEN_GUESSES):
                first, port = self.open(host, even=True)
                if pool.take_this(port + 1):
                    try:
                        return first, self._opens(host, port + 1), port
                    except OSError:
                        pool.freed(port + 1)  # somebody else's
                self._closes(first)
                alone.append(port)
        finally:
            for port in alone:
                pool.put_back(port)
        one, last = self._ports
        raise NoRelayPort(f"no pair of ports of {one}-{last} is free on {host}")

    def freed(self, host: str, port: int) -> None:
        """A socket of `open` has been closed."""
        self._pools[host].freed(port)
