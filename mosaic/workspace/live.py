"""What the REST service asks of live documents; the collaboration service does it."""

from __future__ import annotations

from typing import Protocol

from mosaic.workspace.versions import Author, Version


class LiveVersions(Protocol):
    """Versions that need the state of now.

    Each raises store.interface.NotFound for the room or document, StoreFull or
    StoreError when nothing could be saved.
    """

    async def name_version(
        self, hub_id: str, document: str, *, label: str, by: str
    ) -> Version:
        """Keep the present state under a name. Raises NotRestored."""

    async def restore_version(
        self, hub_id: str, document: str, version: int, *, author: Author
    ) -> bool:
        """Go back to a version by a new edit; False if nothing differs.

        Raises NotRestored when the state cannot be restored.
        """
