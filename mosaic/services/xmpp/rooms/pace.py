"""How fast one occupant may speak."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """A bucket of stanzas. Times are seconds of one monotonic clock."""

    per_s: float
    burst: float
    at: float
    left: float

    @classmethod
    def full(cls, *, per_s: float, burst: float, now: float) -> Pace:
        """A bucket that nothing was taken from."""
        return cls(per_s, burst, now, burst)

    def take(self, now: float) -> bool:
        """One stanza; False if there is none left."""
        self.left = min(self.burst, self.left + (now - self.at) * self.per_s)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True
