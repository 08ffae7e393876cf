"""How fast an allocation or a user may be: a token bucket of bytes."""

from __future__ import annotations

from mosaic.relay.interface import BURST_S, LEAST_BURST_BYTES


class ByteLimit:
    """Lets `bytes_per_s` pass on average, a second's worth at once."""

    __slots__ = ("_burst", "_bytes_per_s", "_stamp", "_tokens")

    def __init__(self, bytes_per_s: float, now: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._burst = max(bytes_per_s * BURST_S, LEAST_BURST_BYTES)
        self._tokens = self._burst
        self._stamp = now

    def change(self, bytes_per_s: float) -> None:
        """Another rate from now on; what was saved up is kept, up to its burst."""
        self._bytes_per_s = bytes_per_s
        self._burst = max(bytes_per_s * BURST_S, LEAST_BURST_BYTES)
        self._tokens = min(self._tokens, self._burst)

    def has(self, size_bytes: int, now: float) -> bool:
        """Whether so much may pass now."""
        if now > self._stamp:
            saved = self._tokens + (now - self._stamp) * self._bytes_per_s
            self._tokens = min(self._burst, saved)
            self._stamp = now
        return self._tokens >= size_bytes

    def wait_s(self, now: float) -> float:
        """How long until what was taken too much has been made up for."""
        if self.has(0, now):
            return 0.0
        return -self._tokens / self._bytes_per_s

    def take(self, size_bytes: int) -> None:
        """It passes."""
        self._tokens -= size_bytes


def changed_limit(
    held: ByteLimit | None, bytes_per_s: float, now: float
) -> ByteLimit | None:
    """The limit at another rate, with what was saved up; None for rate 0."""
    if not bytes_per_s:
        return None
    if held is None:
        return ByteLimit(bytes_per_s, now)
    held.change(bytes_per_s)
    return held


class UserLimits:
    """The limits that all allocations of a user share."""

    def __init__(self) -> None:
        self._limits: dict[int, ByteLimit] = {}

    def __bool__(self) -> bool:
        return bool(self._limits)

    def change(self, user: int, bytes_per_s: float, now: float) -> None:
        """Another rate for a user; 0 lifts the limit."""
        limit = changed_limit(self._limits.pop(user, None), bytes_per_s, now)
        if limit is not None:
            self._limits[user] = limit

    def allow(
        self, own: ByteLimit | None, user: int, size_bytes: int, now: float
    ) -> bool:
        """Count a packet against an allocation's limit and its user's, or, if
        one of them is used up, against neither."""
        shared = self._limits.get(user) if self._limits else None
        if own is None and shared is None:
            return True
        limits = [limit for limit in (own, shared) if limit is not None]
        if not all(limit.has(size_bytes, now) for limit in limits):
            return False
        for limit in limits:
            limit.take(size_bytes)
        return True
