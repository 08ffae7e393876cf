# mypy: disable-error-code="no-untyped-call"
# (twisted.web has few annotations)
"""TCP 80: the way to https, and tokens of ACME's http-01; nothing else, ever."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from mosaic.services.rest.channel import Deadlines
from mosaic.services.rest.pages import plain
from mosaic.services.rest.site import MosaicSite, SmallBodies

MAX_TOKEN_BYTES = 4096
WELL_KNOWN = Path(".well-known") / "acme-challenge"
_CHALLENGE = re.compile(rb"/\.well-known/acme-challenge/([A-Za-z0-9_-]{1,128})")


def redirect_site(
    reactor: IReactorTime,
    *,
    https_url: Callable[[], str | None],
    acme_webroot: Path | None,
    deadlines: Deadlines,
) -> MosaicSite:
    """A protocol factory for the plain listener.

    https_url: our address for everybody. acme_webroot: where an ACME client puts
    `.well-known/acme-challenge/TOKEN` (certbot's --webroot); None: nowhere.
    """
    return MosaicSite(
        Redirect(https_url, acme_webroot),
        reactor=reactor,
        bodies=SmallBodies(0),
        deadlines=deadlines,
    )


class Redirect(Resource):
    """Answers every path.

    The address to go to is the configured one, never the Host header's: whoever
    asks must not be able to say where others are sent.
    """

    isLeaf = True

    def __init__(
        self, https_url: Callable[[], str | None], acme_webroot: Path | None
    ) -> None:
        super().__init__()
        self._https_url = https_url
        self._folder = None if acme_webroot is None else acme_webroot / WELL_KNOWN

    def render_GET(self, request: Any) -> bytes:
        """A token (RFC 8555 section 8.3), or 301 to the same path on https."""
        path: bytes = request.uri.partition(b"?")[0]
        if path.startswith(b"/.well-known/acme-challenge/"):
            return self._token(request, path)
        base = self._https_url()
        if base is None:
            return plain(request, 404, "there is no https here\n")
        # An absolute form, or anything odd, goes to the front page.
        where = request.uri if request.uri.startswith(b"/") else b"/"
        request.setHeader("Location", base.encode("ascii") + where)
        return plain(request, 301, f"{base}/\n")

    def render(self, request: Any) -> bytes:
        """GET and HEAD alone: what else was sent is already read by others."""
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return plain(request, 405, "use https\n")
        return self.render_GET(request)

    def _token(self, request: Any, path: bytes) -> bytes:
        match = _CHALLENGE.fullmatch(path)
        text = None
        if match and self._folder is not None:
            text = _read_token(self._folder / match[1].decode("ascii"))
        if text is None:
            return plain(request, 404, "no such token\n")
        return plain(request, 200, text)


def _read_token(path: Path) -> str | None:
    """A small plain file of ASCII, else None; no link is followed."""
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            data = file.read(MAX_TOKEN_BYTES + 1)
        return data.decode("ascii") if len(data) <= MAX_TOKEN_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None
