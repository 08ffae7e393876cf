"""Logging in and out, the first administrator, and who a token is."""

from __future__ import annotations

from mosaic.auth.interface import Door, Issued
from mosaic.services.rest.documents import LogIn, Me, Session, SetUp, User
from mosaic.services.rest.operations import Call, Operation, Who
from mosaic.services.rest.rules import shown_as_422
from mosaic.store.interface import Store


class Sessions:
    """Operations on sessions."""

    def __init__(self, *, door: Door, store: Store) -> None:
        self._door = door
        self._store = store

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="logIn",
                method="POST",
                path="/sessions",
                summary="Log in with an account's name and password",
                tag="sessions",
                who=Who.ANYONE,
                run=self.log_in,
                body=LogIn,
                answer=Session,
                status=201,
                refusals=(401,),
            ),
            Operation(
                id="logOut",
                method="DELETE",
                path="/sessions/current",
                summary="Revoke the token that is shown",
                tag="sessions",
                who=Who.TOKEN,
                run=self.log_out,
                status=204,
            ),
            Operation(
                id="whoAmI",
                method="GET",
                path="/me",
                summary="Who the token speaks for",
                tag="sessions",
                who=Who.TOKEN,
                run=self.me,
                answer=Me,
            ),
            Operation(
                id="setUp",
                method="POST",
                path="/setup",
                summary="Make the first administrator with the one-time code",
                tag="sessions",
                who=Who.ANYONE,
                run=self.set_up,
                body=SetUp,
                answer=Session,
                status=201,
                refusals=(401, 409),
            ),
        )

    async def log_in(self, call: Call, body: LogIn) -> Session:
        """A session token for a password."""
        issued = await self._door.log_in(
            body.name, body.password, address=call.caller.address
        )
        return await self._session(issued)

    async def log_out(self, call: Call, body: None) -> None:
        """Revoke the caller's own token."""
        if call.caller.token is not None:
            await self._door.log_out(call.caller.token)

    async def me(self, call: Call, body: None) -> Me:
        """Show the principal."""
        who = call.caller.known
        return Me(
            name=who.name,
            account=who.account,
            admin=who.admin,
            hub_id=who.hub_id,
            role=who.role,
            participant_id=who.participant_id,
            expires_at=who.expires_at,
            waiting=who.waiting,
        )

    async def set_up(self, call: Call, body: SetUp) -> Session:
        """The first administrator, logged in."""
        with shown_as_422():
            issued = await self._door.set_up(body.code, body.name, body.password)
        return await self._session(issued)

    async def _session(self, issued: Issued) -> Session:
        who = issued.principal
        account = await self._store.account(who.account or who.name)
        return Session(
            token=issued.token,
            expires_at=who.expires_at,
            account=User(
                name=account.name, admin=account.admin, created_at=account.created_at
            ),
        )
