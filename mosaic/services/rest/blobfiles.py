"""Uploaded files on disk, named by what is in them.

An upload is written to `tmp/` while it arrives and hashed on the way; whole,
it is synced and renamed to `ab/cdef…` (its SHA-256). No name that a client
gave ever becomes part of a path.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from mosaic.export.places import had
from mosaic.services.rest.problems import Refusal
from mosaic.store.interface import NotFound, StoreFull

T = TypeVar("T")
SHA256 = re.compile(r"[0-9a-f]{64}")
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


class RunInThread(Protocol):
    """Like deferToThread: an fsync may take as long as the disk likes."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """Run the function elsewhere and fire with its result."""


class UploadBody(io.RawIOBase):
    """The body of one upload while it arrives; close() removes the file.

    size_bytes and sha256() tell what has been written.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        super().__init__()
        self.path = path
        self.size_bytes = 0
        self._limit = limit_bytes
        self._hash = hashlib.sha256()
        self._fd: int | None = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with disk_errors():
            self._fd = os.open(path, flags, 0o600)

    def write(self, data: Any, /) -> int:
        """Append. Raises Refusal(413) past the limit, StoreFull."""
        if self._fd is None:
            raise ValueError("this upload is closed")
        if self.size_bytes + len(data) > self._limit:
            raise Refusal(413, f"a file may have {self._limit} bytes")
        view = memoryview(data)
        with disk_errors():
            while view:
                view = view[os.write(self._fd, view) :]
        self.size_bytes += len(data)
        self._hash.update(data)
        return len(data)

    def tell(self) -> int:
        """Bytes so far."""
        return self.size_bytes

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Twisted rewinds every body; this one is not read through here."""
        return 0

    def sha256(self) -> str:
        """The hash of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    def take(self) -> int:
        """Give the open file to the caller, who closes it and decides about
        the path; close() then does nothing. Raises ValueError if it is gone."""
        if self._fd is None:
            raise ValueError("this upload is closed")
        fd, self._fd = self._fd, None
        return fd

    def close(self) -> None:
        """Keep nothing."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
            self.path.unlink(missing_ok=True)
        super().close()


class BlobFiles:
    """The folder of all files. root: `<state>/blobs`."""

    def __init__(self, root: Path, *, run_in_thread: RunInThread) -> None:
        self._root = root
        self._tmp = root / "tmp"
        self._run_in_thread = run_in_thread
        self._unsettled: Counter[str] = Counter()
        self._fresh: set[str] = set()
        self._leaving: dict[str, list[Deferred[None]]] = {}

    def prepare(self) -> None:
        """Make the folders; remove what a crash left half uploaded."""
        self._tmp.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._tmp.iterdir():
            path.unlink()

    def receive(
        self,
        limit_bytes: int,
        make: Callable[[Path, int], UploadBody] = UploadBody,
    ) -> UploadBody:
        """A place for one upload. Raises StoreFull."""
        return make(self._tmp / secrets.token_hex(16), limit_bytes)

    def path_of(self, sha256: str) -> Path:
        """Where the file of that hash is. Raises NotFound for no hash."""
        if not SHA256.fullmatch(sha256):
            raise NotFound("there is no such file")
        return self._root / sha256[:2] / sha256[2:]

    async def keep(self, body: UploadBody) -> str:
        """Sync and name a whole upload; fires with its hash.

        Each keep() is followed by one settle(). Raises StoreFull.
        """
        sha256 = body.sha256()
        self.path_of(sha256)
        fd = body.take()
        await self._keep(sha256, body.path, lambda: fd)
        return sha256

    async def adopt(self, source: Path, sha256: str) -> None:
        """Move in a file of this disk whose hash was checked.

        Like keep(): one settle() follows. Raises StoreFull, NotFound.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        await self._keep(sha256, source, lambda: os.open(source, flags))

    async def _keep(self, sha256: str, source: Path, opened: Callable[[], int]) -> None:
        target = self.path_of(sha256)
        while sha256 in self._leaving:
            gone: Deferred[None] = Deferred()
            self._leaving[sha256].append(gone)
            await gone
        self._unsettled[sha256] += 1
        try:
            if await self._run_in_thread(lambda: _store(opened(), source, target)):
                self._fresh.add(sha256)
        except BaseException:
            await self.settle(sha256, wanted=False)
            raise

    async def settle(self, sha256: str, *, wanted: bool) -> None:
        """Say whether a kept file is referred to. One that is new and that
        nobody wanted is removed when the last upload of it has settled."""
        self._unsettled[sha256] -= 1
        if wanted:
            self._fresh.discard(sha256)
        if self._unsettled[sha256] > 0:
            return
        del self._unsettled[sha256]
        if sha256 in self._fresh:
            self._fresh.discard(sha256)
            path = self.path_of(sha256)
            with self.had() as ours:
                # Another process may refer to the same bytes by now; if not, the
                # next collection finds them.
                if ours:
                    await self._run_in_thread(lambda: path.unlink(missing_ok=True))

    def had(self) -> AbstractContextManager[bool]:
        """Keep other processes from bringing files; False if one is doing it."""
        return had(self._root)

    async def every(self) -> list[str]:
        """The hashes of all files on disk."""
        return await self._run_in_thread(lambda: _hashes(self._root))

    async def discard(
        self, sha256: str, wanted: Callable[[str], Awaitable[bool]]
    ) -> bool:
        """Remove a file unless somebody wants it; whether it was removed.

        An upload of the same bytes that is being settled keeps it; one that
        comes later waits until the file is gone, and brings it anew.
        """
        if self._unsettled[sha256] > 0 or sha256 in self._leaving:
            return False
        self._leaving[sha256] = []
        path = self.path_of(sha256)
        try:
            if await wanted(sha256):
                return False
            await self._run_in_thread(lambda: path.unlink(missing_ok=True))
            return True
        finally:
            for gone in self._leaving.pop(sha256):
                gone.callback(None)


class disk_errors:  # noqa: N801 - reads as a statement: `with disk_errors():`
    """A disk that takes no more is StoreFull; other faults stay OSError."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        """Translate."""
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise StoreFull("the disk is full") from error


def _store(fd: int, source: Path, target: Path) -> bool:
    """Sync, rename and sync the folder; True if the file is new. In a thread."""
    try:
        with disk_errors():
            os.fsync(fd)
            os.close(fd)
            fd = -1
            if target.exists():
                return False
            target.parent.mkdir(mode=0o700, exist_ok=True)
            source.rename(target)
            _sync_folder(target.parent)
            return True
    finally:
        if fd >= 0:
            os.close(fd)
        source.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The new name is on disk only when its folder is."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _hashes(root: Path) -> list[str]:
    names = (
        f"{path.parent.name}{path.name}" for path in root.glob("[0-9a-f][0-9a-f]/*")
    )
    return sorted(name for name in names if SHA256.fullmatch(name))
