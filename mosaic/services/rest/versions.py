"""Versions of a room's documents: list, name, read, rename, delete, restore."""

from __future__ import annotations

from mosaic.auth.interface import RoomUnavailable
from mosaic.config.settings import History
from mosaic.services.rest.documents import (
    AuthorsView,
    AuthorView,
    DocumentQuery,
    NewVersion,
    Restored,
    VersionPatch,
    Versions,
    VersionsQuery,
    VersionView,
)
from mosaic.services.rest.operations import BytesAnswer, Call, Operation, Who
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.rules import checked
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.live import LiveVersions
from mosaic.workspace.model import Principal
from mosaic.workspace.names import document_name, version_label
from mosaic.workspace.versions import Author, NotRestored, Version

UPDATE_TYPE = "application/octet-stream"


class VersionOperations:
    """Operations on the past of documents. live: where the state of now is."""

    def __init__(self, *, store: Store, live: LiveVersions, settings: History) -> None:
        self._store = store
        self._live = live
        self._settings = settings

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="listVersions",
                method="GET",
                path="/rooms/{hub_id}/versions",
                summary="Versions of the room's documents, newest first",
                tag="versions",
                who=Who.IN_ROOM,
                run=self.every,
                query=VersionsQuery,
                answer=Versions,
            ),
            Operation(
                id="nameVersion",
                method="POST",
                path="/rooms/{hub_id}/versions",
                summary="Keep a document as it is now, under a name",
                tag="versions",
                who=Who.EDITOR,
                run=self.name,
                body=NewVersion,
                answer=VersionView,
                status=201,
                refusals=(409, 423),
            ),
            Operation(
                id="readVersion",
                method="GET",
                path="/rooms/{hub_id}/versions/{version}",
                summary="The state of a version: a full Yjs update (v1)",
                tag="versions",
                who=Who.IN_ROOM,
                run=self.read,
                refusals=(304,),
                file=True,
            ),
            Operation(
                id="renameVersion",
                method="PATCH",
                path="/rooms/{hub_id}/versions/{version}",
                summary="Name a version, or take its name away",
                tag="versions",
                who=Who.EDITOR,
                run=self.rename,
                body=VersionPatch,
                answer=VersionView,
                refusals=(409,),
            ),
            Operation(
                id="deleteVersion",
                method="DELETE",
                path="/rooms/{hub_id}/versions/{version}",
                summary="Forget a version",
                tag="versions",
                who=Who.HOST,
                run=self.delete,
                status=204,
            ),
            Operation(
                id="restoreVersion",
                method="POST",
                path="/rooms/{hub_id}/versions/{version}/restore",
                summary="Make the document what it was, by a new edit for everybody",
                tag="versions",
                who=Who.EDITOR,
                run=self.restore,
                answer=Restored,
                refusals=(409, 423),
            ),
            Operation(
                id="listAuthors",
                method="GET",
                path="/rooms/{hub_id}/authors",
                summary="Who ever edited a document, and as which Yjs clients",
                tag="versions",
                who=Who.IN_ROOM,
                run=self.authors,
                query=DocumentQuery,
                answer=AuthorsView,
            ),
        )

    async def every(self, call: Call, body: None) -> Versions:
        """Of one document, or of all."""
        name = call.query.document
        if name is not None:
            name = checked(document_name, name, field="document")
        found = await self._store.versions(call.path["hub_id"], name)
        return Versions(versions=[version_view(one) for one in found])

    async def name(self, call: Call, body: NewVersion) -> VersionView:
        """Keep what is on the screen; 409 when there are too many."""
        hub_id = call.path["hub_id"]
        document = checked(document_name, body.document, field="document")
        label = checked(version_label, body.label, field="label")
        await self._check_open(hub_id)
        await self._check_room_for_one_more(hub_id, document)
        try:
            version = await self._live.name_version(
                hub_id, document, label=label, by=author_of(call.caller.known).id
            )
        except NotRestored as error:
            raise Refusal(409, str(error)) from None
        return version_view(version)

    async def read(self, call: Call, body: None) -> BytesAnswer:
        """The bytes; a version never changes, so they may be kept."""
        version = await self._find(call)
        hub_id = call.path["hub_id"]
        state = await self._store.version_state(hub_id, version.document, version.id)
        return BytesAnswer(
            data=state,
            media_type=UPDATE_TYPE,
            headers={
                "Content-Disposition": f'attachment; filename="{version.id}.ydoc"',
                "Cache-Control": "private, max-age=31536000, immutable",
                "ETag": f'"v{version.id}"',
            },
        )

    async def rename(self, call: Call, body: VersionPatch) -> VersionView:
        """Another name, or none: then it goes with the automatic ones."""
        version = await self._find(call)
        label = body.label
        if label is not None:
            label = checked(version_label, label, field="label")
        hub_id = call.path["hub_id"]
        if label is not None and version.label is None:
            await self._check_room_for_one_more(hub_id, version.document)
        changed = await self._store.label_version(
            hub_id, version.document, version.id, label
        )
        return version_view(changed)

    async def delete(self, call: Call, body: None) -> None:
        """Gone for good; the document itself is not touched."""
        version = await self._find(call)
        await self._store.remove_version(
            call.path["hub_id"], version.document, version.id
        )

    async def restore(self, call: Call, body: None) -> Restored:
        """What is there now is kept as a version first."""
        hub_id = call.path["hub_id"]
        version = await self._find(call)
        await self._check_open(hub_id)
        try:
            changed = await self._live.restore_version(
                hub_id,
                version.document,
                version.id,
                author=author_of(call.caller.known),
            )
        except NotRestored as error:
            raise Refusal(409, str(error)) from None
        return Restored(changed=changed)

    async def authors(self, call: Call, body: None) -> AuthorsView:
        """For colours: whose is an element or a range of text."""
        name = checked(document_name, call.query.document, field="document")
        found = await self._store.authors(call.path["hub_id"], name)
        return AuthorsView(authors=[author_view(one) for one in found])

    async def _find(self, call: Call) -> Version:
        wanted = int(call.path["version"])
        for version in await self._store.versions(call.path["hub_id"]):
            if version.id == wanted:
                return version
        raise NotFound("the room has no such version")

    async def _check_open(self, hub_id: str) -> None:
        room = await self._store.room(hub_id)
        if room.closed_at is not None:
            raise RoomUnavailable("closed")

    async def _check_room_for_one_more(self, hub_id: str, document: str) -> None:
        """Named versions are never forgotten: their number and size are bounded."""
        named = [v for v in await self._store.versions(hub_id) if v.label is not None]
        limit = self._settings.max_named
        if sum(version.document == document for version in named) >= limit:
            raise Refusal(409, f"a document may have {limit} named versions")
        if sum(version.kept_bytes for version in named) >= self._settings.room_bytes:
            raise Refusal(409, "the room's named versions take all their space")


def author_of(principal: Principal) -> Author:
    """Somebody who edits over REST; a session has no participant."""
    return Author(
        id=principal.participant_id or f"account:{principal.account}",
        name=principal.name,
        account=principal.account,
    )


def version_view(version: Version) -> VersionView:
    """As the API shows it."""
    return VersionView(
        id=version.id,
        document=version.document,
        at=version.at,
        label=version.label,
        reason=version.reason,
        by=version.by or None,
        size_bytes=version.size_bytes,
        authors=[author_view(one) for one in version.authors],
    )


def author_view(author: Author) -> AuthorView:
    """As the API shows them."""
    return AuthorView(
        id=author.id,
        name=author.name,
        account=author.account,
        client_ids=list(author.client_ids),
    )
