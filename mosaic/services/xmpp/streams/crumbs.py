"""Crumbs: reads that bring hardly anything and complete nothing.

Each costs a turn of the reactor and a look at what is held back, and over TLS each
byte may be a record: 64 KiB one byte at a time would cost a fifth of a second at
once. After some in a row the stream is not read for a moment, and again after each
that follows until an element is complete: the kernel joins what comes meanwhile.
What is joined are still records, so that a peer has only so many bytes of crumbs
before it is refused: few until it has a session, more and always some new ones
afterwards. See docs/decisions/090-crumbs-are-counted.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

CRUMB_BYTES = 1024
IN_A_ROW = 32
"""More than any client sends on the way to the end of an element."""
REST_S = 0.01
MAX_RECORDS = 256
"""What one read can cost: so many records are joined (mosaic.tls.openssl)."""
BEFORE_SESSION = 8192
"""All that a client says before it has a session is a quarter of this."""
WITH_SESSION = 65_536
WITH_SESSION_PER_S = 4096


class Crumbs:
    """Counts them for one connection, and says when to pause.

    clock: an IReactorTime. awake: called when the pause is over.
    """

    __slots__ = ("_awake", "_began_at", "_call", "_clock", "_count", "spent")

    def __init__(self, clock: Any, awake: Callable[[], None]) -> None:
        self._clock = clock
        self._awake = awake
        self._count = 0
        self._began_at = clock.seconds()
        self._call: IDelayedCall | None = None
        self.spent = 0
        """Records, if each of them held a byte."""

    @property
    def resting(self) -> bool:
        """Whether the connection is not read for a moment."""
        return self._call is not None

    def another(self, size_bytes: int) -> bool:
        """A read that completed nothing; whether to pause because of it."""
        if size_bytes >= CRUMB_BYTES:
            self._count = 0
            return False
        self.spent += min(size_bytes, MAX_RECORDS)
        self._count += 1
        if self._count < IN_A_ROW or self._call is not None:
            return False
        self._call = self._clock.callLater(REST_S, self._rested)
        return True

    def whole(self) -> None:
        """An element is complete."""
        self._count = 0

    def too_many(self, *, has_session: bool) -> bool:
        """Whether the peer has had what it may have."""
        if not has_session:
            return self.spent > BEFORE_SESSION
        since_s: float = self._clock.seconds() - self._began_at
        return self.spent > WITH_SESSION + WITH_SESSION_PER_S * since_s

    def stop(self) -> None:
        """The connection is over."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _rested(self) -> None:
        self._call = None
        self._awake()
