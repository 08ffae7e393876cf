"""Time-limited TURN credentials: `expiry:id` and an HMAC of it.

The scheme that coturn, eturnal and the WebRTC services share
(draft-uberti-behave-turn-rest): no account is needed, any node that has the
secret can check, and nothing is stored but who was put out early. HMAC-SHA1
is what other programs mint and check; HMAC-SHA256 is the same with a hash of
today. Both pass here, whichever is minted.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mosaic.auth.turn_names import MintedNames

Hash = Literal["sha1", "sha256"]

LEEWAY_S = 60.0
"""Wall clocks differ; a credential lives this much longer than it says."""


CALL_BYTES = 3
"""Random bytes, in hexadecimal after the slash, that tell calls apart."""

KEPT = 1024
"""For how many usernames the passwords are remembered."""

_Known = tuple[int, str, tuple[str, ...]]
"""When a username expires, whose it is, and its passwords."""

FORMS: tuple[Hash, ...] = ("sha1", "sha256")


@dataclass(frozen=True, slots=True)
class MintedCredential:
    """What a client needs; expires_at in seconds since 1970."""

    username: str
    password: str
    expires_at: int


def password_of(secret: bytes, username: str, digest: Hash = "sha1") -> str:
    """base64(HMAC(secret, username)); with SHA-1 what every server expects."""
    return base64.b64encode(hmac.digest(secret, username.encode(), digest)).decode()


@lru_cache(maxsize=KEPT)
def owner_of(username: str) -> str:
    """The participant or account that a username was minted for.

    What follows a slash only tells one of its calls from another.
    """
    return username.partition(":")[2].partition("/")[0]


def is_of_a_call(username: str) -> bool:
    """Whether our own door minted it, for a call of somebody in the web client:
    such clients are told to come back when the server stops."""
    owner, slash, call = username.partition(":")[2].partition("/")
    return bool(owner and slash) and len(call) == CALL_BYTES * 2


def expiry_of(username: str) -> int | None:
    """Seconds since 1970, or None if the username is not of our form."""
    digits, _, owner = username.partition(":")
    if not owner or len(digits) > 12 or not (digits.isascii() and digits.isdecimal()):
        return None
    return int(digits)


class TurnSecrets:
    """Mints with the first secret, checks with all of them.

    secrets: at least one, the newest first; the others are on their way out.
    ttl_s: how long a credential lives. digest: the form that is minted.

    Raises ValueError without a secret.
    """

    def __init__(
        self, secrets: Sequence[bytes], *, ttl_s: int, digest: Hash = "sha1"
    ) -> None:
        self.replace(secrets)
        self._ttl_s = ttl_s
        self._digest: Hash = digest
        self._revoked: dict[str, float] = {}
        self._names = MintedNames()

    def replace(self, secrets: Sequence[bytes]) -> None:
        """Mint and check with these from now on. Raises ValueError without one."""
        if not secrets or not all(secrets):
            raise ValueError("TURN credentials need a secret")
        self._secrets = tuple(secrets)
        self._passwords: dict[str, _Known] = {}

    def mint_with(self, digest: Hash) -> None:
        """Mint the other form from now on."""
        self._digest = digest

    def mint(
        self, owner: str, now: float, ttl_s: int | None = None
    ) -> MintedCredential:
        """Credentials for a participant or account. now: seconds since 1970.

        ttl_s: another life than usual.
        """
        if not owner:
            raise ValueError("TURN credentials belong to somebody")
        expires_at = int(now) + (self._ttl_s if ttl_s is None else ttl_s)
        username = f"{expires_at}:{owner}"
        self._names.add(username)
        return MintedCredential(
            username, password_of(self._secrets[0], username, self._digest), expires_at
        )

    def passwords_for(self, username: str, now: float) -> tuple[str, ...]:
        """The passwords that a username may have had; none if it may not pass.

        TURN never sends the password but signs with it, so the server tries
        one for each secret and hash. Refused: another form, expired, revoked.
        """
        # Whether it may pass is asked every time, what it passes with is not:
        # that depends on the secrets alone, and `replace` forgets it.
        held = self._passwords.get(username)
        if held is None:
            expires_at = expiry_of(username)
            if expires_at is None or expires_at + LEEWAY_S <= now:
                return ()
            held = self._keep(username, expires_at)
        expires_at, owner, passwords = held
        if expires_at + LEEWAY_S <= now:
            return ()
        if self._revoked and expires_at <= self._revoked.get(owner, -1.0):
            return ()
        return passwords

    def _keep(self, username: str, expires_at: int) -> _Known:
        passwords = tuple(
            password_of(secret, username, digest)
            for secret in self._secrets
            for digest in FORMS
        )
        while len(self._passwords) >= KEPT:
            del self._passwords[next(iter(self._passwords))]
        known = expires_at, owner_of(username), passwords
        self._passwords[username] = known
        return known

    def username_of(self, digest: bytes, realm: str) -> str | None:
        """Whose USERHASH this is, if it was minted here; None for others."""
        return self._names.username_of(digest, realm)

    def check(self, username: str, password: str, now: float) -> bool:
        """Whether a username and password pass, in constant time."""
        sent = password.encode()
        matches = [
            hmac.compare_digest(sent, held.encode())
            for held in self.passwords_for(username, now)
        ]
        return any(matches)

    def revoke(self, owner: str, now: float) -> None:
        """Refuse everything minted for somebody until now.

        Kept in memory for as long as such a credential could live.
        """
        for name in [n for n, ends in self._revoked.items() if ends + LEEWAY_S <= now]:
            del self._revoked[name]
        self._revoked[owner] = int(now) + self._ttl_s
