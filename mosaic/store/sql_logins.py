"""Second verifiers and tokens in SQL: functions over a connection, and the part
of the SQL store that calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from twisted.internet.defer import Deferred

from mosaic.store.interface import NotFound
from mosaic.store.logins import StoredFastToken
from mosaic.store.logins_schema import fast_tokens, scram_sha_1
from mosaic.store.schema import accounts
from mosaic.wire.sasl.verifier import ScramVerifier


class SqlLogins:
    """The Logins of the SQL store."""

    _ask: Callable[..., Deferred[Any]]
    _change: Callable[..., Deferred[Any]]

    def scram_sha_1(self, name: str) -> Deferred[ScramVerifier | None]:
        """See Logins."""
        return self._ask(read_scram_sha_1, name)

    def set_scram_sha_1(self, name: str, verifier: ScramVerifier) -> Deferred[None]:
        """See Logins."""
        return self._change(set_scram_sha_1, name, verifier)

    def fast_tokens(self, name: str, client: bytes) -> Deferred[list[StoredFastToken]]:
        """See Logins."""
        return self._ask(_of_client, name, client)

    def add_fast_token(
        self, token: StoredFastToken, *, keep: bytes | None, most: int
    ) -> Deferred[None]:
        """See Logins."""
        return self._change(_add, token, keep=keep, most=most)

    def use_fast_token(self, serial: bytes, *, count: int | None) -> Deferred[bool]:
        """See Logins."""
        return self._change(_use, serial, count=count)

    def remove_fast_token(self, serial: bytes) -> Deferred[None]:
        """See Logins."""
        return self._change(_remove, serial)

    def remove_fast_tokens(self, *, expired_before: float) -> Deferred[int]:
        """See Logins."""
        return self._change(_remove_expired, expired_before)


def read_scram_sha_1(connection: Connection, name: str) -> ScramVerifier | None:
    """See Logins.scram_sha_1."""
    question = (
        select(scram_sha_1)
        .join(accounts, accounts.c.name == scram_sha_1.c.account)
        .where(accounts.c.name == name, accounts.c.salt == scram_sha_1.c.beside)
    )
    row = connection.execute(question).first()
    if row is None:
        return None
    return ScramVerifier(
        salt=row.salt,
        iterations=row.iterations,
        stored_key=row.stored_key,
        server_key=row.server_key,
        digest="sha1",
    )


def set_scram_sha_1(connection: Connection, name: str, verifier: ScramVerifier) -> None:
    """See Logins.set_scram_sha_1."""
    salt = connection.execute(
        select(accounts.c.salt).where(accounts.c.name == name)
    ).scalar()
    if salt is None:
        raise NotFound(f"there is no account {name}")
    connection.execute(delete(scram_sha_1).where(scram_sha_1.c.account == name))
    connection.execute(
        insert(scram_sha_1).values(
            account=name,
            beside=salt,
            salt=verifier.salt,
            iterations=verifier.iterations,
            stored_key=verifier.stored_key,
            server_key=verifier.server_key,
        )
    )


def _of_client(
    connection: Connection, name: str, client: bytes
) -> list[StoredFastToken]:
    rows = connection.execute(
        select(fast_tokens)
        .where(fast_tokens.c.account == name, fast_tokens.c.client == client)
        .order_by(fast_tokens.c.expires_at.desc(), fast_tokens.c.serial)
    )
    return [StoredFastToken(**row._mapping) for row in rows]


def _add(
    connection: Connection, token: StoredFastToken, *, keep: bytes | None, most: int
) -> None:
    known = select(accounts.c.name).where(accounts.c.name == token.account)
    if connection.execute(known).first() is None:
        raise NotFound(f"there is no account {token.account}")
    others = delete(fast_tokens).where(
        fast_tokens.c.account == token.account, fast_tokens.c.client == token.client
    )
    if keep is not None:
        others = others.where(fast_tokens.c.serial != keep)
    connection.execute(others)
    values = {name: getattr(token, name) for name in token.__slots__}
    connection.execute(insert(fast_tokens).values(values))
    old = (
        select(fast_tokens.c.serial)
        .where(fast_tokens.c.account == token.account)
        .order_by(fast_tokens.c.created_at.desc(), fast_tokens.c.serial)
        .offset(most)
        .limit(-1 if connection.dialect.name == "sqlite" else None)
    )
    gone = [row.serial for row in connection.execute(old)]
    if gone:
        connection.execute(delete(fast_tokens).where(fast_tokens.c.serial.in_(gone)))


def _use(connection: Connection, serial: bytes, *, count: int | None) -> bool:
    mine = fast_tokens.c.serial == serial
    row = connection.execute(select(fast_tokens).where(mine)).first()
    if row is None or (count is not None and count <= row._mapping["count"]):
        return False
    if count is not None:
        connection.execute(update(fast_tokens).where(mine).values(count=count))
    connection.execute(
        delete(fast_tokens).where(
            fast_tokens.c.account == row.account,
            fast_tokens.c.client == row.client,
            fast_tokens.c.expires_at < row.expires_at,
        )
    )
    return True


def _remove(connection: Connection, serial: bytes) -> None:
    connection.execute(delete(fast_tokens).where(fast_tokens.c.serial == serial))


def _remove_expired(connection: Connection, before: float) -> int:
    statement = delete(fast_tokens).where(fast_tokens.c.expires_at < before)
    return connection.execute(statement).rowcount
