"""Sockets that an epoll of their own watches, which the reactor watches in turn.

The reactor's way to a reader (a context for its log, a check of what it returned)
costs as much as a packet. Behind one reader that cost is paid once for all the
sockets that have something.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

_MAX_EVENTS = 256
_log = Logger()


def watch_for(reactor: IReactorFDSet) -> Any:
    """A Watch where the system has epoll, else the reactor itself."""
    return Watch(reactor) if hasattr(select, "epoll") else reactor


@implementer(IReadDescriptor)
class Watch:
    """The part of a reactor that `UdpSocket` needs, for many of them."""

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._readers: dict[int, Any] = {}

    def addReader(self, reader: Any) -> None:
        """Watch a socket."""
        fd = reader.fileno()
        self._epoll.register(fd, select.EPOLLIN)
        self._readers[fd] = reader
        if len(self._readers) == 1:
            self._reactor.addReader(self)

    def removeReader(self, reader: Any) -> None:
        """Watch it no more; it is still open."""
        fd = reader.fileno()
        if self._readers.get(fd) is reader:
            self._epoll.unregister(fd)
            del self._readers[fd]
            if not self._readers:
                self._reactor.removeReader(self)

    def close(self) -> None:
        """Every socket has gone."""
        self._epoll.close()

    def fileno(self) -> int:
        """The epoll is a file, too."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """Twisted's name for this reader."""
        return "turn-udp"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has stopped."""

    def doRead(self) -> None:
        """Some sockets have something: datagrams, or errors, or both."""
        readers = self._readers
        for fd, event in self._epoll.poll(0, _MAX_EVENTS):
            reader = readers.get(fd)
            if reader is None:
                continue  # closed by what came before it
            try:
                if event & select.EPOLLERR:
                    reader.read_failed()
                reader.doRead()
            except Exception:
                _log.failure("a relay socket failed")
                reader.close()
