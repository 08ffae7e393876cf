"""Live documents for those outside the collaboration service."""

from __future__ import annotations

from mosaic.services.drcp.document import LiveDocument
from mosaic.services.drcp.replica import CrdtError
from mosaic.services.drcp.service import DrcpService
from mosaic.store.interface import NotFound, Store, StoreError
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.workspace.versions import Author, NotRestored, Reason, Version


class DocumentHistory:
    """LiveVersions (workspace.live) over the rooms of the service.

    A room that nobody is in is loaded for it, and leaves memory as usual.
    """

    def __init__(self, service: DrcpService, store: Store) -> None:
        self._service = service
        self._store = store

    async def _document(self, hub_id: str, name: str) -> LiveDocument:
        """Raises NotFound, StoreError."""
        if name not in await self._store.document_names(hub_id):
            raise NotFound(f"there is no document {name}")
        try:
            room = await self._service.room(hub_id)
            return await room.desk.open(name)
        except ProtocolError as error:
            if error.code == 4404:
                raise NotFound(str(error)) from error
            raise StoreError(str(error)) from error

    async def name_version(
        self, hub_id: str, document: str, *, label: str, by: str
    ) -> Version:
        """Keep the present state under a name."""
        live = await self._document(hub_id, document)
        try:
            version = await live.versions.keep(Reason.NAMED, label=label, by=by)
        except CrdtError as error:
            raise NotRestored("the document cannot be read") from error
        assert version is not None  # one with a label is always kept
        return version

    async def restore_version(
        self, hub_id: str, document: str, version: int, *, author: Author
    ) -> bool:
        """Go back to a version by a new edit."""
        then = await self._store.version_state(hub_id, document, version)
        live = await self._document(hub_id, document)
        return await live.versions.restore(then, author)
