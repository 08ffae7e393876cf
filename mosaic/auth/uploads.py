"""Links by which an account shares a file: one to upload, one to download.

XMPP asks for them, REST serves them; both links hold a secret of 256 bits, of
which only the digest is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from mosaic.auth import tokens
from mosaic.store.belongings import Belongings, Upload
from mosaic.workspace.media import media_type
from mosaic.workspace.names import file_name

UPLOADS_PATH = "/api/v1/uploads"
"""Where REST serves: `…/<secret>` takes one PUT, `…/<secret>/<name>` GETs."""


class UploadTooLarge(Exception):
    """The file is larger than any may be. max_bytes: how large one may be."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"a file may have {max_bytes} bytes")
        self.max_bytes = max_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLinks:
    """Where the file goes, and where others find it."""

    put_url: str
    get_url: str


class UploadDesk:
    """Gives out slots.

    wall: Unix seconds now. web: where the web side is, without a slash at the
    end. max_bytes: of one file; bytes_per_day: of one account's files.
    slot_s: how long a slot waits for its upload to begin.
    """

    def __init__(
        self,
        store: Belongings,
        *,
        wall: Callable[[], float],
        web: Callable[[], str],
        max_bytes: int,
        bytes_per_day: int,
        slot_s: float,
    ) -> None:
        self._store = store
        self._wall = wall
        self._web = web
        self._bytes_per_day = bytes_per_day
        self._slot_s = slot_s
        self.max_bytes = min(max_bytes, bytes_per_day)

    async def slot(
        self, account: str, *, name: str, size_bytes: int, kind: str | None
    ) -> UploadLinks:
        """Links for a file of exactly that size and kind (a media type).

        Raises UploadTooLarge, QuotaExceeded, NotFound for no account, and
        ValueError for a size or a name that cannot be.
        """
        if size_bytes <= 0:
            raise ValueError("a file has at least one byte")
        if size_bytes > self.max_bytes:
            raise UploadTooLarge(self.max_bytes)
        shown = file_name(name)
        put, get, now = tokens.mint(), tokens.mint(), self._wall()
        upload = Upload(
            account=account,
            put_digest=tokens.digest(put),
            get_digest=tokens.digest(get),
            name=shown,
            media_type=media_type(kind),
            size_bytes=size_bytes,
            created_at=now,
            expires_at=now + self._slot_s,
        )
        await self._store.add_upload(upload, bytes_per_day=self._bytes_per_day)
        base = f"{self._web()}{UPLOADS_PATH}"
        return UploadLinks(
            put_url=f"{base}/{put}", get_url=f"{base}/{get}/{quote(shown, safe='')}"
        )
