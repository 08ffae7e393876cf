"""Accounts: for administrators, and one's own password."""

from __future__ import annotations

from mosaic.auth.interface import Door, Forbidden
from mosaic.services.rest.documents import NewPassword, NewUser, User, Users
from mosaic.services.rest.operations import Call, Operation, Who
from mosaic.services.rest.rules import checked, shown_as_422
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.model import Account
from mosaic.workspace.names import account_name


def user_view(account: Account) -> User:
    """An account as the API shows it."""
    return User(name=account.name, admin=account.admin, created_at=account.created_at)


def path_account(text: str) -> str:
    """An account's name from a path in its kept form; NotFound for no name."""
    try:
        return account_name(text)
    except ValueError:
        raise NotFound("no such account") from None


class UserAccounts:
    """Operations on accounts."""

    def __init__(self, *, door: Door, store: Store) -> None:
        self._door = door
        self._store = store

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="listUsers",
                method="GET",
                path="/users",
                summary="List the accounts",
                tag="users",
                who=Who.ADMIN,
                run=self.list,
                answer=Users,
            ),
            Operation(
                id="addUser",
                method="POST",
                path="/users",
                summary="Make an account",
                tag="users",
                who=Who.ADMIN,
                run=self.add,
                body=NewUser,
                answer=User,
                status=201,
                refusals=(409,),
            ),
            Operation(
                id="removeUser",
                method="DELETE",
                path="/users/{name}",
                summary="Remove an account with its tokens and memberships",
                tag="users",
                who=Who.ADMIN,
                run=self.remove,
                status=204,
                refusals=(409,),
            ),
            Operation(
                id="setPassword",
                method="PUT",
                path="/users/{name}/password",
                summary="Set a password: an administrator's, or one's own",
                tag="users",
                who=Who.SESSION,
                run=self.set_password,
                body=NewPassword,
                status=204,
            ),
        )

    async def list(self, call: Call, body: None) -> Users:
        """All accounts, by name."""
        return Users(users=[user_view(one) for one in await self._store.accounts()])

    async def add(self, call: Call, body: NewUser) -> User:
        """Make one; NameTaken is a 409."""
        name = checked(account_name, body.name, field="name")
        with shown_as_422():
            account = await self._door.add_account(
                name, body.password, admin=body.admin
            )
        return user_view(account)

    async def remove(self, call: Call, body: None) -> None:
        """Remove one, but never the last administrator."""
        await self._door.remove_account(path_account(call.path["name"]))

    async def set_password(self, call: Call, body: NewPassword) -> None:
        """Change a password; every token of the account ends."""
        name = path_account(call.path["name"])
        who = call.caller.known
        if not who.admin and who.account != name:
            raise Forbidden("this is somebody else's account")
        await self._store.account(name)
        with shown_as_422():
            await self._door.set_password(name, body.password)
