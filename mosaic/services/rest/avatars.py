"""Pictures of people by their hash, for clients that saw it in presence."""

from __future__ import annotations

from mosaic.services.rest.operations import BytesAnswer, Call, Operation, Who
from mosaic.services.rest.security import SANDBOX_POLICY
from mosaic.store.interface import Store


class Avatars:
    """The one operation on them. The hash is 160 bits that only those know who
    see the person."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="downloadAvatar",
                method="GET",
                path="/avatars/{sha1}",
                summary="The picture that somebody has now, by its SHA-1",
                tag="avatars",
                who=Who.ANYONE,
                run=self.download,
                refusals=(304,),
                file=True,
            ),
        )

    async def download(self, call: Call, body: None) -> BytesAnswer:
        """PNG, JPEG, GIF or WebP: its bytes were looked at when it was set."""
        avatar = await self._store.avatar(call.path["sha1"])
        return BytesAnswer(
            data=avatar.data,
            media_type=avatar.media_type,
            headers={
                "Content-Security-Policy": SANDBOX_POLICY,
                "Cache-Control": "public, max-age=31536000, immutable",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "ETag": f'"{avatar.sha1}"',
            },
        )
