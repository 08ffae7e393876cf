"""What every store does, whatever database is behind it.

Every method returns a Deferred that fires after commit for a change, or with
the value for a question. One writer commits in groups (<= 20 ms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from mosaic.store.belongings import Belongings
from mosaic.store.errors import NameTaken as NameTaken
from mosaic.store.errors import NotFound as NotFound
from mosaic.store.errors import StoreError as StoreError
from mosaic.store.errors import StoreFull as StoreFull
from mosaic.store.history import History
from mosaic.store.hubs import Hubs
from mosaic.store.logins import Logins
from mosaic.store.people import People
from mosaic.store.room_history import RoomHistory
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Account, Blob, Message, Role, Room, RoomContent
from mosaic.workspace.versions import Author

EMPTY_UPDATE = b"\x00\x00"
"""The Yjs update (v1) that changes nothing; it takes a quarantined one's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """A token as stored: the SHA-256 of the secret, never the secret.

    kind: "session", "room", "seat" (a hub's for a room) or "setup". waiting:
    still in the lobby.
    """

    digest: bytes
    kind: str
    name: str
    account: str | None
    hub_id: str | None
    role: Role | None
    participant_id: str
    created_at: float
    expires_at: float
    waiting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """All that is needed to rebuild one Yjs document.

    epoch: UUID text, made when the document is first opened. snapshot: one
    full update (v1) or b"". updates: those after the snapshot, oldest first,
    without gaps: updates[i] has the sequence number
    last_seq - len(updates) + 1 + i. last_seq: the number of the newest update
    ever kept, 0 if none. versioned_seq: the same of the newest version.
    """

    epoch: str
    snapshot: bytes
    updates: tuple[bytes, ...]
    last_seq: int
    versioned_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One raw Yjs update (v1) and the participant who sent it.

    writer: who that is and the Yjs clients that are new in this update; None
    if all of it has been told before.
    """

    update: bytes
    author: str
    writer: Author | None = None


class Store(Belongings, History, Hubs, Logins, People, RoomHistory, Protocol):
    """Accounts, rooms, members, tokens, chat, blobs, documents, and more."""

    def start(self) -> Deferred[None]:
        """Open, migrate, and start the writer."""

    def stop(self) -> Deferred[None]:
        """Commit what waits, and close."""

    def ping(self) -> Deferred[None]:
        """Fire after an empty commit; StoreFull or StoreError if it cannot."""

    # Accounts -------------------------------------------------------------
    def add_account(
        self, name: str, verifier: ScramVerifier, *, admin: bool
    ) -> Deferred[Account]:
        """Make an account. Raises NameTaken."""

    def account(self, name: str) -> Deferred[Account]:
        """Raises NotFound."""

    def accounts(self) -> Deferred[list[Account]]:
        """All, by name."""

    def verifier(self, name: str) -> Deferred[ScramVerifier | None]:
        """The SCRAM verifier, or None if there is no such account."""

    def set_verifier(self, name: str, verifier: ScramVerifier) -> Deferred[None]:
        """Change a password; revokes the account's tokens. Raises NotFound."""

    def remove_account(self, name: str) -> Deferred[None]:
        """Remove an account, its memberships and tokens. Raises NotFound."""

    # Rooms ----------------------------------------------------------------
    def add_room(self, room: Room) -> Deferred[None]:
        """Raises NameTaken for the Hub ID or the alias."""

    def room(self, hub_id: str) -> Deferred[Room]:
        """Raises NotFound."""

    def room_by_alias(self, alias: str) -> Deferred[Room]:
        """Raises NotFound."""

    def rooms(self, *, member: str | None = None) -> Deferred[list[Room]]:
        """All rooms, or those that an account owns or is a member of."""

    def update_room(self, room: Room) -> Deferred[None]:
        """Write every field but hub_id and created_at. Raises NotFound."""

    def members(self, hub_id: str) -> Deferred[dict[str, Role]]:
        """Accounts with a role in the room, the owner as host among them."""

    def set_member(
        self, hub_id: str, account: str, role: Role | None
    ) -> Deferred[None]:
        """Give or take (None) a role. Raises NotFound.

        The account's tokens for the room follow: they get the role (and leave
        the lobby), or are removed with it. Administrators' and the owner's stay.
        """

    # Tokens ---------------------------------------------------------------
    def add_token(self, token: StoredToken) -> Deferred[None]:
        """Keep a token."""

    def token(self, digest: bytes) -> Deferred[StoredToken | None]:
        """The token of that digest, expired or not, or None."""

    def update_token(
        self, digest: bytes, *, role: Role | None = None, waiting: bool | None = None
    ) -> Deferred[None]:
        """Admit from the lobby or change a role. Raises NotFound."""

    def participant_token(
        self, hub_id: str, participant_id: str
    ) -> Deferred[StoredToken | None]:
        """The room token of a participant, or None."""

    def waiting_tokens(self, hub_id: str) -> Deferred[list[StoredToken]]:
        """Those in the lobby whose tokens have not expired."""

    def remove_token(self, digest: bytes) -> Deferred[None]:
        """Forget a token; unknown ones are no error."""

    def remove_tokens(
        self, *, hub_id: str | None = None, expired_before: float | None = None
    ) -> Deferred[int]:
        """Forget a room's tokens, or those expired; the number removed."""

    # Chat -----------------------------------------------------------------
    def add_message(
        self,
        hub_id: str,
        *,
        message_id: str,
        author_id: str,
        author: str,
        text: str,
        at: float,
    ) -> Deferred[Message]:
        """Append to the room's history; the same message_id is kept once."""

    def messages(
        self, hub_id: str, *, before: int | None = None, limit: int = 100
    ) -> Deferred[list[Message]]:
        """The newest `limit` messages with seq < before, oldest first."""

    # Blobs ----------------------------------------------------------------
    def add_blob(self, hub_id: str, blob: Blob) -> Deferred[None]:
        """Note that a room refers to a blob; twice is no error."""

    def blob(self, hub_id: str, sha256: str) -> Deferred[Blob]:
        """Raises NotFound if the room does not refer to it."""

    # Documents ------------------------------------------------------------
    def load_document(self, hub_id: str, name: str) -> Deferred[StoredDocument]:
        """Read a document, making it (with a new epoch) if there is none."""

    def document_names(self, hub_id: str) -> Deferred[list[str]]:
        """Names of the room's documents, sorted."""

    def append_updates(
        self, hub_id: str, name: str, entries: Sequence[JournalEntry]
    ) -> Deferred[int]:
        """Add raw updates; fires with the last seq only after commit.

        Fails with StoreFull when the disk is full: then none was kept.
        """

    def save_snapshot(
        self, hub_id: str, name: str, snapshot: bytes, *, through_seq: int
    ) -> Deferred[None]:
        """Replace the updates up to through_seq by one full state."""

    # Whole rooms ----------------------------------------------------------
    def add_room_with(self, room: Room, content: RoomContent) -> Deferred[None]:
        """Keep a new room with its content, all or nothing; new epochs.

        Raises NameTaken; whatever reading the content raises.
        """

    def messages_after(
        self, hub_id: str, *, after: int, limit: int
    ) -> Deferred[list[Message]]:
        """The oldest `limit` messages with seq > after. Raises NotFound."""

    def blobs(self, hub_id: str) -> Deferred[list[Blob]]:
        """All files that a room refers to, by hash. Raises NotFound."""

    def quarantine_update(
        self, hub_id: str, name: str, seq: int, reason: str
    ) -> Deferred[None]:
        """Set aside an update that cannot be applied, so that the room opens.

        EMPTY_UPDATE takes its place, and later numbers stay. Raises NotFound.
        """
