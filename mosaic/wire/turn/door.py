"""Who may ask: long-term credentials of RFC 8489 section 9.2, server side.

Clients of RFC 5389 and RFC 5766 (MD5 key, SHA-1 integrity) pass the same door;
what a client is offered depends on the room there is (see `nonce`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import MD5, SHA256, Attribute, ErrorCode
from mosaic.wire.stun.credentials import long_term_key, long_term_key_sha256
from mosaic.wire.stun.errors import MalformedAttribute
from mosaic.wire.stun.message import Class, Message, Method, encode
from mosaic.wire.turn.nonce import (
    ANONYMITY_BIT,
    PASSWORD_ALGORITHMS_BIT,
    ChallengeTerms,
    Nonces,
    features_of,
)
from mosaic.wire.turn.refusals import BadRequest, StaleNonce, Unauthorized
from mosaic.wire.turn.request import Request

OFFERED = (SHA256, MD5)
"""PASSWORD-ALGORITHMS, the better one first."""

_ALGORITHMS = {stun.PASSWORD_ALGORITHMS.code, stun.PASSWORD_ALGORITHM.code}

PasswordsFor = Callable[[str, float], Sequence[str]]
"""The passwords that a username may have at a time: none if it is unknown,
expired or revoked, several while secrets are rotated."""

UsernameOf = Callable[[bytes], str | None]
"""The username that a USERHASH stands for, if anybody knows it."""

_Attributes = list[tuple[Attribute[Any], Any]]


class Door:
    """Challenges strangers and knows who has answered one.

    offer_bytes: how long a challenge with the offer is, without fingerprint.
    username_of: without it the anonymity feature is not offered, and a
    USERHASH is nobody's.
    """

    def __init__(
        self,
        *,
        realm: str,
        passwords_for: PasswordsFor,
        username_of: UsernameOf | None,
        nonces: Nonces,
    ) -> None:
        self._realm = realm
        self._passwords_for = passwords_for
        self._username_of = username_of
        self._nonces = nonces
        self._features = PASSWORD_ALGORITHMS_BIT
        if username_of is not None:
            self._features |= ANONYMITY_BIT
        nobody = Address("192.0.2.1", 0)
        self.offer_bytes = len(
            encode(
                Method.ALLOCATE,
                Class.ERROR,
                bytes(12),
                [
                    (stun.ERROR_CODE, ErrorCode(401)),
                    *self.challenge(nobody, 0.0, offer=True),
                ],
            )
        )

    def terms(self) -> ChallengeTerms:
        """What `challenge` is made of."""
        return self._nonces.terms(self._features)

    def challenge(self, client: Address, now: float, *, offer: bool) -> _Attributes:
        """What follows ERROR-CODE in a 401 or 438, with or without the offer."""
        if not offer:
            nonce = self._nonces.make(client, now)
            return [(stun.REALM, self._realm), (stun.NONCE, nonce)]
        return [
            (stun.REALM, self._realm),
            (stun.NONCE, self._nonces.make(client, now, self._features)),
            (stun.PASSWORD_ALGORITHMS, OFFERED),
        ]

    def authenticate(
        self, message: Message, five_tuple: FiveTuple, now: float
    ) -> Request:
        """The request with its key, checked in the order of section 9.2.4.

        Raises Refusal: 401, 400 or 438.
        """
        if message.digest is None:
            raise Unauthorized
        try:
            return self._check(message, five_tuple, now)
        except MalformedAttribute as error:
            raise BadRequest from error

    def holds(self, username: str, key: bytes, now: float) -> bool:
        """Whether an MD5 key is one that the username has at this time."""
        passwords = self._passwords_for(username, now)
        made = [long_term_key(username, self._realm, held) for held in passwords]
        return key in made

    def _check(self, message: Message, five_tuple: FiveTuple, now: float) -> Request:
        username = message.first(stun.USERNAME)
        digest = message.first(stun.USERHASH)
        realm = message.first(stun.REALM)
        nonce = message.first(stun.NONCE)
        if (username is None and digest is None) or realm is None or nonce is None:
            raise BadRequest
        if message.sha256_at >= 0 and message.is_truncated:
            raise BadRequest
        make_key = self._algorithm(message, nonce)
        if username is None and digest is not None and self._username_of is not None:
            username = self._username_of(digest)
        if username is None or realm != self._realm:
            raise Unauthorized
        for password in self._passwords_for(username, now):
            key = make_key(username, realm, password)
            if message.verify(key):
                break
        else:
            raise Unauthorized
        if not self._nonces.fresh(nonce, five_tuple.client, now):
            raise StaleNonce
        return Request(message, five_tuple, now, username, key)

    @staticmethod
    def _algorithm(message: Message, nonce: str) -> Callable[[str, str, str], bytes]:
        """How the key is made; raises BadRequest if the offer came back changed.

        With neither attribute it is MD5: a client of RFC 5389, which passes
        over the offer. With an offer that we did not make, or one changed on
        its way, somebody bids down: 400.
        """
        if not message.values.keys() & _ALGORITHMS:
            return long_term_key
        listed = message.first(stun.PASSWORD_ALGORITHMS)
        chosen = message.first(stun.PASSWORD_ALGORITHM)
        offered = features_of(nonce) & PASSWORD_ALGORITHMS_BIT
        if not offered or listed != OFFERED or chosen not in OFFERED:
            raise BadRequest
        return long_term_key_sha256 if chosen == SHA256 else long_term_key
