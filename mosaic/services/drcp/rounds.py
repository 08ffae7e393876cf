"""Reading many sockets in rounds, when much comes.

A message that arrives alone costs a wake-up of the process, and everything that
it touches is cold: several times the work itself. What waits for a document's
tick anyway can as well be read just before it. So the sockets of a room are
watched by an epoll of their own, which another one watches in turn, for all
rooms, and that the reactor. While little comes, each message is read at once,
as ever; when many come in WINDOW_S, the one above looks away, and everything
that has come is read just before a document flushes, and once in a while at
least, for as long as that is worth it.
docs/decisions/016-reading-in-rounds.md has the figures.
"""

# Twisted's reactors and transports are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableDescriptor,
    IReactorFDSet,
    IReadDescriptor,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

_log = Logger()

ROUND_S = 0.008
"""Between two rounds of sockets that have no room yet, and of rooms."""
WINDOW_S = 0.064
MUCH = 9
"""Rounds begin when so many reads have found something in WINDOW_S."""
LITTLE = 6
"""Rounds end when they found no more in WINDOW_S."""

_MAX_EVENTS = 1024


def rounds_for(reactor: Any) -> Rounds | None:
    """Rounds, if the system and the reactor can do it."""
    if IReactorFDSet.providedBy(reactor) and hasattr(select, "epoll"):
        return Rounds(reactor)
    return None


@implementer(IReadDescriptor)
class Rounds:
    """An epoll for the sockets that adopt() is told of.

    above: watches it: the reactor, or other rounds. period_s: the time between
    two rounds, asked for after each.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        above: Rounds | None = None,
        period_s: Callable[[], float] = lambda: ROUND_S,
    ) -> None:
        self._reactor = reactor
        self._above = reactor if above is None else above
        self._period_s = period_s
        self._epoll = select.epoll()
        self._readers: dict[int, Any] = {}
        self._watched = False
        self._away = False
        self._found = 0
        self._since = 0.0
        self._call: IDelayedCall | None = None

    def within(self, period_s: Callable[[], float]) -> Rounds:
        """Rounds for a part of the sockets, at another pace."""
        return Rounds(self._reactor, above=self, period_s=period_s)

    def adopt(self, transport: Any) -> None:
        """Read this transport from now on; one of an unknown kind is left as
        it is."""
        if isinstance(transport, TLSMemoryBIOProtocol):
            transport = transport.transport
        if isinstance(transport, tcp.Server | unix.Server):
            before: Any = transport.reactor
            paused = isinstance(before, _Borrowed) and not before.reads(transport)
            transport.stopReading()
            transport.reactor = cast(IReactorFDSet, _Borrowed(self._reactor, self))
            if not paused:
                transport.startReading()

    def stop(self) -> None:
        """The end: who is still here is watched from above."""
        if self._epoll.closed:
            return
        readers, self._readers = list(self._readers.values()), {}
        self._watch(False)
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._epoll.close()
        for reader in readers:
            self._above.addReader(reader)

    def reads(self, reader: Any) -> bool:
        """Whether it is watched here."""
        return self._readers.get(reader.fileno()) is reader

    def _watch(self, wanted: bool) -> None:
        if wanted != self._watched:
            self._watched = wanted
            change = self._above.addReader if wanted else self._above.removeReader
            change(self)

    # What transports say to their reactor ----------------------------------
    def addReader(self, reader: Any) -> None:
        """Watch it; twice is no error."""
        if self._epoll.closed:
            self._above.addReader(reader)
            return
        fd = reader.fileno()
        if fd not in self._readers:
            self._epoll.register(fd, select.EPOLLIN)
            self._readers[fd] = reader
            if not self._away:
                self._watch(True)

    def removeReader(self, reader: Any) -> None:
        """Watch it no more; twice is no error."""
        if self._epoll.closed:
            self._above.removeReader(reader)
            return
        fd = reader.fileno()
        if self._readers.get(fd) is not reader:
            # It is closed already, and has no number any more.
            fd = next((n for n, known in self._readers.items() if known is reader), -1)
        if fd in self._readers:
            del self._readers[fd]
            try:
                self._epoll.unregister(fd)
            except (OSError, ValueError):
                pass  # closed: it has left by itself
            if not self._readers:
                self._watch(False)

    # What the reactor asks of us -------------------------------------------
    def fileno(self) -> int:
        """The epoll is a file, too."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "drcp"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has stopped."""

    def doRead(self) -> None:
        """Something has come."""
        self._found += self._round()
        pace = self._pace()
        if pace is not None and pace >= MUCH and self._readers:
            self._away = True
            self._watch(False)
            self._call = self._reactor.callLater(self._period_s(), self._next)

    def gather(self) -> None:
        """A document flushes now: what has come by now goes with it."""
        if self._call is not None:
            self._call.cancel()
            self._next()

    def _next(self) -> None:
        self._call = None
        self._found += self._round()
        if self._epoll.closed:
            return
        pace = self._pace()
        if self._readers and (pace is None or pace > LITTLE):
            self._call = self._reactor.callLater(self._period_s(), self._next)
        else:
            self._away = False
            self._watch(bool(self._readers))

    def _pace(self) -> float | None:
        """What was found in each WINDOW_S of a time that is over, or None."""
        now: float = self._reactor.seconds()
        elapsed_s = now - self._since
        if elapsed_s < WINDOW_S:
            return None
        found, self._found, self._since = self._found, 0, now
        return found * WINDOW_S / elapsed_s

    def _round(self) -> int:
        """Read all that has something; how many there were."""
        ready = self._epoll.poll(0, _MAX_EVENTS)
        for fd, _ in ready:
            reader = self._readers.get(fd)
            if reader is not None:
                self._read(reader)
        return len(ready)

    def _read(self, reader: Any) -> None:
        try:
            why = reader.doRead()
        except Exception as error:
            _log.failure("a socket failed")
            why = error
        if why is not None:
            self.removeReader(reader)
            # Not now: the reactor may hold an event of the same descriptor, which
            # a connection that is accepted in between would be given.
            self._reactor.callLater(0, self._disconnect, reader, why)

    def _disconnect(self, reader: Any, why: Exception) -> None:
        """As Twisted's reactors do it."""
        if not reader.connected:
            return
        if isinstance(why, ConnectionDone):
            if IHalfCloseableDescriptor.providedBy(reader):
                reader.readConnectionLost(Failure(CONNECTION_DONE))
                return
            why = CONNECTION_DONE
        elif isinstance(why, ConnectionLost):
            why = CONNECTION_LOST
        self._reactor.removeWriter(reader)
        reader.connectionLost(Failure(why))


class _Borrowed:
    """A reactor for one transport, with another way to read."""

    def __init__(self, reactor: Any, rounds: Rounds) -> None:
        self._reactor = reactor
        self.reads = rounds.reads
        self.addReader = rounds.addReader
        self.removeReader = rounds.removeReader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
