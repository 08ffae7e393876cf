# mypy: disable-error-code="no-untyped-call"
# (twisted.web has few annotations)
"""The built web client: files known by name at the start, and nothing else.

The folder is listed once. A request is answered from that list, so no path
that a client sends ever reaches the file system.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mosaic.services.rest.dispatch import send_file
from mosaic.services.rest.operations import FileAnswer
from mosaic.services.rest.security import HUB_POLICY

PAGES = frozenset({"", "index.html", "present", "hub", "netcheck", "admin", "setup"})
JOIN = re.compile(r"join/[0-9]{9,10}")
HASHED = re.compile(r"(^|/)assets/.+[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
NOT_BUILT = (
    "Mosaic is running, but its web client has not been built.\n\n"
    "Install it with `pip install .` (which builds the client), or run\n"
    "`npm ci && npm run build` in the folder web/, and start again.\n"
    "The API is at /api/v1/openapi.json.\n"
)

_log = Logger()


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the client. tag: changes when the file does."""

    path: Path
    media_type: str
    cache: str
    tag: str


def list_files(folder: Path) -> dict[str, StaticFile]:
    """Every plain file below the folder by its name in URLs; hidden files and
    symbolic links are left out. Empty if there is no folder."""
    found: dict[str, StaticFile] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if hidden or path.is_symlink() or not path.is_file():
            continue
        stat = path.stat()
        found[name] = StaticFile(
            path=path,
            media_type=MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
            cache=IMMUTABLE if HASHED.search(name) else REVALIDATE,
            tag=f"{stat.st_mtime_ns:x}-{stat.st_size:x}",
        )
    return found


class Pages(Resource):
    """Everything that is no API: the client's pages and files."""

    isLeaf = True

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._files: Mapping[str, StaticFile] = list_files(folder)

    def render_GET(self, request: Any) -> Any:
        """A page, a file, or 404. HEAD comes here as well."""
        try:
            name = b"/".join([*request.prepath, *request.postpath]).decode("utf-8")
        except UnicodeDecodeError:
            return plain(request, 404, "There is no such page.\n")
        if name == "hub":
            request.setHeader("Content-Security-Policy", HUB_POLICY)
        if name in PAGES or JOIN.fullmatch(name):
            name = "index.html"
            if name not in self._files:
                return plain(request, 404, NOT_BUILT)
        file = self._files.get(name)
        if file is None:
            return plain(request, 404, "There is no such page.\n")
        self._send(request, name, file)
        return NOT_DONE_YET

    def render(self, request: Any) -> Any:
        """GET and HEAD; 405 for the rest."""
        if request.method not in {b"GET", b"HEAD"}:
            request.setHeader("Allow", "GET, HEAD")
            return plain(request, 405, "This page can only be read.\n")
        return self.render_GET(request)

    def _send(self, request: Any, name: str, file: StaticFile) -> None:
        path, encoding = self._variant(request, name, file)
        headers = {
            "Cache-Control": file.cache,
            "Vary": "Accept-Encoding",
            "ETag": f'"{file.tag}{encoding and "-" + encoding}"',
        }
        if encoding:
            headers["Content-Encoding"] = encoding
        answer = FileAnswer(path=str(path), media_type=file.media_type, headers=headers)
        sending = Deferred.fromCoroutine(send_file(request, answer))
        sending.addCallback(lambda body: finish(request, body))
        sending.addErrback(request.processingFailed)

    def _variant(self, request: Any, name: str, file: StaticFile) -> tuple[Path, str]:
        """The compressed twin of a file, if there is one that the client takes."""
        accepted = accepted_encodings(request.getHeader("accept-encoding") or "")
        for encoding, suffix in ENCODINGS:
            twin = self._files.get(name + suffix)
            if encoding in accepted and twin is not None:
                return twin.path, encoding
        return file.path, ""


def accepted_encodings(header: str) -> set[str]:
    """The codings of an Accept-Encoding header (RFC 9110 section 12.5.3), but
    for those with a weight of zero."""
    found = set()
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if not any(re.fullmatch(r"q=0(\.0*)?", one) for one in parameters):
            found.add(name)
    return found


def plain(request: Any, status: int, text: str) -> bytes:
    """Set up a short answer in plain text and give its bytes."""
    body = text.encode()
    request.setResponseCode(status)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    request.setHeader("Content-Length", str(len(body)))
    request.setHeader("Cache-Control", "no-store")
    return body


def finish(request: Any, body: bytes = b"") -> None:
    """Write the rest and end the answer, unless the client has gone."""
    if not request._disconnected and not request.finished:
        request.write(body)
        request.finish()
