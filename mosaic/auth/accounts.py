"""People with accounts: logging in, the first administrator, passwords."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred

from mosaic.auth.interface import (
    InvalidToken,
    Issued,
    LastAdministrator,
    WrongCredentials,
)
from mosaic.auth.issue import TokenDesk
from mosaic.auth.passwords import (
    check_against,
    check_password,
    fake_verifier,
    new_verifier,
)
from mosaic.auth.tries import Tries
from mosaic.auth.turns import KeyedLocks
from mosaic.bus.interface import Bus
from mosaic.store.interface import NotFound, Store
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.hubs import hub_of_account
from mosaic.workspace.model import Account
from mosaic.workspace.names import account_name

P = ParamSpec("P")
R = TypeVar("R")


class RunInThread(Protocol):
    """Like deferToThread: PBKDF2 must not hold up the reactor."""

    def __call__(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[R]:
        """Run the function elsewhere and fire with its result."""


class AccountDesk:
    """Accounts of the house. server_key: secret bytes, the same after a restart."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        tokens: TokenDesk,
        tries: Tries,
        locks: KeyedLocks,
        *,
        server_key: bytes,
        iterations: int,
        scram_sha_1: bool,
        run_in_thread: RunInThread,
    ) -> None:
        self._store = store
        self._bus = bus
        self._tokens = tokens
        self._tries = tries
        self._locks = locks
        self._server_key = server_key
        self._iterations = iterations
        self._scram_sha_1 = scram_sha_1
        self._run_in_thread = run_in_thread

    async def log_in(self, name: str, password: str, *, address: str) -> Issued:
        """A session token. Unknown accounts cost and answer like wrong passwords."""
        async with self._tries.turn(account=name, address=address):
            verifier = await self.scram_verifier(name)
            fits = await self._run_in_thread(check_against, verifier, password)
            account = await self._find(name)
            if not fits or account is None:
                self._tries.note_failure(account=name, address=address)
                raise WrongCredentials("wrong name or password")
            self._tries.note_success(account=name, address=address)
        return await self._tokens.session(account.name, admin=account.admin)

    async def scram_verifier(self, name: str) -> ScramVerifier:
        """The account's verifier, or a fake one that nobody can tell from it."""
        try:
            kept = account_name(name)
        except ValueError:
            kept = name[:64]
        stored = await self._store.verifier(kept)
        fake = fake_verifier(kept, key=self._server_key, iterations=self._iterations)
        return fake if stored is None else stored

    async def scram_sha_1_verifier(self, name: str) -> ScramVerifier:
        """The same for SCRAM-SHA-1: fake too for accounts that have none yet."""
        try:
            kept = account_name(name)
        except ValueError:
            kept = name[:64]
        stored = await self._store.scram_sha_1(kept)
        fake = fake_verifier(
            kept, key=self._server_key, iterations=self._iterations, digest="sha1"
        )
        return fake if stored is None else stored

    async def set_up(self, code: str, name: str, password: str) -> Issued:
        """Make the first administrator.

        Raises InvalidToken when the code is unknown, used, or of no use any
        more; NameTaken and ValueError leave it usable.
        """
        async with self._locks.hold("set up"):
            stored = await self._tokens.find(code)
            if stored.kind != "setup" or await self.has_administrator():
                raise InvalidToken("this setup link is not valid any more")
            account = await self.add(name, password, admin=True)
            await self._tokens.revoke(code)
        return await self._tokens.session(account.name, admin=True)

    async def new_setup_code(self) -> str | None:
        """A fresh one-time code, or None once there is an administrator."""
        if await self.has_administrator():
            return None
        return await self._tokens.setup_code()

    async def has_administrator(self) -> bool:
        """Whether anybody can administer the house."""
        return any(account.admin for account in await self._store.accounts())

    async def add(self, name: str, password: str, *, admin: bool) -> Account:
        """A new account, and tell. Raises NameTaken, ValueError."""
        kept = account_name(name)
        if hub_of_account(kept) is not None:
            raise ValueError(f"names like {kept} belong to hubs")
        account = await self._store.add_account(
            kept, await self._derive(password), admin=admin
        )
        await self._keep_second(kept, password)
        self._bus.publish("accounts", {"type": "added"})
        return account

    async def set_password(self, name: str, password: str) -> None:
        """Change it, revoke the tokens, and tell. Raises NotFound, ValueError."""
        kept = account_name(name)
        await self._store.set_verifier(kept, await self._derive(password))
        await self._keep_second(kept, password)
        self._bus.publish(f"account.{kept}", {"type": "password"})

    async def remove(self, name: str, *, last_admin: bool = False) -> None:
        """Remove an account and tell.

        last_admin: whether even the last administrator may go. Raises NotFound,
        LastAdministrator, ValueError.
        """
        kept = account_name(name)
        async with self._locks.hold("administrators"):
            accounts = await self._store.accounts()
            admins = [one.name for one in accounts if one.admin]
            if admins == [kept] and not last_admin:
                raise LastAdministrator
            await self._store.remove_account(kept)
        self._bus.publish(f"account.{kept}", {"type": "removed"})

    async def _derive(self, password: str) -> ScramVerifier:
        check_password(password)
        return await self._run_in_thread(
            new_verifier, password, iterations=self._iterations
        )

    async def _keep_second(self, kept: str, password: str) -> None:
        """SCRAM-SHA-1's, if the operator wants it. The one of the password before
        is dead already: it belongs to another first one."""
        if self._scram_sha_1:
            second = await self._run_in_thread(
                new_verifier, password, iterations=self._iterations, digest="sha1"
            )
            await self._store.set_scram_sha_1(kept, second)

    async def _find(self, name: str) -> Account | None:
        """The account, by the same steps whether it exists or not."""
        try:
            return await self._store.account(account_name(name))
        except (NotFound, ValueError):
            return None
