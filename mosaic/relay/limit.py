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
