"""Bandwidth of joined connections (RFC 6062): who is too fast is not read.

Bytes of TCP cannot be dropped. What has come is passed on and counted; if that
was too much, both sides wait until the limit has room again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from mosaic.relay.limit import ByteLimit


@implementer(IPushProducer)
class Valve:
    """A transport that is read while its reader has room, and nobody is too fast."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._full = self._held = False

    def pauseProducing(self) -> None:
        """The reader has enough."""
        self._full = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The reader has room again."""
        self._full = False
        if not self._held:
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The reader has gone."""
        self._transport.stopProducing()

    def hold(self) -> None:
        """Too fast: read nothing."""
        self._held = True
        self._transport.pauseProducing()

    def let_go(self) -> None:
        """It may go on."""
        self._held = False
        if not self._full:
            self._transport.resumeProducing()


class Pace:
    """Holds the two valves of a pipe when more has passed than its limits let.

    limits: the allocation's and its user's, as they are at each moment.
    """

    def __init__(
        self, reactor: IReactorTime, limits: Callable[[], list[ByteLimit]]
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._valves: tuple[Valve, ...] = ()
        self._timer: IDelayedCall | None = None

    def govern(self, *valves: Valve) -> None:
        """These, until `stop`."""
        self._valves = valves

    def passed(self, size_bytes: int) -> None:
        """So many bytes, in either direction."""
        now, wait_s = self._reactor.seconds(), 0.0
        for limit in self._limits():
            limit.take(size_bytes)
            wait_s = max(wait_s, limit.wait_s(now))
        if wait_s > 0 and self._timer is None:
            for valve in self._valves:
                valve.hold()
            self._timer = self._reactor.callLater(wait_s, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        for valve in self._valves:
            valve.let_go()

    def stop(self) -> None:
        """The pipe has ended."""
        self._valves = ()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
