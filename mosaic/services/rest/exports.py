"""Export and import of rooms, as the API offers them; the work is the desk's."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mosaic.export.formats import MEDIA_TYPES
from mosaic.services.rest.blobfiles import BlobFiles, UploadBody
from mosaic.services.rest.documents import ExportQuery, ExportView, RoomView
from mosaic.services.rest.exportdesk import ExportDesk, RoomExport
from mosaic.services.rest.operations import Call, FileAnswer, Operation, Who
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.security import SANDBOX_POLICY
from mosaic.workspace.model import Room

ZIP = "application/zip"


class ExportOperations:
    """Operations of exports and imports. view: a room as its hosts see it."""

    def __init__(
        self,
        *,
        desk: ExportDesk,
        files: BlobFiles,
        view: Callable[[Room], RoomView],
    ) -> None:
        self._desk = desk
        self._files = files
        self._view = view

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        one = "/rooms/{hub_id}/exports/{export_id}"
        return (
            Operation(
                id="startExport",
                method="POST",
                path="/rooms/{hub_id}/exports",
                summary="Begin to write the room as one archive; one at a time",
                tag="exports",
                who=Who.EDITOR,
                run=self.start,
                answer=ExportView,
                status=202,
            ),
            Operation(
                id="showExport",
                method="GET",
                path=one,
                summary="How far an export is",
                tag="exports",
                who=Who.EDITOR,
                run=self.show,
                answer=ExportView,
            ),
            Operation(
                id="cancelExport",
                method="DELETE",
                path=one,
                summary="End an export, or remove its archive",
                tag="exports",
                who=Who.EDITOR,
                run=self.cancel,
                status=204,
            ),
            Operation(
                id="downloadExport",
                method="GET",
                path=one + "/archive",
                summary="Download a finished archive (ZIP), as an attachment",
                tag="exports",
                who=Who.EDITOR,
                run=self.download,
                refusals=(409,),
                file=True,
            ),
            Operation(
                id="exportDocument",
                method="GET",
                path="/rooms/{hub_id}/documents/{document}/export",
                summary="One document in one format, as an attachment. The board:"
                " svg, png, pdf, excalidraw, ydoc; notes: html, md, docx, ydoc",
                tag="exports",
                who=Who.IN_ROOM,
                run=self.document,
                query=ExportQuery,
                refusals=(500, 507),
                file=True,
            ),
            Operation(
                id="importRoom",
                method="POST",
                path="/imports",
                summary="Make a new room of an archive; it belongs to the caller",
                tag="exports",
                who=Who.SESSION,
                run=self.take_in,
                answer=RoomView,
                status=201,
                refusals=(413, 422, 500),
                upload=True,
            ),
        )

    async def start(self, call: Call, body: None) -> ExportView:
        """Queue it."""
        caller = call.caller.known
        by = caller.account or caller.name
        return _shown(await self._desk.start(call.path["hub_id"], by=by))

    async def show(self, call: Call, body: None) -> ExportView:
        """Look."""
        return _shown(self._find(call))

    async def cancel(self, call: Call, body: None) -> None:
        """End it."""
        self._desk.cancel(self._find(call))

    async def download(self, call: Call, body: None) -> FileAnswer:
        """The archive."""
        export = self._find(call)
        if export.state != "ready":
            raise Refusal(409, f"the export is {export.state}")
        room = await self._desk.room_name(export.hub_id)
        return _attachment(export.folder / "out", ZIP, room, "zip")

    async def document(self, call: Call, body: None) -> FileAnswer:
        """One document; the file is removed when it has been sent."""
        query: ExportQuery = call.query
        hub_id, name = call.path["hub_id"], call.path["document"]
        path = await self._desk.document(hub_id, name, query.format)
        request: Any = call.request
        request.notifyFinish().addBoth(lambda _: self._desk.remove(path.parent))
        room = await self._desk.room_name(hub_id)
        words = f"{room} {name.rpartition('/')[2]}"
        return _attachment(path, MEDIA_TYPES[query.format], words, query.format)

    async def take_in(self, call: Call, body: None) -> RoomView:
        """The body that has arrived becomes a room, or nothing does."""
        content: Any = call.request.content
        if not isinstance(content, UploadBody) or content.size_bytes == 0:
            raise Refusal(422, "the archive is empty")
        if content.closed:
            raise Refusal(400, "the upload was broken off")
        path = content.path.absolute()
        os.close(content.take())
        try:
            owner = call.caller.known.account
            room = await self._desk.take_in(path, self._files, owner)
        finally:
            path.unlink(missing_ok=True)
        return self._view(room)

    def _find(self, call: Call) -> RoomExport:
        return self._desk.find(call.path["hub_id"], call.path["export_id"])


def _shown(export: RoomExport) -> ExportView:
    url = f"/api/v1/rooms/{export.hub_id}/exports/{export.id}/archive"
    return ExportView(
        export_id=export.id,
        state=export.state,
        progress=round(export.progress, 3),
        step=export.step,
        detail=export.detail,
        size_bytes=export.size_bytes,
        created_at=export.created_at,
        expires_at=export.expires_at,
        url=url if export.state == "ready" else None,
    )


def _attachment(path: Path, media_type: str, words: str, suffix: str) -> FileAnswer:
    """A file that a browser saves under a name that people know, and runs
    nothing of."""
    whole = f"{file_stem(words)}.{suffix}"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", unicodedata.normalize("NFKD", whole))
    return FileAnswer(
        path=str(path),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{plain}";'
            f" filename*=UTF-8''{quote(whole, safe='')}",
            "Content-Security-Policy": SANDBOX_POLICY,
            "Cache-Control": "no-store",
        },
    )


def file_stem(words: str) -> str:
    """A name for a file, made of what a room is called."""
    kept = re.sub(r"[^\w .-]+", " ", words)
    return " ".join(kept.split()).strip(". ")[:80] or "room"
