# mypy: disable-error-code="no-untyped-call"
# (twisted.web.iweb has no annotations)
"""Large documents by HTTP: the states that DRCP refers to (snapshotRef)."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from mosaic.services.rest.operations import BytesAnswer, Call, Operation, Who
from mosaic.store.interface import NotFound

FindState = Callable[[str, str], bytes | None]
"""From Hub ID and SHA-256 to a gzipped Yjs update, if this node has it."""


class DocumentStates:
    """The one operation that joining a large document needs."""

    def __init__(self, *, find: FindState) -> None:
        self._find = find

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="downloadState",
                method="GET",
                path="/rooms/{hub_id}/states/{sha256}",
                summary="A document's state that DRCP referred to (a Yjs update)",
                tag="documents",
                who=Who.IN_ROOM,
                run=self.download,
                refusals=(304,),
                file=True,
            ),
        )

    async def download(self, call: Call, body: None) -> BytesAnswer:
        """Gzipped for those who take it; it never changes under its name."""
        etag = call.path["sha256"]
        packed = self._find(call.path["hub_id"], etag)
        if packed is None:
            raise NotFound("this state is not kept any more")
        headers = {
            "ETag": f'"{etag}"',
            "Cache-Control": "private, max-age=3600, immutable",
            "Vary": "Accept-Encoding, Authorization",
            "Content-Disposition": "attachment",
        }
        accepted = call.request.getHeader("accept-encoding") or ""
        if "gzip" in accepted.lower():
            headers["Content-Encoding"] = "gzip"
        else:
            packed = gzip.decompress(packed)
        return BytesAnswer(
            data=packed, media_type="application/octet-stream", headers=headers
        )
