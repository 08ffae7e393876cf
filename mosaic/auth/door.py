"""The door of the house: everything that auth.interface.Door promises."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from mosaic.auth.accounts import AccountDesk, RunInThread
from mosaic.auth.backoff import Backoff, address_key
from mosaic.auth.fast import FastDesk
from mosaic.auth.hubs import HubDesk
from mosaic.auth.interface import Forbidden, Issued, TurnCredentials
from mosaic.auth.issue import TokenDesk
from mosaic.auth.rooms import RoomDesk
from mosaic.auth.tries import Tries
from mosaic.auth.turn_credentials import CALL_BYTES
from mosaic.auth.turns import KeyedLocks
from mosaic.bus.interface import Bus
from mosaic.config.settings import Auth, Hubs
from mosaic.store.interface import Store
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.wire.turn.visitors import LIFETIME_S, visitor
from mosaic.workspace.hubs import hub_of_account
from mosaic.workspace.model import Account, Principal, Role, Room


class CredentialMinter(Protocol):
    """Makes TURN credentials (an HMAC over the user name)."""

    def mint(self, subject: str, *, now: float, ttl_s: int) -> tuple[str, str]:
        """User name and credential for somebody. now: Unix seconds."""


class HouseDoor:
    """One Door over a store and a bus.

    clock: the reactor's, for back-off. wall: Unix seconds now, for expiry.
    server_key: secret bytes that stay the same after a restart. turn_urls:
    the TURN URLs that a client which reached us at `host` should try.
    scram_sha_1: whether new passwords get a second verifier.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        *,
        clock: IReactorTime,
        wall: Callable[[], float],
        settings: Auth,
        server_key: bytes,
        run_in_thread: RunInThread,
        credentials: CredentialMinter,
        credential_ttl_s: int,
        turn_urls: Callable[[str], tuple[str, ...]],
        scram_sha_1: bool = False,
        hubs: Hubs = Hubs(),  # noqa: B008 - frozen
    ) -> None:
        self._wall = wall
        self._credentials = credentials
        self._credential_ttl_s = credential_ttl_s
        self._turn_urls = turn_urls
        backoff = Backoff(
            tries=settings.tries,
            first_s=settings.backoff_s,
            max_s=settings.max_backoff_s,
        )
        locks = KeyedLocks(clock)
        self._tries = Tries(backoff, locks, clock)
        self._tokens = TokenDesk(store, settings, wall=wall)
        self._accounts = AccountDesk(
            store,
            bus,
            self._tokens,
            self._tries,
            locks,
            server_key=server_key,
            iterations=settings.scram_iterations,
            scram_sha_1=scram_sha_1,
            run_in_thread=run_in_thread,
        )
        self.fast = FastDesk(
            store, server_key=server_key, ttl_s=settings.fast_token_ttl_s, wall=wall
        )
        self._rooms = RoomDesk(store, bus, self._tokens, self._tries, wall=wall)
        self.hubs = HubDesk(
            store,
            bus,
            self._tokens,
            self._rooms,
            self._tries,
            hubs,
            clock=clock,
            wall=wall,
            server_key=server_key,
            run_in_thread=run_in_thread,
        )

    # Sessions -------------------------------------------------------------
    async def log_in(self, name: str, password: str, *, address: str) -> Issued:
        """A session token. Raises WrongCredentials or TryLater."""
        return await self._accounts.log_in(name, password, address=address)

    async def log_out(self, token: str) -> None:
        """Revoke a token."""
        await self._tokens.revoke(token)

    async def principal(self, token: str) -> Principal:
        """Who it is. Raises InvalidToken."""
        return await self._tokens.principal(token)

    async def forget_expired(self) -> int:
        """Remove tokens that can never be used again; how many."""
        tokens = await self._tokens.forget_expired() + await self.fast.forget_expired()
        return tokens + await self.hubs.forget_expired()

    # Accounts -------------------------------------------------------------
    async def new_setup_code(self) -> str | None:
        """A one-time code, or None once there is an administrator."""
        return await self._accounts.new_setup_code()

    async def set_up(self, code: str, name: str, password: str) -> Issued:
        """Make the first administrator. Raises InvalidToken, NameTaken, ValueError."""
        return await self._accounts.set_up(code, name, password)

    async def add_account(self, name: str, password: str, *, admin: bool) -> Account:
        """Raises NameTaken, ValueError for a bad name or password."""
        return await self._accounts.add(name, password, admin=admin)

    async def set_password(self, name: str, password: str) -> None:
        """Change it and revoke the account's tokens. Raises NotFound, ValueError."""
        await self._accounts.set_password(name, password)

    async def remove_account(self, name: str, *, last_admin: bool = False) -> None:
        """Remove it and its tokens, and tell.

        last_admin: whether even the last administrator may go. Raises NotFound,
        LastAdministrator, ValueError.
        """
        await self._accounts.remove(name, last_admin=last_admin)

    async def scram_verifier(self, name: str) -> ScramVerifier:
        """The account's verifier; for unknown names a fake one."""
        if hub_of_account(name) is not None:
            return await self.hubs.login.verifier(name)
        return await self._accounts.scram_verifier(name)

    async def scram_sha_1_verifier(self, name: str) -> ScramVerifier:
        """The same for SCRAM-SHA-1."""
        return await self._accounts.scram_sha_1_verifier(name)

    # Back-off -------------------------------------------------------------
    def check_tries(self, *, account: str, address: str) -> None:
        """Raises TryLater while the account or the address is backed off.

        Never for a hub's account: its password is random, and of the hubs behind
        one address none is to wait for what people mistype there.
        """
        if hub_of_account(account) is not None:
            return
        self._tries.check(account=account, address=address)

    def note_failure(self, *, account: str, address: str) -> None:
        """Count a failed try (5, then back-off)."""
        if hub_of_account(account) is not None:
            return
        self._tries.note_failure(account=account, address=address)

    def note_success(self, *, account: str, address: str) -> None:
        """Forget the account's failures from this address."""
        self._tries.note_success(account=account, address=address)

    # Rooms ----------------------------------------------------------------
    async def create_room(
        self,
        name: str,
        *,
        owner: str | None,
        alias: str | None = None,
        open_to_accounts: bool = False,
    ) -> Room:
        """A new room with a random Hub ID and PIN. Raises NameTaken, ValueError."""
        return await self._rooms.create(
            name, owner=owner, alias=alias, open_to_accounts=open_to_accounts
        )

    async def join(
        self,
        hub_id: str,
        *,
        name: str,
        pin: str | None,
        address: str,
        session: Principal | None = None,
    ) -> Issued:
        """A room token for a guest (PIN) or a member (session)."""
        return await self._rooms.join(
            hub_id, name=name, pin=pin, address=address, session=session
        )

    async def room_token(
        self, hub_id: str, *, role: Role, name: str, ttl_s: float, account: str | None
    ) -> Issued:
        """A room token with the role. Raises NotFound, ValueError."""
        return await self._rooms.token(
            hub_id, role=role, name=name, ttl_s=ttl_s, account=account
        )

    async def prolong(self, token: str) -> float:
        """Let a room token live longer; until when. Raises NotFound."""
        return await self._tokens.prolong(token)

    async def role_in(self, principal: Principal, hub_id: str) -> Role | None:
        """The role somebody has in a room, None while in its lobby."""
        return await self._rooms.role_in(principal, hub_id)

    async def admit(self, hub_id: str, participant_id: str, role: Role | None) -> None:
        """Let in, refuse, or give another role. Raises NotFound."""
        await self._rooms.admit(hub_id, participant_id, role)

    async def kick(self, hub_id: str, participant_id: str) -> None:
        """Revoke the participant's token and tell the room. Raises NotFound."""
        await self._rooms.kick(hub_id, participant_id)

    # TURN -----------------------------------------------------------------
    def turn_credentials(self, principal: Principal, host: str) -> TurnCredentials:
        """Credentials for our own STUN/TURN. Raises Forbidden in the lobby."""
        if principal.waiting:
            raise Forbidden("wait until the host lets you in")
        username, credential = self._credentials.mint(
            # The relay counts allocations for each credential, and a browser
            # makes some for each call: every answer is a credential of its own.
            f"{principal.participant_id or principal.account}/{token_hex(CALL_BYTES)}",
            now=self._wall(),
            ttl_s=self._credential_ttl_s,
        )
        return TurnCredentials(
            urls=self._turn_urls(host),
            username=username,
            credential=credential,
            ttl=self._credential_ttl_s,
        )

    def visitor_credentials(self, address: str, host: str) -> TurnCredentials:
        """For a stranger at an address who checks the network: nearly worthless
        (mosaic.wire.turn.visitors)."""
        username, credential = self._credentials.mint(
            f"{visitor(address_key(address))}/{token_hex(CALL_BYTES)}",
            now=self._wall(),
            ttl_s=LIFETIME_S,
        )
        return TurnCredentials(
            urls=self._turn_urls(host),
            username=username,
            credential=credential,
            ttl=LIFETIME_S,
        )
