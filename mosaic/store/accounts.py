"""Accounts: plain functions over a connection, inside the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, Row, delete, insert, select, update

from mosaic.store.database import driver
from mosaic.store.interface import NameTaken, NotFound
from mosaic.store.schema import accounts, tokens
from mosaic.wire.sasl.verifier import SALT_BYTES, ScramVerifier
from mosaic.workspace.model import Account

_VERIFIER = (
    "SELECT name, salt, iterations, stored_key, server_key FROM accounts"
    " WHERE name >= ? ORDER BY name LIMIT 1"
)
"""A row is fetched for a name that there is not, too: the next one."""

_NOBODYS = ("", bytes(SALT_BYTES), 4096, bytes(32), bytes(32))


def add(
    connection: Connection,
    name: str,
    verifier: ScramVerifier,
    *,
    admin: bool,
    at: float,
) -> Account:
    """Make an account. Raises NameTaken."""
    if _row(connection, name) is not None:
        raise NameTaken(f"the account {name} exists")
    values = {"name": name, "admin": admin, "created_at": at, **_keys(verifier)}
    connection.execute(insert(accounts).values(values))
    return Account(name=name, admin=admin, created_at=at)


def get(connection: Connection, name: str) -> Account:
    """One account. Raises NotFound."""
    row = _row(connection, name)
    if row is None:
        raise NotFound(f"there is no account {name}")
    return _account(row)


def every(connection: Connection) -> list[Account]:
    """All, by name (in code point order, whatever the database's collation)."""
    rows = connection.execute(select(accounts)).all()
    return sorted((_account(row) for row in rows), key=lambda account: account.name)


def verifier(connection: Connection, name: str) -> ScramVerifier | None:
    """What is kept in place of the password, None without such an account.

    Every login asks: SQLite answers in a tenth of the time that SQLAlchemy takes.
    """
    row = driver(connection).execute(_VERIFIER, (name,)).fetchone()
    # One is made for nobody too: a stranger would see the time that it takes.
    of, salt, iterations, stored_key, server_key = row or _NOBODYS
    found = ScramVerifier(
        salt=salt,
        iterations=iterations,
        stored_key=stored_key,
        server_key=server_key,
    )
    return found if of == name else None


def set_verifier(connection: Connection, name: str, verifier: ScramVerifier) -> None:
    """Change a password and revoke the account's tokens. Raises NotFound."""
    changed = connection.execute(
        update(accounts).where(accounts.c.name == name).values(_keys(verifier))
    )
    if changed.rowcount == 0:
        raise NotFound(f"there is no account {name}")
    connection.execute(delete(tokens).where(tokens.c.account == name))


def remove(connection: Connection, name: str) -> None:
    """Remove an account; the database removes its memberships and tokens and
    leaves its rooms without an owner. Raises NotFound."""
    removed = connection.execute(delete(accounts).where(accounts.c.name == name))
    if removed.rowcount == 0:
        raise NotFound(f"there is no account {name}")


def _row(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(select(accounts).where(accounts.c.name == name)).first()


def _account(row: Row[tuple[object, ...]]) -> Account:
    return Account(name=row.name, admin=row.admin, created_at=row.created_at)


def _keys(verifier: ScramVerifier) -> dict[str, bytes | int]:
    return {
        "salt": verifier.salt,
        "iterations": verifier.iterations,
        "stored_key": verifier.stored_key,
        "server_key": verifier.server_key,
    }
