"""A hub's eyes on a feed, for tests: what it gets to see may be changed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.updates.client import Box, FeedClient, Found, Offer
from mosaic.hub.updates.errors import UpdateError
from mosaic.hub.updates.install import Slots
from mosaic.workspace.releases import Installed
from tests.support.feeds import Publisher

DAY_S = 86400.0
BASE = "https://server/updates"
ENDLESS = b"x" * 65536


class Served:
    """What a hub gets to see of a folder. changed: other bytes, by the end of a
    URL; a function is given what is there. asked: every URL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed: dict[str, bytes | Callable[[bytes], bytes] | None] = {}
        self.endless: str | None = None
        self.asked: list[str] = []

    def __call__(self, url: str, file: IO[bytes], max_bytes: int) -> None:
        """A Download, bounded as the real one is."""
        self.asked.append(url)
        name = url.removeprefix(f"{BASE}/")
        if self.endless and name.endswith(self.endless):
            self.pour(file, max_bytes)
        path = self.folder / name
        data = path.read_bytes() if path.is_file() else None
        for end, other in self.changed.items():
            if name.endswith(end):
                data = other(data or b"") if callable(other) else other
        if data is None:
            raise DownloadHTTPError("HTTP 404", 404)
        if len(data) > max_bytes:
            raise DownloadLengthMismatchError(f"{url} does not end")
        file.write(data)

    def pour(self, file: IO[bytes], max_bytes: int) -> None:
        """A body without an end."""
        while True:
            max_bytes -= len(ENDLESS)
            if max_bytes < 0:
                raise DownloadLengthMismatchError("does not end")
            file.write(ENDLESS)


class AttackCase(SynchronousTestCase):
    """A hub with 1.0 that has seen the feed once."""

    def setUp(self) -> None:
        """Everything is as it should be."""
        self.folder = Path(self.mktemp()).absolute()
        self.publisher = Publisher(self.folder / "publisher", now=time.time())
        self.begin()
        self.publisher.release("1.0")
        self.served = Served(self.publisher.feed.folder)
        self.client = self.hub("hub")
        self.slots = Slots(self.folder / "hub" / "slots")
        self.box = Box(installed=Installed(version="1.0"), ring=50)
        self.assertIsNone(self.client.look("stable", self.box).offer)

    def begin(self) -> None:
        """The ceremony, as each test needs it."""
        self.publisher.begin()

    def hub(self, name: str, root: bytes | None = None) -> FeedClient:
        """A hub's eyes."""
        return FeedClient(
            folder=self.folder / name / "updates",
            base_url=BASE,
            download=self.served,
            root=root,
        )

    def look(self) -> Found:
        """Ask the feed."""
        return self.client.look("stable", self.box)

    def offer(self) -> Offer:
        """What there is for this hub; there must be something."""
        offer = self.look().offer
        assert offer is not None
        return offer

    def refused(self, why: str, call: Callable[[], Any] | None = None) -> str:
        """Assert that it is refused for this reason, and that nothing changed."""
        error = self.assertRaises(UpdateError, call or self.look)
        self.assertEqual(error.why, why, str(error))
        self.assertEqual([*(self.folder / "hub").rglob("*.whl")], [])
        self.assertIsNone(self.slots.files.current())
        self.assertFalse((self.folder / "hub" / "slots").exists())
        return str(error)

    def copy_feed(self) -> Path:
        """The feed as it is now."""
        kept = self.folder / f"kept-{len([*self.folder.iterdir()])}"
        shutil.copytree(self.publisher.feed.folder, kept)
        return kept
