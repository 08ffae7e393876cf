"""Profiles, avatars, uploads and last presence in SQL: tables and functions
over a connection, and the methods of the store that call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from twisted.internet.defer import Deferred

from mosaic.store import accounts
from mosaic.store.belongings import (
    SLOT_GRACE_S,
    Avatar,
    Profile,
    QuotaExceeded,
    Upload,
    free_again,
)
from mosaic.store.interface import NotFound
from mosaic.store.schema import accounts as accounts_table
from mosaic.store.schema import metadata


def _account(**how: Any) -> Column[str]:
    key = ForeignKey("accounts.name", ondelete="CASCADE")
    return Column("account", String(64), key, **how)


last_seen_table = Table(
    "last_seen",
    metadata,
    _account(primary_key=True),
    Column("at", Float, nullable=False),
)

profiles = Table(
    "profiles",
    metadata,
    _account(primary_key=True),
    Column("vcard", Text, nullable=False),
    Column("avatar_sha1", String(40), nullable=True),
    Column("avatar_type", String(64), nullable=True),
    Column("avatar", LargeBinary, nullable=True),
    Index(None, "avatar_sha1"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Integer, primary_key=True),
    _account(nullable=False),
    Column("put_digest", LargeBinary(32), nullable=False, unique=True),
    Column("get_digest", LargeBinary(32), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("media_type", String(255), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("sha256", String(64), nullable=True),
    Index(None, "account"),
    Index(None, "sha256"),
)


_AT_A_TIME = 500


def note_seen(connection: Connection, seen: Mapping[str, float]) -> None:
    """Write the times of those who are accounts."""
    names = list(seen)
    for start in range(0, len(names), _AT_A_TIME):
        some = names[start : start + _AT_A_TIME]
        question = select(accounts_table.c.name).where(accounts_table.c.name.in_(some))
        known = connection.execute(question).scalars().all()
        connection.execute(
            delete(last_seen_table).where(last_seen_table.c.account.in_(some))
        )
        if known:
            rows = [{"account": name, "at": seen[name]} for name in known]
            connection.execute(insert(last_seen_table), rows)


def last_seen(connection: Connection, account: str) -> float | None:
    """The time, or None."""
    question = select(last_seen_table.c.at).where(last_seen_table.c.account == account)
    found: float | None = connection.execute(question).scalar()
    return found


def profile(connection: Connection, account: str) -> Profile:
    """What is kept, or an empty one."""
    question = select(profiles).where(profiles.c.account == account)
    row = connection.execute(question).first()
    if row is None:
        return Profile()
    return Profile(vcard=row.vcard, avatar=_avatar(row) if row.avatar_sha1 else None)


def set_profile(connection: Connection, account: str, profile: Profile) -> None:
    """Replace it. Raises NotFound."""
    accounts.get(connection, account)
    connection.execute(delete(profiles).where(profiles.c.account == account))
    picture = profile.avatar
    values = {
        "account": account,
        "vcard": profile.vcard,
        "avatar_sha1": picture and picture.sha1,
        "avatar_type": picture and picture.media_type,
        "avatar": picture and picture.data,
    }
    connection.execute(insert(profiles).values(values))


def avatar(connection: Connection, sha1: str) -> Avatar:
    """Anybody's of that hash. Raises NotFound."""
    row = connection.execute(
        select(profiles).where(profiles.c.avatar_sha1 == sha1).limit(1)
    ).first()
    if row is None:
        raise NotFound("nobody has such a picture")
    return _avatar(row)


def avatar_hashes(connection: Connection) -> dict[str, str]:
    """By account."""
    question = select(profiles.c.account, profiles.c.avatar_sha1).where(
        profiles.c.avatar_sha1.is_not(None)
    )
    return dict(connection.execute(question).tuples().all())


def add_upload(connection: Connection, upload: Upload, bytes_per_day: int) -> None:
    """Keep a slot if the quota allows. Raises NotFound, QuotaExceeded."""
    accounts.get(connection, upload.account)
    mine = uploads.c.account == upload.account
    others = [
        (row.created_at, row.size_bytes)
        for row in connection.execute(
            select(uploads.c.created_at, uploads.c.size_bytes).where(mine)
        ).all()
    ]
    free_at = free_again(upload, others, bytes_per_day)
    if free_at is not None:
        raise QuotaExceeded(free_at)
    values = {name: getattr(upload, name) for name in Upload.__slots__}
    connection.execute(insert(uploads).values(values))


