# mypy: disable-error-code="no-untyped-call"
# (twisted.web has few annotations)
"""The feed of signed releases at /updates/: plain files under names of two shapes.

Nothing here is trusted by those who read it (TUF), and nobody has to log in. A
request is matched whole before the file system hears of it, so no path leads out
of the folder; what is published while the server runs is served at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mosaic.services.rest.dispatch import send_file
from mosaic.services.rest.operations import FileAnswer
from mosaic.services.rest.pages import IMMUTABLE, finish, plain

TIMESTAMP = "metadata/timestamp.json"
NAMES = re.compile(
    r"metadata/(timestamp|[1-9][0-9]{0,18}\.[a-z][a-z0-9-]{0,15})\.json"
    r"|targets/[a-z][a-z0-9-]{0,15}/[0-9a-f]{64}\.[A-Za-z0-9][A-Za-z0-9._+!-]{0,330}"
)
"""Every other name has the version or the hash of its content in it."""


class UpdateFiles(Resource):
    """Serves a folder as mosaic.release.feed lays it out."""

    isLeaf = True

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def render(self, request: Any) -> Any:
        """GET and HEAD; 405 for the rest."""
        if request.method not in {b"GET", b"HEAD"}:
            request.setHeader("Allow", "GET, HEAD")
            return plain(request, 405, "This can only be read.\n")
        name = b"/".join(request.postpath).decode("latin-1")
        if not NAMES.fullmatch(name):
            return plain(request, 404, "There is no such file.\n")
        path = self._folder / name
        if path.is_symlink() or not path.is_file():
            return plain(request, 404, "There is no such file.\n")
        answer = FileAnswer(
            path=str(path),
            media_type="application/json"
            if name.endswith(".json")
            else "application/octet-stream",
            headers={"Cache-Control": "no-cache" if name == TIMESTAMP else IMMUTABLE},
        )
        sending = Deferred.fromCoroutine(send_file(request, answer))
        sending.addCallback(lambda body: finish(request, body))
        sending.addErrback(request.processingFailed)
        return NOT_DONE_YET
