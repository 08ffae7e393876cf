"""The one door that REST, DRCP and XMPP ask before they let anybody in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mosaic.auth.fast import FastDesk
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Account, Principal, Role, Room

if TYPE_CHECKING:  # it is made of what stands below
    from mosaic.auth.hubs import HubDesk


class AuthError(Exception):
    """Not let in. The message may be shown to the person."""


class WrongCredentials(AuthError):
    """Unknown account, wrong password, unknown room or wrong PIN: all alike."""


class InvalidToken(AuthError):
    """The token is unknown, revoked or expired."""


class Forbidden(AuthError):
    """Known, but not allowed to do this."""


class RoomUnavailable(AuthError):
    """The room is locked or closed. reason: "locked" or "closed"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this room is {reason}")
        self.reason = reason


class LastAdministrator(AuthError):
    """Nobody could administer the house after that."""

    def __init__(self) -> None:
        super().__init__("this is the last administrator")


class TryLater(AuthError):
    """Too many failures from this address or for this account."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many tries")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new token (the only time its secret is seen) and who it speaks for."""

    token: str
    principal: Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCredentials:
    """Time-limited TURN credentials; ttl in seconds."""

    urls: tuple[str, ...]
    username: str
    credential: str
    ttl: int


class Door(Protocol):
    """Every address is the peer's IP address as text, v4-mapped unwrapped."""

    async def log_in(self, name: str, password: str, *, address: str) -> Issued:
        """A session token. Raises WrongCredentials or TryLater."""

    async def log_out(self, token: str) -> None:
        """Revoke a token."""

    async def principal(self, token: str) -> Principal:
        """Who it is. Raises InvalidToken."""

    async def set_up(self, code: str, name: str, password: str) -> Issued:
        """Make the first administrator with the one-time code."""

    async def add_account(self, name: str, password: str, *, admin: bool) -> Account:
        """Raises NameTaken, ValueError for a bad name or password."""

    async def set_password(self, name: str, password: str) -> None:
        """Change it and revoke the account's tokens."""

    async def remove_account(self, name: str, *, last_admin: bool = False) -> None:
        """Remove it with its tokens and tell the bus.

        last_admin: whether even the last administrator may go, as the operator
        may want. Raises NotFound, LastAdministrator.
        """

    async def scram_verifier(self, name: str) -> ScramVerifier:
        """The account's verifier; for unknown names a fake one that looks and
        costs the same, the same each time."""

    async def scram_sha_1_verifier(self, name: str) -> ScramVerifier:
        """The same for SCRAM-SHA-1; also fake for accounts whose password was set
        while that was off."""

    @property
    def fast(self) -> FastDesk:
        """Tokens for quick logins."""

    @property
    def hubs(self) -> HubDesk:
        """Room boxes."""

    def check_tries(self, *, account: str, address: str) -> None:
        """Raises TryLater while the account or the address is backed off."""

    def note_failure(self, *, account: str, address: str) -> None:
        """Count a failed try (5, then back-off)."""

    def note_success(self, *, account: str, address: str) -> None:
        """Forget the account's failures from this address."""

    async def create_room(
        self,
        name: str,
        *,
        owner: str | None,
        alias: str | None = None,
        open_to_accounts: bool = False,
    ) -> Room:
        """A new room with a random Hub ID and PIN."""

    async def join(
        self,
        hub_id: str,
        *,
        name: str,
        pin: str | None,
        address: str,
        session: Principal | None = None,
    ) -> Issued:
        """A room token for a guest (PIN) or a member (session).

        The principal is waiting=True when the room has a lobby.
        Raises WrongCredentials, TryLater, RoomUnavailable, Forbidden.
        """

    async def prolong(self, token: str) -> float:
        """Let a room token live as long again as a new one does; until when.

        For those who hold no token themselves and stay. Raises NotFound.
        """

    async def room_token(
        self, hub_id: str, *, role: Role, name: str, ttl_s: float, account: str | None
    ) -> Issued:
        """A room token with the role, for scripts and invitations."""

    async def role_in(self, principal: Principal, hub_id: str) -> Role | None:
        """The role somebody has in a room: from a room token, membership, or
        host for administrators."""

    async def admit(self, hub_id: str, participant_id: str, role: Role | None) -> None:
        """Let in from the lobby with a role, or refuse (None)."""

    async def kick(self, hub_id: str, participant_id: str) -> None:
        """Revoke the participant's token and tell the room."""

    def turn_credentials(self, principal: Principal, host: str) -> TurnCredentials:
        """Credentials for our own STUN/TURN, with its URLs at this host."""

    def visitor_credentials(self, address: str, host: str) -> TurnCredentials:
        """For a stranger who checks the network: short-lived, for few and slow
        relays that reach our own relays alone."""
