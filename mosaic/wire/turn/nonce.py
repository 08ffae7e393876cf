"""Nonces that need no memory (RFC 8489 section 9.2.4), short ones and long ones.

A nonce is the minute it was made in and a keyed hash of that, of the client's
transport address and of what was offered with it. Both kinds carry the same
proof; a long one begins with the nonce cookie and the security features
(section 9.2), so that nobody between us and a client can take the offer of
better algorithms out of an answer (bid-down) without the client or us noticing.

**Why there are short ones.** An answer to a stranger over UDP may be at most
twice the request, or we would amplify floods. The smallest Allocate has 28
bytes: 20 are left for realm and nonce together, and an offer (13 bytes of
cookie and 12 of PASSWORD-ALGORITHMS) does not fit. So the offer is made where
it fits: over streams, and to requests of about 42 bytes or more, for which a
hint of any kind is enough (SOFTWARE, PADDING, PASSWORD-ALGORITHMS, or the
client's own credentials, whose answers always have room). A smaller request
gets the challenge of RFC 5389: MD5 key, SHA-1 integrity. A client that knows
RFC 8489 and wants more must ask with a larger request. Somebody on the path
may make the first request look small; what that buys is an HMAC-SHA-1 under a
key of a machine-made random password, which is no way in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple

from mosaic.wire.stun.address import Address, pack_host

MAX_REALM_BYTES = 12
NONCE_COOKIE = "obMatJos2"
PASSWORD_ALGORITHMS_BIT = 1 << 23
ANONYMITY_BIT = 1 << 22
_SLOT_S = 64.0
_SLOTS = 1 << 16


def features_of(nonce: str) -> int:
    """The 24 security feature bits of a nonce; 0 without the cookie."""
    if not nonce.startswith(NONCE_COOKIE):
        return 0
    try:
        bits = base64.b64decode(nonce[len(NONCE_COOKIE) :][:4], validate=True)
    except ValueError:
        return 0
    return int.from_bytes(bits, "big") if len(bits) == 3 else 0


class ChallengeTerms(NamedTuple):
    """What somebody else needs to make the same challenges (see `relay`).

    key: of the nonces, 32 bytes, never to be told. proof_bytes: of the hash in
    a nonce. features: security feature bits of a challenge with the offer.
    """

    key: bytes
    realm: bytes
    proof_bytes: int
    features: int


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
        self._realm = realm.encode()
        self._proof_bytes = 7 if size <= 8 else 4
        self._slots = max(1, int(lifetime_s / _SLOT_S))

    def terms(self, features: int) -> ChallengeTerms:
        """By which these nonces can be made elsewhere."""
        return ChallengeTerms(self._key, self._realm, self._proof_bytes, features)

    def make(self, client: Address, now: float, features: int = 0) -> str:
        """A nonce for this client: 8 or 12 characters, 13 more with features.

        features: the security feature bits of what is offered with it.
        """
        return self._text(int(now / _SLOT_S) % _SLOTS, client, features)

    def fresh(self, nonce: str, client: Address, now: float) -> bool:
        """Whether we made it for this client, and not too long ago."""
        features = features_of(nonce)
        stamped = nonce[len(NONCE_COOKIE) + 4 :] if features else nonce
        try:
            sent = binascii.a2b_base64(stamped, strict_mode=True)
        except ValueError:
            return False
        stamp = sent[:2]
        made = self._stamped(stamp, client, features)
        age = (int(now / _SLOT_S) - int.from_bytes(stamp, "big")) % _SLOTS
        return hmac.compare_digest(made, sent) and age <= self._slots

    def _stamped(self, stamp: bytes, client: Address, features: int) -> bytes:
        """The stamp and the proof of it."""
        bits = features.to_bytes(3, "big")
        port = client.port.to_bytes(2, "big")
        bound = stamp + bits + port + pack_host(client.host)
        # BLAKE2 keyed is a MAC by itself (RFC 7693), in half the time of HMAC
        proof = hashlib.blake2b(bound, key=self._key, digest_size=self._proof_bytes)
        return stamp + proof.digest()

    def _text(self, slot: int, client: Address, features: int) -> str:
        stamped = self._stamped(slot.to_bytes(2, "big"), client, features)
        text = binascii.b2a_base64(stamped, newline=False).decode()
        if not features:
            return text
        bits = features.to_bytes(3, "big")
        return NONCE_COOKIE + base64.b64encode(bits).decode() + text
