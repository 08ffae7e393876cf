"""The store without a reactor: for the command line, beside a running server.

Each change is a transaction of its own; SQLite's lock keeps the two processes
apart, and the server notices the change within a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from mosaic.store import accounts, journal, moving, rooms, sql_logins, tokens
from mosaic.store.database import (
    DATABASE_ERRORS,
    database_path,
    explain,
    open_engine,
    open_mark,
    prepare_database,
)
from mosaic.store.direct_hubs import DirectHubs
from mosaic.store.history import SetAside
from mosaic.store.interface import StoredDocument, StoredToken
from mosaic.store.migrate import HEAD, current
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Account, Blob, Message, Role, Room, RoomContent

P = ParamSpec("P")
T = TypeVar("T")


class DirectStore(DirectHubs):
    """Accounts, rooms, members, tokens and content, at once. Made by open_direct().

    Every method raises what its namesake in store.interface.Store does, and
    StoreFull or StoreError when the database cannot be used.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self._path = path
        self._engine = engine

    def _run(
        self,
        call: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            with self._engine.begin() as connection:
                return call(connection, *args, **kwargs)
        except DATABASE_ERRORS as error:
            raise explain(error, self._path) from error

    # Accounts -------------------------------------------------------------
    def add_account(
        self, name: str, verifier: ScramVerifier, *, admin: bool
    ) -> Account:
        """Raises NameTaken."""
        return self._run(accounts.add, name, verifier, admin=admin, at=time.time())

    def account(self, name: str) -> Account:
        """Raises NotFound."""
        return self._run(accounts.get, name)

    def accounts(self) -> list[Account]:
        """All, by name."""
        return self._run(accounts.every)

    def verifier(self, name: str) -> ScramVerifier | None:
        """The SCRAM verifier, or None."""
        return self._run(accounts.verifier, name)

    def set_verifier(self, name: str, verifier: ScramVerifier) -> None:
        """Change a password and revoke the account's tokens. Raises NotFound."""
        self._run(accounts.set_verifier, name, verifier)

    def set_scram_sha_1(self, name: str, verifier: ScramVerifier) -> None:
        """The second verifier of the present password. Raises NotFound."""
        self._run(sql_logins.set_scram_sha_1, name, verifier)

    def remove_account(self, name: str) -> None:
        """Raises NotFound."""
        self._run(accounts.remove, name)

    # Rooms ----------------------------------------------------------------
    def add_room(self, room: Room) -> None:
        """Raises NameTaken."""
        self._run(rooms.add, room)

    def room(self, hub_id: str) -> Room:
        """Raises NotFound."""
        return self._run(rooms.get, hub_id)

    def room_by_alias(self, alias: str) -> Room:
        """Raises NotFound."""
        return self._run(rooms.by_alias, alias)

    def rooms(self, *, member: str | None = None) -> list[Room]:
        """All rooms, or those of an account."""
        return self._run(rooms.every, member=member)

    def update_room(self, room: Room) -> None:
        """Raises NotFound, NameTaken."""
        self._run(rooms.change, room)

    def members(self, hub_id: str) -> dict[str, Role]:
        """Raises NotFound."""
        return self._run(rooms.roles, hub_id)

    def set_member(self, hub_id: str, account: str, role: Role | None) -> None:
        """Raises NotFound."""
        self._run(rooms.set_member, hub_id, account, role)

    # Tokens ---------------------------------------------------------------
    def add_token(self, token: StoredToken) -> None:
        """Raises NotFound for its account or room."""
        self._run(tokens.add, token)

    def token(self, digest: bytes) -> StoredToken | None:
        """The token of that digest, or None."""
        return self._run(tokens.get, digest)

    def participant_token(self, hub_id: str, participant_id: str) -> StoredToken | None:
        """The room token of a participant, or None."""
        return self._run(tokens.of_participant, hub_id, participant_id)

    def remove_token(self, digest: bytes) -> None:
        """Unknown ones are no error."""
        self._run(tokens.remove, digest)

    def remove_tokens(
        self, *, hub_id: str | None = None, expired_before: float | None = None
    ) -> int:
        """A room's tokens, or those expired; the number removed."""
        return self._run(
            tokens.remove_many, hub_id=hub_id, expired_before=expired_before
        )

    # Content --------------------------------------------------------------
    def document_names(self, hub_id: str) -> list[str]:
        """Raises NotFound."""
        return self._run(journal.names, hub_id)

    def load_document(self, hub_id: str, name: str) -> StoredDocument:
        """Raises NotFound."""
        return self._run(journal.open_document, hub_id, name)

    def messages_after(self, hub_id: str, *, after: int, limit: int) -> list[Message]:
        """Raises NotFound."""
        return self._run(moving.messages_after, hub_id, after=after, limit=limit)

    def blobs(self, hub_id: str) -> list[Blob]:
        """Raises NotFound."""
        return self._run(moving.every_blob, hub_id)

    def add_room_with(self, room: Room, content: RoomContent) -> None:
        """Raises NameTaken."""
        self._run(moving.add_with_content, room, content, at=time.time())


@contextmanager
def open_direct(url_or_path: str | Path) -> Iterator[DirectStore]:
    """Open the database, made and migrated if need be, and close it after.

    Raises StoreError (also for a damaged file) or StoreFull.
    """
    path = database_path(url_or_path)
    log = Path(f"{path}-wal")
    left = log.exists()
    prepare_database(path, check=False)
    engine = open_engine(path, write=True)
    try:
        yield DirectStore(path, engine)
    finally:
        engine.dispose()
        if left and not log.exists():
            # What a killed server left was folded in here: nothing is missing.
            open_mark(path).unlink(missing_ok=True)


def read_set_aside(path: Path) -> list[SetAside]:
    """The quarantine of a database, which is not changed.

    Empty if there is none yet, or it is of another release. Raises StoreError.
    """
    if not path.exists():
        return []
    engine = open_engine(path, write=False)
    try:
        with engine.connect() as connection:
            if current(connection) != HEAD:
                return []
            return journal.every_set_aside(connection)
    except DATABASE_ERRORS as error:
        raise explain(error, path) from error
    finally:
        engine.dispose()
