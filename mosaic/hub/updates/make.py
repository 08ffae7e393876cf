"""Puts the updates of one hub together. Needs the library tuf (extra `hub`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThreadPool

from mosaic.hub.updates.client import FeedClient
from mosaic.hub.updates.fetching import HttpDownload
from mosaic.hub.updates.install import Slots
from mosaic.hub.updates.updates import HubUpdates
from mosaic.proxy.client import Dialler, http_client

FEED = "updates"


def make_updates(
    reactor: Any,
    dialler: Dialler,
    *,
    state: Path,
    server: str,
    public_key: bytes,
    root: bytes | None,
    strict: bool,
    supervised: bool | None = None,
) -> HubUpdates:
    """state: the hub's state folder. server: https://host[:port]. public_key: 32
    octets. root: the feed's first root, if it was given by hand."""
    client = FeedClient(
        folder=state / FEED,
        base_url=f"{server.rstrip('/')}/{FEED}",
        download=HttpDownload(reactor, http_client(dialler, keep=True)),
        root=root,
    )
    return HubUpdates(
        folder=state,
        client=client,
        slots=Slots(state / "slots"),
        public_key=public_key,
        clock=reactor,
        run_in_thread=partial(deferToThreadPool, reactor, reactor.getThreadPool()),
        strict=strict,
        supervised=supervised,
    )
