"""Coming in and being let in: join, room tokens, lobby, kick, chat history."""

from __future__ import annotations

from msgspec import UNSET

from mosaic.auth.interface import Door, Issued
from mosaic.auth.lobby import lobby_of
from mosaic.services.rest.documents import (
    Admission,
    ChatLine,
    Join,
    Joined,
    JoinedRoom,
    Lobby,
    Messages,
    MessagesQuery,
    NewToken,
    Waiting,
)
from mosaic.services.rest.operations import Call, Operation, Who
from mosaic.services.rest.rules import checked, shown_as_422
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.model import Role
from mosaic.workspace.names import display_name


class People:
    """Operations on those who are in a room or want to be.

    token_ttl_s: the life of a room token that does not say its own.
    """

    def __init__(self, *, door: Door, store: Store, token_ttl_s: float) -> None:
        self._door = door
        self._store = store
        self._token_ttl_s = token_ttl_s

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (*self._entry(), *self._inside())

    def _entry(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="joinRoom",
                method="POST",
                path="/rooms/{hub_id}/join",
                summary="Join with the PIN, or as a member with a session",
                tag="people",
                who=Who.ANYONE_OR_SESSION,
                run=self.join,
                body=Join,
                answer=Joined,
                refusals=(403, 423),
            ),
            Operation(
                id="makeRoomToken",
                method="POST",
                path="/rooms/{hub_id}/tokens",
                summary="Make a room token for a script or an invitation",
                tag="people",
                who=Who.HOST,
                run=self.make_token,
                body=NewToken,
                answer=Joined,
                status=201,
            ),
        )

    def _inside(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="showLobby",
                method="GET",
                path="/rooms/{hub_id}/lobby",
                summary="Who waits to be let in",
                tag="people",
                who=Who.HOST,
                run=self.lobby,
                answer=Lobby,
            ),
            Operation(
                id="admit",
                method="POST",
                path="/rooms/{hub_id}/lobby/{participant_id}",
                summary="Let somebody in, or turn them away",
                tag="people",
                who=Who.HOST,
                run=self.admit,
                body=Admission,
                status=204,
            ),
            Operation(
                id="kick",
                method="DELETE",
                path="/rooms/{hub_id}/participants/{participant_id}",
                summary="Put somebody out and revoke their token",
                tag="people",
                who=Who.HOST,
                run=self.kick,
                status=204,
            ),
            Operation(
                id="listMessages",
                method="GET",
                path="/rooms/{hub_id}/messages",
                summary="The chat, a page at a time",
                tag="people",
                who=Who.IN_ROOM,
                run=self.messages,
                query=MessagesQuery,
                answer=Messages,
            ),
        )

    async def join(self, call: Call, body: Join) -> Joined:
        """A room token for a guest or a member."""
        hub_id = call.path["hub_id"]
        issued = await self._door.join(
            hub_id,
            name=checked(display_name, body.name, field="name"),
            pin=body.pin,
            address=call.caller.address,
            session=call.caller.principal,
        )
        return await self._joined(hub_id, issued)

    async def make_token(self, call: Call, body: NewToken) -> Joined:
        """A token that is nobody's account, with a role."""
        hub_id = call.path["hub_id"]
        await self._store.room(hub_id)
        name = call.caller.known.name
        if body.name is not None:
            name = checked(display_name, body.name, field="name")
        with shown_as_422():
            issued = await self._door.room_token(
                hub_id,
                role=body.role,
                name=name,
                ttl_s=self._token_ttl_s if body.ttl_s is None else body.ttl_s,
                account=None,
            )
        return await self._joined(hub_id, issued)

    async def lobby(self, call: Call, body: None) -> Lobby:
        """Those who wait."""
        hub_id = call.path["hub_id"]
        await self._store.room(hub_id)
        return Lobby(
            waiting=[
                Waiting(participant_id=one.participant_id, name=one.name, hub=one.hub)
                for one in await lobby_of(self._store, hub_id)
            ]
        )

    async def admit(self, call: Call, body: Admission) -> None:
        """Let in with the role given, else the one that was meant."""
        hub_id, person = call.path["hub_id"], call.path["participant_id"]
        token = await self._store.participant_token(hub_id, person)
        if token is None or not token.waiting:
            raise NotFound("nobody of that id waits here")
        role = body.role or token.role or Role.EDITOR
        await self._door.admit(hub_id, person, role if body.admit else None)

    async def kick(self, call: Call, body: None) -> None:
        """Put out."""
        hub_id, person = call.path["hub_id"], call.path["participant_id"]
        if await self._store.participant_token(hub_id, person) is None:
            raise NotFound("nobody of that id is here")
        await self._door.kick(hub_id, person)

    async def messages(self, call: Call, body: None) -> Messages:
        """A page of history, oldest first."""
        hub_id = call.path["hub_id"]
        query: MessagesQuery = call.query
        await self._store.room(hub_id)
        before = None if query.before is UNSET else query.before
        found = await self._store.messages(hub_id, before=before, limit=query.limit)
        return Messages(
            messages=[
                ChatLine(
                    seq=line.seq,
                    message_id=line.message_id,
                    author_id=line.author_id,
                    author=line.author,
                    text=line.text,
                    at=line.at,
                    edited_at=line.edited_at,
                    retracted_at=line.retracted_at,
                )
                for line in found
            ]
        )

    async def _joined(self, hub_id: str, issued: Issued) -> Joined:
        room = await self._store.room(hub_id)
        who = issued.principal
        return Joined(
            token=issued.token,
            expires_at=who.expires_at,
            role=who.role,
            waiting=who.waiting,
            participant_id=who.participant_id,
            room=JoinedRoom(hub_id=room.hub_id, name=room.name),
        )
