"""Ports held for a second allocation (RFC 8656 section 7.2, EVEN-PORT)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

RESERVED_S = 30.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """number: of the held port in commands to the data plane.
    username, host: who may claim it, and whose quotas it counts against."""

    number: int
    token: bytes
    username: str
    host: str
    family: int
    expires_at: float


class Reservations:
    """The held ports, each for 30 seconds, by their tokens.

    key: 32 random bytes. A token is an HMAC, so nobody guesses one.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._held: dict[bytes, Reservation] = {}

    def hold(
        self, number: int, username: str, host: str, family: int, now: float
    ) -> Reservation:
        """The plane holds a port under this number."""
        token = hmac.digest(self._key, b"reservation %d" % number, "sha256")[:8]
        held = Reservation(number, token, username, host, family, now + RESERVED_S)
        self._held[token] = held
        return held

    def find(self, token: bytes, username: str, now: float) -> Reservation | None:
        """The port of a token, if it is this user's and still held."""
        held = self._held.get(token)
        if held is None or held.username != username or held.expires_at <= now:
            return None
        return held

    def claim(self, held: Reservation) -> None:
        """It is somebody's relay now."""
        del self._held[held.token]

    def expire(self, now: float) -> list[Reservation]:
        """Those whose time is over; they are forgotten."""
        if not self._held:
            return []
        over = [held for held in self._held.values() if held.expires_at <= now]
        for held in over:
            del self._held[held.token]
        return over

    def next_deadline(self) -> float | None:
        """All are held equally long: the first one ends first."""
        for held in self._held.values():
            return held.expires_at
        return None

    def drop(self, matches: Callable[[str], bool]) -> list[Reservation]:
        """Those of usernames that match; they are forgotten."""
        gone = [held for held in self._held.values() if matches(held.username)]
        for held in gone:
            del self._held[held.token]
        return gone
