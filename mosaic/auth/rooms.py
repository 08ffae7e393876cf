"""Rooms: who comes in, as what, through the lobby or not, and who must go."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mosaic.auth.interface import (
    Forbidden,
    Issued,
    RoomUnavailable,
    WrongCredentials,
)
from mosaic.auth.issue import TokenDesk
from mosaic.auth.tries import ROOM, Tries
from mosaic.bus.interface import Bus, Payload
from mosaic.store.interface import NameTaken, NotFound, Store, StoredToken
from mosaic.workspace.ids import new_hub_id, new_pin, parse_hub_id, parse_pin
from mosaic.workspace.model import Principal, Role, Room
from mosaic.workspace.names import display_name, room_alias, room_name

_HUB_ID_TRIES = 8
_NO_PIN = "------"
"""Compared where there is no room; parse_pin lets no such text through."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """As what somebody may come in. known: a member, owner or administrator."""

    room: Room
    role: Role
    known: bool


class RoomDesk:
    """Joining, admitting and showing the door. wall: Unix seconds now."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        tokens: TokenDesk,
        tries: Tries,
        *,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._bus = bus
        self._tokens = tokens
        self._tries = tries
        self._wall = wall

    async def create(
        self,
        name: str,
        *,
        owner: str | None,
        alias: str | None = None,
        open_to_accounts: bool = False,
    ) -> Room:
        """A new room. Raises NameTaken for the alias, ValueError."""
        kept_name = room_name(name)
        kept_alias = None if alias is None else room_alias(alias)
        for _ in range(_HUB_ID_TRIES):
            room = Room(
                hub_id=new_hub_id(secrets.randbelow),
                name=kept_name,
                pin=new_pin(secrets.randbelow),
                created_at=self._wall(),
                owner=owner,
                alias=kept_alias,
                open_to_accounts=open_to_accounts,
            )
            try:
                await self._store.add_room(room)
            except NameTaken:
                if kept_alias is not None and await self._alias_is_taken(kept_alias):
                    raise
                continue
            return room
        raise NameTaken("no free Hub ID was found")

    async def join(
        self,
        hub_id: str,
        *,
        name: str,
        pin: str | None,
        address: str,
        session: Principal | None = None,
    ) -> Issued:
        """A room token for a member (by session) or anybody else (by PIN).

        Raises WrongCredentials, TryLater, RoomUnavailable, Forbidden (banned),
        ValueError (name).
        """
        account = session.account if session is not None else None
        shown = display_name(name or account or "")
        entry = await self._member_entry(hub_id, session)
        if entry is None:
            entry = await self._open_entry(hub_id, session)
        if entry is None:
            entry = await self._pin_entry(hub_id, pin, address)
        _check_open(entry)
        if not entry.known and account is not None:
            await self._check_ban(entry.room.hub_id, account)
        waiting = entry.room.lobby and not entry.known
        issued = await self._tokens.room(
            entry.room.hub_id,
            name=shown,
            account=account,
            role=entry.role,
            waiting=waiting,
        )
        if waiting:
            self.tell_waiting(entry.room.hub_id, issued.principal)
        return issued

    async def token(
        self, hub_id: str, *, role: Role, name: str, ttl_s: float, account: str | None
    ) -> Issued:
        """A room token with the role. Raises NotFound, ValueError."""
        room = await self._store.room(hub_id)
        return await self._tokens.room(
            room.hub_id,
            name=display_name(name),
            account=account,
            role=role,
            ttl_s=ttl_s,
        )

    async def role_in(self, principal: Principal, hub_id: str) -> Role | None:
        """The role somebody has in a room now; None while in the lobby.

        A room token counts for its own room alone.
        """
        if principal.hub_id is not None:
            here = principal.hub_id == hub_id and not principal.waiting
            return principal.role if here else None
        try:
            members = await self._store.members(hub_id)
        except NotFound:
            return None
        if principal.admin:
            return Role.HOST
        return members.get(principal.account) if principal.account else None

    async def admit(self, hub_id: str, participant_id: str, role: Role | None) -> None:
        """Let in with a role, refuse (None), or change a role. Raises NotFound."""
        token = await self._participant(hub_id, participant_id)
        if role is None:
            if not token.waiting:
                raise NotFound("nobody of that id is waiting")
            await self._store.remove_token(token.digest)
            self._tell(hub_id, "refused", participant_id)
            return
        await self._store.update_token(token.digest, role=role, waiting=False)
        kind = "admitted" if token.waiting else "role"
        self._tell(hub_id, kind, participant_id, role=role.value)

    async def kick(self, hub_id: str, participant_id: str) -> None:
        """Revoke the participant's token and tell the room. Raises NotFound."""
        token = await self._participant(hub_id, participant_id)
        await self._store.remove_token(token.digest)
        self._tell(hub_id, "kicked", participant_id)

    def tell_waiting(self, hub_id: str, who: Principal) -> None:
        """Somebody stands in the lobby."""
        self._tell(hub_id, "waiting", who.participant_id, name=who.name)

    # ----------------------------------------------------------------------
    async def _member_entry(
        self, hub_id: str, session: Principal | None
    ) -> _Entry | None:
        """How a session of a member, the owner or an administrator comes in."""
        if session is None or session.hub_id is not None:
            return None
        try:
            parsed = parse_hub_id(hub_id)
            role = await self.role_in(session, parsed)
            if role is None:
                return None
            room = await self._store.room(parsed)
        except (ValueError, NotFound):
            return None
        return _Entry(room, role, known=True)

    async def _pin_entry(self, hub_id: str, pin: str | None, address: str) -> _Entry:
        """How the right PIN comes in; all wrong ones look and cost alike."""
        account = ROOM + _digits(hub_id)
        async with self._tries.turn(account=account, address=address):
            room = await self._find(hub_id)
            expected = _NO_PIN if room is None else room.pin
            fits = hmac.compare_digest(expected.encode(), _typed(pin).encode())
            if room is None or not fits:
                if pin is not None:
                    self._tries.note_failure(account=account, address=address)
                raise WrongCredentials("wrong Hub ID or PIN")
            self._tries.note_success(account=account, address=address)
        return _Entry(room, _newcomer(room), known=False)

    async def _open_entry(
        self, hub_id: str, session: Principal | None
    ) -> _Entry | None:
        """How an account comes into a room that is open to accounts."""
        if session is None or session.hub_id is not None or session.account is None:
            return None
        room = await self._find(hub_id)
        if room is None or not room.open_to_accounts:
            return None
        return _Entry(room, _newcomer(room), known=False)

    async def _check_ban(self, hub_id: str, account: str) -> None:
        """Raises Forbidden; told to those alone who know the PIN."""
        if account in await self._store.banned(hub_id):
            raise Forbidden("a host of this room has shut you out")

    async def _find(self, hub_id: str) -> Room | None:
        try:
            return await self._store.room(_digits(hub_id))
        except NotFound:
            return None

    async def _alias_is_taken(self, alias: str) -> bool:
        try:
            await self._store.room_by_alias(alias)
        except NotFound:
            return False
        return True

    async def _participant(self, hub_id: str, participant_id: str) -> StoredToken:
        token = await self._store.participant_token(hub_id, participant_id)
        if token is None:
            raise NotFound("nobody of that id is in the room")
        return token

    def _tell(self, hub_id: str, kind: str, participant_id: str, **more: str) -> None:
        payload: Payload = {"type": kind, "participant_id": participant_id, **more}
        self._bus.publish(f"room.{hub_id}.people", payload)


def _check_open(entry: _Entry) -> None:
    """Closed refuses everyone, locked all but hosts. Raises RoomUnavailable."""
    if entry.room.closed_at is not None:
        raise RoomUnavailable("closed")
    if entry.room.locked and entry.role is not Role.HOST:
        raise RoomUnavailable("locked")


def _newcomer(room: Room) -> Role:
    """As what somebody comes in who has no standing role."""
    return Role.VIEWER if room.moderated else Role.EDITOR


def _digits(hub_id: str) -> str:
    try:
        return parse_hub_id(hub_id)
    except ValueError:
        return hub_id[:32]


def _typed(pin: str | None) -> str:
    try:
        return parse_pin(pin or "")
    except ValueError:
        return ""
