# mypy: disable-error-code="no-untyped-call"
# (twisted.web.iweb has no annotations)
"""Files that accounts share by links (XEP-0363): the HTTP half of it.

The link is the permission: a slot takes one file of exactly the size and kind
that it was asked for, and whoever has the other link may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mosaic.auth import tokens
from mosaic.services.rest.blobfiles import BlobFiles, UploadBody
from mosaic.services.rest.gate import Gate
from mosaic.services.rest.operations import Call, FileAnswer, Operation, Who
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.security import SANDBOX_POLICY
from mosaic.services.rest.site import BoundedRequest
from mosaic.store.belongings import Upload
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.media import UNKNOWN_TYPE, media_type, shown_type

SLOT_PATH = re.compile(rb"/api/v1/uploads/(ms_[A-Za-z0-9_-]{43})")


class SlotBody(UploadBody):
    """The body of an upload to a slot; freed() once, when it is over."""

    def __init__(self, path: Path, limit_bytes: int, freed: Callable[[], None]) -> None:
        super().__init__(path, limit_bytes)
        self._freed: Callable[[], None] | None = freed

    def close(self) -> None:
        """Keep nothing, and let others try."""
        super().close()
        freed, self._freed = self._freed, None
        if freed is not None:
            freed()


class SharedFiles:
    """Slots and what is in them. now: Unix seconds."""

    def __init__(
        self,
        *,
        gate: Gate,
        store: Store,
        files: BlobFiles,
        max_upload_bytes: int,
        now: Callable[[], float],
    ) -> None:
        self._gate = gate
        self._store = store
        self._files = files
        self._max = max_upload_bytes
        self._now = now
        self._filling: set[bytes] = set()

    def slot_of(self, method: bytes, path: bytes) -> bytes | None:
        """The digest of the slot that a request is for, None for others."""
        match = SLOT_PATH.fullmatch(path) if method == b"PUT" else None
        return None if match is None else tokens.digest(match[1].decode("ascii"))

    def body_for(
        self, request: BoundedRequest, slot: bytes, length: int | None
    ) -> UploadBody:
        """Disk, once the slot has been found good. Raises Refusal.

        The length must be declared: that is what the slot was given for.
        """
        if length is None:
            raise Refusal(411, "say Content-Length: the slot is for a known size")
        if length > self._max:
            raise Refusal(413, f"a file may have {self._max} bytes")
        if slot in self._filling:
            raise Refusal(409, "this slot is being filled")
        self._filling.add(slot)
        try:
            body = self._files.receive(
                length,
                lambda path, limit: SlotBody(
                    path, limit, lambda: self._filling.discard(slot)
                ),
            )
        except BaseException:
            self._filling.discard(slot)
            raise
        request.is_upload = True
        request.hold_until(self._admit(request, slot, length))
        return body

    async def _admit(self, request: BoundedRequest, slot: bytes, length: int) -> None:
        """Only a good slot is written to. Raises Refusal, NotFound, TryLater."""
        await self._gate.admit(request, Who.ANYONE)
        wanted = await self._store.upload_slot(slot, now=self._now())
        if length != wanted.size_bytes:
            raise Refusal(413, f"this slot is for {wanted.size_bytes} bytes")
        claimed = request.getHeader("content-type")
        told = wanted.media_type != UNKNOWN_TYPE and claimed is not None
        if told and media_type(claimed) != wanted.media_type:
            raise Refusal(415, f"this slot is for {wanted.media_type}")

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="fillUploadSlot",
                method="PUT",
                path="/uploads/{slot}",
                summary="Upload a file to a slot that XMPP gave out; once",
                tag="uploads",
                who=Who.ANYONE,
                run=self.fill,
                status=201,
                refusals=(409, 411, 413, 415),
                upload=True,
            ),
            Operation(
                id="downloadUpload",
                method="GET",
                path="/uploads/{slot}/{filename}",
                summary="Download a file that somebody shares by this link",
                tag="uploads",
                who=Who.ANYONE,
                run=self.download,
                refusals=(304,),
                file=True,
            ),
        )

    async def fill(self, call: Call, body: None) -> None:
        """Keep the body that has arrived. NotFound for a slot that is none."""
        slot = tokens.digest(call.path["slot"])
        content: Any = call.request.content
        if not isinstance(content, SlotBody) or content.closed:
            await self._store.upload_slot(slot, now=self._now())
            raise Refusal(413, "the file is not the one that the slot is for")
        sha256 = await self._files.keep(content)
        try:
            await self._store.fill_upload(slot, sha256)
        except BaseException:
            await self._files.settle(sha256, wanted=False)
            raise
        await self._files.settle(sha256, wanted=True)

    async def download(self, call: Call, body: None) -> FileAnswer:
        """The bytes, always as an attachment; only what no browser runs is
        called what it is."""
        upload = await self._store.upload(tokens.digest(call.path["slot"]))
        if upload.sha256 is None:
            raise NotFound("there is no such upload")
        kind = shown_type(upload.media_type)
        return FileAnswer(
            path=str(self._files.path_of(upload.sha256)),
            media_type="text/plain; charset=utf-8" if kind == "text/plain" else kind,
            headers={
                "Content-Disposition": _disposition(upload),
                "Content-Security-Policy": SANDBOX_POLICY,
                "Cache-Control": "private, max-age=31536000, immutable",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "ETag": f'"{upload.sha256}"',
            },
        )


def _disposition(upload: Upload) -> str:
    """RFC 6266: the name in UTF-8, and a plain one for old readers."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", upload.name)
    return (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''"
        f"{quote(upload.name, safe='')}"
    )