def upload_slot(connection: Connection, put_digest: bytes, now: float) -> Upload:
    """One that waits for its bytes. Raises NotFound."""
    row = connection.execute(
        select(uploads).where(
            uploads.c.put_digest == put_digest,
            uploads.c.sha256.is_(None),
            uploads.c.expires_at > now,
        )
    ).first()
    return _upload(row)


def fill_upload(connection: Connection, put_digest: bytes, sha256: str) -> None:
    """Note the bytes, once. Raises NotFound."""
    filled = connection.execute(
        update(uploads)
        .where(uploads.c.put_digest == put_digest, uploads.c.sha256.is_(None))
        .values(sha256=sha256)
    )
    if filled.rowcount == 0:
        raise NotFound("there is no such slot")


def upload(connection: Connection, get_digest: bytes) -> Upload:
    """One that has its bytes. Raises NotFound."""
    row = connection.execute(
        select(uploads).where(
            uploads.c.get_digest == get_digest, uploads.c.sha256.is_not(None)
        )
    ).first()
    return _upload(row)


def forget_uploads(connection: Connection, now: float, older_than: float | None) -> int:
    """Slots past their time, and old uploads; the number of the latter."""
    connection.execute(
        delete(uploads).where(
            uploads.c.sha256.is_(None), uploads.c.expires_at < now - SLOT_GRACE_S
        )
    )
    if older_than is None:
        return 0
    old = connection.execute(
        delete(uploads).where(
            uploads.c.sha256.is_not(None), uploads.c.created_at < older_than
        )
    )
    return int(old.rowcount)


def upload_hashes(connection: Connection) -> frozenset[str]:
    """SHA-256 of every file that an account shares."""
    question = select(uploads.c.sha256).where(uploads.c.sha256.is_not(None)).distinct()
    return frozenset(sha256 for (sha256,) in connection.execute(question) if sha256)


def _avatar(row: Row[Any]) -> Avatar:
    return Avatar(sha1=row.avatar_sha1, media_type=row.avatar_type, data=row.avatar)


def _upload(row: Row[Any] | None) -> Upload:
    if row is None:
        raise NotFound("there is no such upload")
    return Upload(**{name: getattr(row, name) for name in Upload.__slots__})


class SqlBelongings:
    """The Belongings interface, over a store's two threads."""

    _ask: Callable[..., Deferred[Any]]
    _change: Callable[..., Deferred[Any]]

    def note_seen(self, seen: Mapping[str, float]) -> Deferred[None]:
        """When the last sessions of accounts ended."""
        return self._change(note_seen, dict(seen))

    def last_seen(self, account: str) -> Deferred[float | None]:
        """When that was, or None."""
        return self._ask(last_seen, account)

    def profile(self, account: str) -> Deferred[Profile]:
        """An empty one if there is none."""
        return self._ask(profile, account)

    def set_profile(self, account: str, profile: Profile) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(set_profile, account, profile)

    def avatar(self, sha1: str) -> Deferred[Avatar]:
        """Raises NotFound."""
        return self._ask(avatar, sha1)

    def avatar_hashes(self) -> Deferred[dict[str, str]]:
        """SHA-1 by account."""
        return self._ask(avatar_hashes)

    def add_upload(self, upload: Upload, *, bytes_per_day: int) -> Deferred[None]:
        """Raises NotFound, QuotaExceeded."""
        return self._change(add_upload, upload, bytes_per_day)

    def upload_slot(self, put_digest: bytes, *, now: float) -> Deferred[Upload]:
        """Raises NotFound."""
        return self._ask(upload_slot, put_digest, now)

    def fill_upload(self, put_digest: bytes, sha256: str) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(fill_upload, put_digest, sha256)

    def upload(self, get_digest: bytes) -> Deferred[Upload]:
        """Raises NotFound."""
        return self._ask(upload, get_digest)

    def forget_uploads(self, *, now: float, older_than: float | None) -> Deferred[int]:
        """How many uploads were forgotten."""
        return self._change(forget_uploads, now, older_than)
