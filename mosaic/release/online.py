"""The two roles whose keys are on the server: snapshot and timestamp.

They say which documents belong together and that this is the newest state; they
cannot make a release. Versions are Unix seconds, so that a server that was put
back from a backup still goes forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from mosaic.release.errors import ReleaseRefused
from mosaic.release.feed import Feed, Standing
from mosaic.release.files import locked, write_whole
from mosaic.release.keys import load_signer, make_key, public_file
from mosaic.release.roles import (
    ROOT,
    SNAPSHOT,
    TIMESTAMP,
    Document,
    check_signed,
    expiry,
    latest_in,
    read_document,
    versions_in,
)
from mosaic.release.workshop import Workshop

DAY_S = 86400.0
SNAPSHOT_DAYS = 7.0
KEEP_SNAPSHOTS = 5
FORERUN = 3600.0
"""A timestamp that ends later than it can was made under a wrong clock."""


class OnlineKeys:
    """`updates-snapshot-N.pem` and `updates-timestamp-N.pem` in a folder.

    Several of a role may be there while one is being replaced; the root says
    which of them counts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, *, another: bool = False) -> dict[str, Path]:
        """Public files by role; keys are made where there are none.

        another: make one more of each, to replace the old.
        """
        return {role: self._make(role, another) for role in (SNAPSHOT, TIMESTAMP)}

    def _make(self, role: str, another: bool) -> Path:
        there = self._files(role)
        if there and not another:
            return public_file(there[-1])
        return make_key(self.folder / f"updates-{role}-{len(there) + 1}.pem")

    def signer(self, root: Document, role: str) -> CryptoSigner:
        """The key that the root names. Raises ReleaseRefused."""
        wanted = set(root.signed.roles[role].keyids)
        for file in reversed(self._files(role)):
            signer = load_signer(file)
            if signer.public_key.keyid in wanted:
                return signer
        raise ReleaseRefused(
            f"no {role} key in {self.folder} is one that the root names: "
            "`mosaic release online-keys`, `release rotate`"
        )

    def _files(self, role: str) -> Sequence[Path]:
        found = self.folder.glob(f"updates-{role}-*.pem")
        return sorted(found, key=lambda file: (len(file.name), file.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What was signed anew, and until when the timestamp holds (Unix seconds)."""

    snapshot: bool
    timestamp: bool
    until: float


class OnlineSigner:
    """Keeps a feed fresh. life_s: of a timestamp. resign_s: when to make one."""

    def __init__(
        self,
        feed: Feed,
        keys: OnlineKeys,
        *,
        life_s: float = DAY_S,
        resign_s: float = DAY_S / 4,
    ) -> None:
        self.feed = feed
        self._keys = keys
        self._life_s = life_s
        self._resign_s = resign_s

    def publish(self, workshop: Workshop, *, now: float) -> Signed:
        """Take what is signed there and say so at once. Raises ReleaseRefused."""
        with locked(self.feed.folder):
            standing = self.feed.take(workshop, now=now)
            return self._sign(standing, now, force=True)

    def refresh(self, *, now: float) -> Signed | None:
        """Sign what needs it; None if nothing was ever published here.

        Raises ReleaseRefused, OSError.
        """
        if not self.feed.begun:
            return None
        with locked(self.feed.folder):
            return self._sign(self.feed.standing(), now, force=False)

    def _sign(self, standing: Standing, now: float, *, force: bool) -> Signed:
        snapshot, renewed = self._snapshot(standing, now)
        old = self._timestamp(standing.root)
        if old is not None and not (force or renewed):
            left = _ends(old) - now
            fresh = self._life_s - self._resign_s < left < self._life_s + FORERUN
            if fresh and old.signed.snapshot_meta.version == snapshot.signed.version:
                return Signed(snapshot=False, timestamp=False, until=_ends(old))
        timestamp = Timestamp(
            version=_next(old, now),
            expires=expiry(now, self._life_s / DAY_S),
            snapshot_meta=MetaFile(snapshot.signed.version),
        )
        made = Metadata(timestamp)
        made.sign(self._keys.signer(standing.root, TIMESTAMP))
        write_whole(self.feed.metadata / "timestamp.json", made.to_bytes())
        return Signed(snapshot=renewed, timestamp=True, until=_ends(made))

    def _snapshot(self, standing: Standing, now: float) -> tuple[Document, bool]:
        meta = {
            f"{role}.json": MetaFile(document.signed.version)
            for role, document in standing.documents().items()
            if role != ROOT
        }
        try:
            old = latest_in(self.feed.metadata, SNAPSHOT)
        except ReleaseRefused:
            old = None  # the disk has forgotten it
        if old is not None and old.signed.meta == meta:
            left = _ends(old) - now
            good = SNAPSHOT_DAYS * DAY_S / 2 < left < SNAPSHOT_DAYS * DAY_S + FORERUN
            if good and _is_signed(standing.root, SNAPSHOT, old):
                return old, False
        snapshot = Snapshot(
            version=_next(old, now), expires=expiry(now, SNAPSHOT_DAYS), meta=meta
        )
        made = Metadata(snapshot)
        made.sign(self._keys.signer(standing.root, SNAPSHOT))
        name = f"{snapshot.version}.snapshot.json"
        write_whole(self.feed.metadata / name, made.to_bytes())
        # Hubs that are reading may still want the one before.
        for number in versions_in(self.feed.metadata)[SNAPSHOT][:-KEEP_SNAPSHOTS]:
            (self.feed.metadata / f"{number}.snapshot.json").unlink()
        return made, True

    def _timestamp(self, root: Document) -> Document | None:
        """The present one; None if there is none that hubs would take."""
        file = self.feed.metadata / "timestamp.json"
        if not file.exists():
            return None
        try:
            old = read_document(file)
        except ReleaseRefused:
            return None
        if _is_signed(root, TIMESTAMP, old):
            return old
        # A new key: the version goes on, the rest is made again.
        old.signed.expires = expiry(0, 0)
        return old


def _is_signed(root: Document, role: str, document: Document) -> bool:
    try:
        check_signed(root, role, document)
    except ReleaseRefused:
        return False
    return True


def _ends(document: Document) -> float:
    return float(document.signed.expires.replace(tzinfo=UTC).timestamp())


def _next(old: Document | None, now: float) -> int:
    return max(int(now), 1 if old is None else old.signed.version + 1)
