"""Which web origins may open a websocket here (RFC 6454, RFC 6455 section 10.2)."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_allowed(origin: str | None, host: str, allowed: Collection[str]) -> bool:
    """Whether a request with this Origin header may upgrade.

    origin: the header, None if there was none (not a browser: the token alone
    decides). host: the Host header. allowed: further origins, each exactly as
    a browser writes it ("https://meet.example.org"); no wildcards.

    The origin must be the host that was asked, with the same port, or one of
    allowed. "null" (sandboxed frames, files) is never allowed.
    """
    if origin is None:
        return True
    if origin in allowed:
        return origin != "null"
    try:
        parts = urlsplit(origin)
        asked = urlsplit(f"{parts.scheme}://{host}")
        same = _authority(parts) == _authority(asked)
    except ValueError:  # a port that is no number, brackets that do not close
        return False
    bare = origin == f"{parts.scheme}://{parts.netloc}"
    return bare and same and parts.scheme in DEFAULT_PORTS and bool(parts.hostname)


def _authority(url: SplitResult) -> tuple[str | None, int | None, str | None]:
    """Host, port with its default filled in, and user (which no origin has)."""
    return url.hostname, url.port or DEFAULT_PORTS.get(url.scheme), url.username
