# mypy: disable-error-code="no-untyped-call"
# (twisted.web.iweb has no annotations)
"""Files of a room: uploads streamed to disk, downloads as attachments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO

from mosaic.auth.interface import InvalidToken, RoomUnavailable
from mosaic.services.rest.blobfiles import BlobFiles, UploadBody
from mosaic.services.rest.documents import BlobView
from mosaic.services.rest.gate import Gate, bearer_token
from mosaic.services.rest.operations import Call, FileAnswer, Operation, Who
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.security import SANDBOX_POLICY
from mosaic.services.rest.site import BoundedRequest, SmallBodies
from mosaic.services.rest.uploads import SharedFiles
from mosaic.store.interface import Store
from mosaic.workspace.media import media_type
from mosaic.workspace.model import Blob

IMPORT_PATH = b"/api/v1/imports"
HUB_FILE_PATH = re.compile(rb"/api/v1/hubs/([0-9]{9})/commands/[0-9a-f]{32}/file")
UPLOAD_PATH = re.compile(rb"/api/v1/rooms/([0-9]{9})/blobs")


class Uploads:
    """Which bodies go to disk: those of POST …/blobs and POST /imports by
    somebody who may, the files of hubs, and those to slots.

    The token is looked up before the body is read on, so that a stranger
    cannot fill the disk. Every other body goes to memory.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        files: BlobFiles,
        shared: SharedFiles,
        max_upload_bytes: int,
        max_body_bytes: int,
        max_archive_bytes: int,
        max_hub_file_bytes: int,
        check_import: Callable[[], None],
    ) -> None:
        self._gate = gate
        self._files = files
        self._shared = shared
        self._max = max_upload_bytes
        self._max_archive = max_archive_bytes
        self._max_hub_file = max_hub_file_bytes
        self._check_import = check_import
        self._small = SmallBodies(max_body_bytes)

    def body_for(
        self, request: BoundedRequest, method: bytes, path: bytes, length: int | None
    ) -> IO[bytes]:
        """Disk for an upload, memory for the rest.

        Raises Refusal, InvalidToken, TryLater.
        """
        slot = self._shared.slot_of(method, path)
        if slot is not None and length != 0:
            return self._shared.body_for(request, slot, length)  # type: ignore[return-value]  # as below
        hub = HUB_FILE_PATH.fullmatch(path)
        if method == b"PUT" and length != 0 and hub is not None:
            hub_id = hub[1].decode("ascii")
            return self._receive(request, length, self._max_hub_file, Who.HUB, hub_id)
        match = UPLOAD_PATH.fullmatch(path)
        if method == b"POST" and length != 0 and path == IMPORT_PATH:
            return self._receive(request, length, self._max_archive, Who.SESSION, None)
        if method != b"POST" or match is None or length == 0:
            return self._small.body_for(request, method, path, length)
        hub_id = match[1].decode("ascii")
        return self._receive(request, length, self._max, Who.EDITOR, hub_id)

    def _receive(
        self,
        request: BoundedRequest,
        length: int | None,
        limit: int,
        who: Who,
        hub_id: str | None,
    ) -> IO[bytes]:
        if bearer_token(request) is None:
            raise InvalidToken
        if length is not None and length > limit:
            raise Refusal(413, f"a file may have {limit} bytes")
        if hub_id is None:
            self._check_import()
        request.is_upload = True
        body = self._files.receive(limit)
        request.hold_until(self._gate.admit(request, who, hub_id=hub_id))
        return body  # type: ignore[return-value]  # RawIOBase is an IO[bytes] in all we use


class BlobOperations:
    """Operations on a room's files. now: Unix seconds."""

    def __init__(
        self, *, store: Store, files: BlobFiles, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._files = files
        self._now = now

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="uploadBlob",
                method="POST",
                path="/rooms/{hub_id}/blobs",
                summary="Upload a file; the same content is kept once",
                tag="blobs",
                who=Who.EDITOR,
                run=self.upload,
                answer=BlobView,
                status=201,
                refusals=(413, 422, 423),
                upload=True,
            ),
            Operation(
                id="downloadBlob",
                method="GET",
                path="/rooms/{hub_id}/blobs/{sha256}",
                summary="Download a file of the room, always as an attachment",
                tag="blobs",
                who=Who.IN_ROOM,
                run=self.download,
                refusals=(304,),
                file=True,
            ),
        )

    async def upload(self, call: Call, body: None) -> BlobView:
        """Keep the body that has arrived, and note that the room refers to it."""
        hub_id = call.path["hub_id"]
        content = call.request.content
        if not isinstance(content, UploadBody) or content.size_bytes == 0:
            raise Refusal(422, "the file is empty")
        room = await self._store.room(hub_id)
        if room.closed_at is not None:
            raise RoomUnavailable("closed")
        if content.closed:
            raise Refusal(400, "the upload was broken off")
        size = content.size_bytes
        sha256 = await self._files.keep(content)
        blob = Blob(
            sha256=sha256,
            size_bytes=size,
            media_type=media_type(call.request.getHeader("content-type")),
            created_at=self._now(),
        )
        try:
            await self._store.add_blob(hub_id, blob)
        except BaseException:
            await self._files.settle(sha256, wanted=False)
            raise
        await self._files.settle(sha256, wanted=True)
        return BlobView(
            sha256=sha256,
            size_bytes=size,
            media_type=blob.media_type,
            url=f"/api/v1/rooms/{hub_id}/blobs/{sha256}",
        )

    async def download(self, call: Call, body: None) -> FileAnswer:
        """The bytes; sandboxed, so that no browser runs what is inside."""
        blob = await self._store.blob(call.path["hub_id"], call.path["sha256"])
        return FileAnswer(
            path=str(self._files.path_of(blob.sha256)),
            media_type=blob.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{blob.sha256}"',
                "Content-Security-Policy": SANDBOX_POLICY,
                "Cache-Control": "private, max-age=31536000, immutable",
                "ETag": f'"{blob.sha256}"',
            },
        )
