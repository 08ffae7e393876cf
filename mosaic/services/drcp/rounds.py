"""Reading many sockets in rounds, when much comes.

A message that arrives alone costs a wake-up of the process, and everything that
it touches is cold: several times the work itself. What waits for a document's
tick anyway can as well be read just before it. So our sockets are watched by an
epoll of their own, which the reactor watches in turn. While little comes, each
message is read at once, as ever; when messages follow each other faster than
ROUND_S for a while, the reactor looks away, and everything that has come is
read once in ROUND_S, for as long as that finds several sockets a time.
docs/decisions/016-reading-in-rounds.md has the figures.
"""

# Twisted's reactors and transports are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import select
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
BUSY_ROUNDS = 8
WORTH_IT = 2
"""So many sockets must have something, or the rounds end."""

_MAX_EVENTS = 1024


def rounds_for(reactor: Any) -> Rounds | None:
    """Rounds, if the system and the reactor can do it."""
    if IReactorFDSet.providedBy(reactor) and hasattr(select, "epoll"):
        return Rounds(reactor)
    return None


@implementer(IReadDescriptor)
class Rounds:
    """An epoll for the sockets that adopt() is told of."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._readers: dict[int, Any] = {}
        self._watched = False
        self._quick = 0
        self._last = 0.0
        self._call: IDelayedCall | None = None

    def adopt(self, transport: Any) -> None:
        """Read this transport from now on; one of an unknown kind is left as
        it is."""
        if isinstance(transport, TLSMemoryBIOProtocol):
            transport = transport.transport
        if isinstance(transport, tcp.Server | unix.Server):
            transport.stopReading()
            transport.reactor = cast(IReactorFDSet, _Borrowed(self._reactor, self))
            transport.startReading()

    def stop(self) -> None:
        """Every socket has gone."""
        self._watch(False)
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._epoll.close()

    def _watch(self, wanted: bool) -> None:
        if wanted != self._watched:
            self._watched = wanted
            change = self._reactor.addReader if wanted else self._reactor.removeReader
            change(self)

    # What transports say to their reactor ----------------------------------
    def addReader(self, reader: Any) -> None:
        """Watch it; twice is no error."""
        fd = reader.fileno()
        if fd not in self._readers and not self._epoll.closed:
            self._epoll.register(fd, select.EPOLLIN)
            self._readers[fd] = reader
            if self._call is None:
                self._watch(True)

    def removeReader(self, reader: Any) -> None:
        """Watch it no more; twice is no error."""
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
        now = self._reactor.seconds()
        self._quick = self._quick + 1 if now - self._last < ROUND_S else 0
        self._round()
        self._last = now
        if self._quick >= BUSY_ROUNDS and self._readers:
            self._watch(False)
            self._call = self._reactor.callLater(ROUND_S, self._next)

    def _next(self) -> None:
        self._call = None
        if self._round() >= WORTH_IT and self._readers:
            self._call = self._reactor.callLater(ROUND_S, self._next)
        else:
            self._quick = 0
            self._watch(bool(self._readers))

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
        self.addReader = rounds.addReader
        self.removeReader = rounds.removeReader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
