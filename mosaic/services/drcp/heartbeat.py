"""Pings for every socket, by one timer for all of them."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mosaic.wire.drcp.native import PING_S

_log = Logger()

LOOK_S = 1.0


class Beating(Protocol):
    """A socket. heard: set when anything comes, cleared by the heartbeat."""

    heard: bool

    def ping(self) -> None:
        """Ask the peer for a sign of life."""

    def give_up(self) -> None:
        """The peer is gone: drop the connection."""


class Heartbeat:
    """Pings each socket every PING_S, and gives it up if nothing came since
    the ping before."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # In the order in which they are due, for each is put back last.
        self._due: dict[Beating, float] = {}
        self._look = LoopingCall(self._beat)
        self._look.clock = clock

    def start(self) -> None:
        """Begin to look."""
        if not self._look.running:
            started = self._look.start(LOOK_S, now=False)
            started.addErrback(
                lambda failure: _log.failure("the heartbeat failed", failure=failure)
            )

    def stop(self) -> None:
        """Look no more."""
        if self._look.running:
            self._look.stop()

    def add(self, socket: Beating) -> None:
        """A socket has opened."""
        socket.heard = True
        self._due[socket] = self._clock.seconds() + PING_S

    def remove(self, socket: Beating) -> None:
        """It is gone; safe to call twice."""
        self._due.pop(socket, None)

    def _beat(self) -> None:
        now = self._clock.seconds()
        due = []
        for socket, at in self._due.items():
            if at > now:
                break
            due.append(socket)
        for socket in due:
            if self._due.pop(socket, None) is None:
                continue
            if not socket.heard:
                socket.give_up()
                continue
            socket.heard = False
            self._due[socket] = now + PING_S
            socket.ping()
