"""Nonces that need no memory (RFC 8489 section 9.2.4), and short ones.

A nonce is the minute it was made in and an HMAC of that and the client's host.
It is short because an answer to a stranger may be at most twice the request:
the smallest Allocate has 28 bytes, so 20 are left for realm and nonce together.
"""

from __future__ import annotations

import base64
import hmac

MAX_REALM_BYTES = 12
_SLOT_S = 64.0
_SLOTS = 1 << 16


class Nonces:
    """Makes and checks nonces; the same key gives the same answers.

    realm: decides how long a nonce may be. key: 32 random bytes.
    lifetime_s: after that a nonce is stale (438).
    """

    def __init__(self, key: bytes, *, realm: str, lifetime_s: float = 3600.0) -> None:
        size = len(realm.encode())
        if not 0 < size <= MAX_REALM_BYTES:
            raise ValueError(
                f"the TURN realm {realm!r} must have 1 to {MAX_REALM_BYTES} bytes: "
                "answers to strangers are at most twice the request"
            )
        self._key = key
        self._proof_bytes = 7 if size <= 8 else 4
        self._slots = max(1, int(lifetime_s / _SLOT_S))

    def make(self, host: str, now: float) -> str:
        """A nonce for a client at this host: 12 or 8 characters."""
        return self._text(int(now / _SLOT_S) % _SLOTS, host)

    def fresh(self, nonce: str, host: str, now: float) -> bool:
        """Whether we made it for this host, and not too long ago."""
        try:
            slot = int.from_bytes(base64.b64decode(nonce, validate=True)[:2], "big")
        except ValueError:
            return False
        age = (int(now / _SLOT_S) - slot) % _SLOTS
        made = self._text(slot, host)
        return hmac.compare_digest(made.encode(), nonce.encode()) and age <= self._slots

    def _text(self, slot: int, host: str) -> str:
        stamp = slot.to_bytes(2, "big")
        proof = hmac.digest(self._key, stamp + host.encode(), "sha256")
        return base64.b64encode(stamp + proof[: self._proof_bytes]).decode()
