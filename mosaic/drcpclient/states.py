"""Fetching a large document's state by HTTP (snapshotRef)."""

# Twisted's web client is not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import gzip
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS

FETCH_S = 60.0


async def fetch_state(
    reactor: IReactorTime,
    websocket_url: str,
    path: str,
    token: str,
    *,
    policy: IPolicyForHTTPS | None = None,
) -> bytes:
    """The bytes at a path of the same server; b"" if they are not to be had."""
    parts = urlsplit(websocket_url)
    if not path.startswith("/api/v1/"):
        return b""
    scheme = "https" if parts.scheme == "wss" else "http"
    agent = Agent(
        reactor, contextFactory=policy or BrowserLikePolicyForHTTPS(), connectTimeout=10
    )
    headers = Headers(
        {"Authorization": [f"Bearer {token}"], "Accept-Encoding": ["gzip"]}
    )
    url = f"{scheme}://{parts.netloc}{path}".encode()
    asked = agent.request(b"GET", url, headers)
    asked.addTimeout(FETCH_S, reactor)
    try:
        response: Any = await asked
        read = readBody(response)
        read.addTimeout(FETCH_S, reactor)
        body: bytes = await read
        if response.code != 200:
            return b""
        packed = response.headers.getRawHeaders("Content-Encoding") == ["gzip"]
        return gzip.decompress(body) if packed else body
    except Exception:  # whatever it was: the document comes on the channel
        return b""
