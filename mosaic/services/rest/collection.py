"""Uploaded files that nothing refers to are let go."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.logger import Logger

from mosaic.services.rest.blobfiles import BlobFiles
from mosaic.store.belongings import DAY_S
from mosaic.store.interface import NotFound, Store

_log = Logger()


class Collection:
    """A chore of every few hours.

    grace_s: how long a file is kept after the last reference to it has gone.
    keep_days: how long one that an account shares by a link is kept, 0 for as
    long as the account. now: Unix seconds.

    First each room forgets what nothing in it refers to any more, and accounts
    what they have shared for long enough; then files on disk that neither keeps
    are removed: also those that a crash left.
    """

    def __init__(
        self,
        *,
        store: Store,
        files: BlobFiles,
        grace_s: float,
        keep_days: int = 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._files = files
        self._grace_s = grace_s
        self._keep_days = keep_days
        self._now = now

    async def run(self) -> int:
        """Once over everything; the number of files removed. Raises StoreError."""
        forgotten = 0
        for hub_id in await self._store.blob_rooms():
            try:
                found = await self._store.unreferenced_blobs(hub_id)
                forgotten += await self._store.forget_blobs(
                    found, grace_s=self._grace_s
                )
            except NotFound:
                continue  # the room has gone meanwhile, and its references with it
        now = self._now()
        older_than = now - self._keep_days * DAY_S if self._keep_days else None
        forgotten += await self._store.forget_uploads(now=now, older_than=older_than)
        removed = 0
        with self._files.had() as ours:
            # `mosaic room import` puts files there before it refers to them.
            if ours:
                removed = await self._discard()
        if forgotten or removed:
            _log.info(
                "files collected: {forgotten} references, {removed} files",
                forgotten=forgotten,
                removed=removed,
            )
        return removed

    async def _discard(self) -> int:
        removed = 0
        kept = await self._store.blob_hashes()
        for sha256 in await self._files.every():
            if sha256 not in kept:
                removed += await self._files.discard(sha256, self._is_kept)
        return removed

    async def _is_kept(self, sha256: str) -> bool:
        return sha256 in await self._store.blob_hashes()
