"""Giving out tokens and reading them back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from mosaic.auth import tokens
from mosaic.auth.interface import InvalidToken, Issued
from mosaic.config.settings import Auth
from mosaic.store.interface import NotFound, Store, StoredToken
from mosaic.workspace.ids import new_participant_id
from mosaic.workspace.model import Principal, Role

LEEWAY_S = 60.0
"""Wall clocks step and drift: a token lives this much longer than it says."""

MAX_ROOM_TOKEN_S = 366 * 86_400.0
SEAT = "seat"
"""The kind of a room token that a hub was given: which hub is in its HubSeat."""


class TokenDesk:
    """Mints, finds and revokes tokens. wall: Unix seconds now."""

    def __init__(
        self, store: Store, settings: Auth, *, wall: Callable[[], float]
    ) -> None:
        self._store = store
        self._settings = settings
        self._wall = wall

    async def session(self, account: str, *, admin: bool) -> Issued:
        """A session token for an account."""
        now = self._wall()
        draft = StoredToken(
            digest=b"",
            kind="session",
            name=account,
            account=account,
            hub_id=None,
            role=None,
            participant_id="",
            created_at=now,
            expires_at=now + self._settings.session_ttl_s,
        )
        return await self._issue(draft, admin=admin)

    async def room(
        self,
        hub_id: str,
        *,
        name: str,
        account: str | None,
        role: Role,
        waiting: bool = False,
        ttl_s: float | None = None,
        hub: str | None = None,
    ) -> Issued:
        """A token for one participant of one room. hub: the room box that takes
        the seat; the caller keeps it as a HubSeat.

        It never carries administrator's rights, so that one which leaks with
        a link opens that room alone. Raises NotFound, ValueError (ttl_s).
        """
        if ttl_s is None:
            ttl_s = self._settings.room_token_ttl_s
        if not 0 < ttl_s <= MAX_ROOM_TOKEN_S:
            raise ValueError("a room token lives between a second and a year")
        now = self._wall()
        draft = StoredToken(
            digest=b"",
            kind="room" if hub is None else SEAT,
            name=name,
            account=account,
            hub_id=hub_id,
            role=role,
            participant_id=new_participant_id(secrets.randbelow),
            created_at=now,
            expires_at=now + ttl_s,
            waiting=waiting,
        )
        return await self._issue(draft, admin=False, hub=hub)

    async def setup_code(self) -> str:
        """A one-time code that makes the first administrator."""
        now = self._wall()
        draft = StoredToken(
            digest=b"",
            kind="setup",
            name="",
            account=None,
            hub_id=None,
            role=None,
            participant_id="",
            created_at=now,
            expires_at=now + self._settings.session_ttl_s,
        )
        return (await self._issue(draft, admin=False)).token

    async def find(self, token: str) -> StoredToken:
        """What is stored of a token that still lives. Raises InvalidToken."""
        if not tokens.is_well_formed(token):
            raise InvalidToken("this token is not valid")
        stored = await self._store.token(tokens.digest(token))
        if stored is None or self._wall() > stored.expires_at + LEEWAY_S:
            raise InvalidToken("this token is not valid any more")
        return stored

    async def principal(self, token: str) -> Principal:
        """Who a session or room token speaks for. Raises InvalidToken."""
        stored = await self.find(token)
        if stored.kind not in {"session", "room", SEAT}:
            raise InvalidToken("this token is not valid")
        admin, hub = False, None
        if stored.kind == SEAT:
            seat = await self._store.hub_seat(stored.participant_id)
            hub = None if seat is None else seat.hub_id
        if stored.kind == "session" and stored.account is not None:
            try:
                admin = (await self._store.account(stored.account)).admin
            except NotFound:
                raise InvalidToken("this account was removed") from None
        return _principal(stored, admin=admin, hub=hub)

    async def revoke(self, token: str) -> None:
        """Forget a token; unknown ones are no error."""
        await self._store.remove_token(tokens.digest(token))

    async def prolong(self, token: str) -> float:
        """Let a room token live as long again as a new one; until when.

        Raises NotFound.
        """
        expires_at = self._wall() + self._settings.room_token_ttl_s
        await self._store.prolong_token(tokens.digest(token), expires_at)
        return expires_at

    async def forget_expired(self) -> int:
        """Remove tokens that can never be used again; how many."""
        return await self._store.remove_tokens(expired_before=self._wall() - LEEWAY_S)

    async def _issue(
        self, draft: StoredToken, *, admin: bool, hub: str | None = None
    ) -> Issued:
        token = tokens.mint()
        stored = replace(draft, digest=tokens.digest(token))
        await self._store.add_token(stored)
        principal = _principal(stored, admin=admin, hub=hub)
        return Issued(token=token, principal=principal)


def _principal(
    stored: StoredToken, *, admin: bool, hub: str | None = None
) -> Principal:
    return Principal(
        name=stored.name,
        account=stored.account,
        admin=admin,
        hub_id=stored.hub_id,
        role=stored.role,
        participant_id=stored.participant_id,
        expires_at=stored.expires_at,
        waiting=stored.waiting,
        hub=hub,
    )
