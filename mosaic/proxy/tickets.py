# mypy: disable-error-code="no-untyped-call"
# (Twisted's threads have few annotations)
"""Waits for Kerberos tickets in a thread, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, TimeoutError
from twisted.internet.threads import deferToThreadPool

from mosaic.proxy.kerberos import KerberosScheme
from mosaic.wire.hops import TicketFailed

InThread = Callable[[Any, Callable[[], None]], Awaitable[None]]


def _in_thread(reactor: Any, work: Callable[[], None]) -> Awaitable[None]:
    return deferToThreadPool(reactor, reactor.getThreadPool(), work)


AGAIN_S = 10.0
"""Within this time after a failure nobody asks for the same again: a program dials
several ways at once, and a KDC that is away keeps each for long."""


class Tickets:
    """One desk for all endpoints of a program. in_thread: as deferToThreadPool on
    the reactor's own pool."""

    def __init__(self, in_thread: InThread = _in_thread) -> None:
        self._in_thread = in_thread
        self._lock = DeferredLock()
        self._failed: dict[object, tuple[float, TicketFailed]] = {}

    async def get(self, scheme: KerberosScheme, reactor: Any, within_s: float) -> None:
        """Prepare the scheme. Raises TicketFailed if that is the end.

        A thread that waits for a KDC cannot be stopped: it goes on alone, and whoever
        comes next waits behind it.
        """
        waiting: Deferred[Any] = Deferred()

        def over(result: Any) -> None:
            if not waiting.called:
                waiting.callback(result)

        self._lock.run(self._prepare, scheme, reactor).addBoth(over)
        waiting.addTimeout(within_s, reactor)
        try:
            await waiting
        except TimeoutError:
            scheme.fail("kdc", f"no answer within {within_s:.0f} s")
        if scheme.failure is not None and scheme.decides:
            raise scheme.failure

    def _prepare(self, scheme: KerberosScheme, reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(self._prepared(scheme, reactor))

    async def _prepared(self, scheme: KerberosScheme, reactor: Any) -> None:
        if scheme.ready:  # whoever wanted it has gone
            return
        at, failure = self._failed.get(scheme.wanted, (0.0, None))
        if failure is not None and reactor.seconds() - at < AGAIN_S:
            scheme.failure = failure
            return
        await self._in_thread(reactor, scheme.prepare)
        self._failed.pop(scheme.wanted, None)
        if scheme.failure is not None:
            self._failed[scheme.wanted] = reactor.seconds(), scheme.failure
