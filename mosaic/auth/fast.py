"""Tokens for quick logins over XMPP (XEP-0484).

The mechanism needs the token itself as a key, so a digest of it would not do.
It is computed when it is needed, from a secret of the server that is not in the
database, the serial that is, and the verifier of the account's password: a new
password, or another account of the same name, makes other tokens of the same
rows. See docs/decisions/030-tokens-that-are-not-kept.md.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mosaic.store.interface import NotFound, Store
from mosaic.store.logins import StoredFastToken
from mosaic.wire.sasl.verifier import ScramVerifier

MAX_TOKENS = 50
"""Of one account; the oldest make room."""
SERIAL_BYTES = 16
ROTATE_AFTER = 0.25
"""Of its life; then a login brings the next token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FastToken:
    """A token as a login needs it. secret: what the client holds. expired: it is
    over. due: the client should get another."""

    secret: str
    serial: bytes
    mechanism: str
    expires_at: float
    expired: bool = False
    due: bool = False


class FastDesk:
    """Gives tokens out and finds them again. wall: Unix seconds now."""

    def __init__(
        self,
        store: Store,
        *,
        server_key: bytes,
        ttl_s: float,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._key = hmac.digest(server_key, b"XEP-0484 tokens", "sha256")
        self._ttl_s = ttl_s
        self._wall = wall

    async def find(self, account: str, client: bytes) -> list[FastToken]:
        """The client's tokens, also those that are over; none for an account
        that is not there, after the same questions to the store."""
        verifier = await self._store.verifier(account)
        rows = await self._store.fast_tokens(account, client)
        return [] if verifier is None else [self._token(r, verifier) for r in rows]

    async def issue(
        self, account: str, client: bytes, mechanism: str, *, keep: bytes | None
    ) -> FastToken | None:
        """A fresh token, in place of the client's others except the one in use;
        None if the account has gone meanwhile."""
        verifier = await self._store.verifier(account)
        if verifier is None:
            return None
        now = self._wall()
        row = StoredFastToken(
            account=account,
            client=client,
            serial=secrets.token_bytes(SERIAL_BYTES),
            mechanism=mechanism,
            created_at=now,
            expires_at=now + self._ttl_s,
        )
        try:
            await self._store.add_fast_token(row, keep=keep, most=MAX_TOKENS)
        except NotFound:
            return None
        return self._token(row, verifier)

    async def used(self, serial: bytes, *, count: int | None) -> bool:
        """Note a login by it: False if it must not count (section 3.4)."""
        return await self._store.use_fast_token(serial, count=count)

    async def revoke(self, serial: bytes) -> None:
        """The client will not use it again."""
        await self._store.remove_fast_token(serial)

    async def forget_expired(self) -> int:
        """Remove what is over; how many."""
        return await self._store.remove_fast_tokens(expired_before=self._wall())

    def _token(self, row: StoredFastToken, verifier: ScramVerifier) -> FastToken:
        subject = b"\0".join((row.account.encode(), row.mechanism.encode()))
        parts = row.serial + row.client + verifier.stored_key + subject
        secret = hmac.digest(self._key, parts, "sha256")
        now = self._wall()
        age = now - row.created_at
        return FastToken(
            secret=base64.urlsafe_b64encode(secret).decode().rstrip("="),
            serial=row.serial,
            mechanism=row.mechanism,
            expires_at=row.expires_at,
            expired=now >= row.expires_at,
            due=age >= ROTATE_AFTER * (row.expires_at - row.created_at),
        )
