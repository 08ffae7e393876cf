"""The server's part of the feed: at the start, and again and again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.feedkeeper import FeedKeeper
from mosaic.config.settings import Updates
from mosaic.services.rest.health import Readyz
from tests.support.feeds import Publisher

HOUR_S = 3600.0


class FeedKeeperTests(SynchronousTestCase):
    """A clock for timers, and another one on the wall."""

    def setUp(self) -> None:
        """A feed whose timestamp was signed at NOW."""
        self.publisher = Publisher(Path(self.mktemp()).absolute())
        self.clock = Clock()
        self.wall = self.publisher.now
        self.keeper = FeedKeeper(
            folder=self.publisher.feed.folder,
            keys=self.publisher.online.folder,
            settings=Updates(),
            clock=self.clock,
            run_in_thread=self.at_once,
            now=lambda: self.wall,
        )

    def at_once(self, work: Any) -> Deferred[Any]:
        """A thread that takes no time."""
        return maybeDeferred(work)

    def version(self) -> int:
        """Of the timestamp."""
        file = self.publisher.feed.metadata / "timestamp.json"
        return int(json.loads(file.read_bytes())["signed"]["version"])

    def sleep(self, hours: float) -> None:
        """Both clocks go on."""
        for _ in range(int(hours)):
            self.wall += HOUR_S
            self.clock.advance(HOUR_S)

    def test_a_server_without_a_feed(self) -> None:
        """Does nothing, makes nothing, warns of nothing."""
        self.keeper.startService()
        self.sleep(3)
        self.assertFalse(self.publisher.feed.folder.exists())
        self.assertFalse(self.publisher.online.folder.exists())
        self.assertIsNone(self.keeper.warning())

    def test_at_the_start(self) -> None:
        """The server was off for two days: hubs wait."""
        self.publisher.begin()
        before = self.version()
        self.wall += 48 * HOUR_S
        self.keeper.startService()
        self.assertGreater(self.version(), before)

    def test_every_six_hours(self) -> None:
        """Four times a day, not with every look."""
        self.publisher.begin()
        self.keeper.startService()
        versions = set()
        for _ in range(24):
            self.sleep(1)
            versions.add(self.version())
        self.assertTrue(4 <= len(versions) <= 5, versions)
        self.keeper.stopService()
        last = self.version()
        self.sleep(7)
        self.assertEqual(self.version(), last)

    def test_what_must_be_signed_offline(self) -> None:
        """Told a month before hubs refuse it, and after it was done no more."""
        self.publisher.begin()
        self.keeper.startService()
        self.assertIsNone(self.keeper.warning())
        self.wall += 61 * 24 * HOUR_S
        self.sleep(1)
        self.assertIn("beta (2027-02-16)", self.keeper.warning() or "")
        self.assertNotIn("root", self.keeper.warning() or "")
        self.publisher.now = self.wall
        for channel in ("stable", "beta"):
            self.publisher.shop.renew(channel, days=90)
            self.publisher.sign(channel)
        self.publisher.publish()
        self.sleep(1)
        self.assertIsNone(self.keeper.warning())

    def test_what_goes_wrong_is_told(self) -> None:
        """In the log and on /readyz; the server goes on."""
        self.publisher.begin()
        for file in self.publisher.online.folder.iterdir():
            file.unlink()
        self.wall += 24 * HOUR_S
        with capturedLogs() as events:
            self.keeper.startService()
        self.assertIn("no timestamp key", events[0]["why"])
        readyz = Readyz({}, clock=self.clock, warnings={"updates": self.keeper.warning})
        request = Asked()
        readyz.render_GET(request)
        self.assertEqual(request.status, 200)
        said = json.loads(request.body)
        self.assertTrue(said["ready"])
        self.assertIn("the log says why", said["warnings"]["updates"])
        self.assertNotIn(str(self.publisher.folder), request.body.decode())


class Asked:
    """As much of a request as /readyz needs."""

    _disconnected = finished = False
    status = 0
    body = b""

    def setResponseCode(self, status: int) -> None:
        """Remember it."""
        self.status = status

    def setHeader(self, name: str, value: str) -> None:
        """Nobody looks."""

    def write(self, data: bytes) -> None:
        """Remember it."""
        self.body += data

    def finish(self) -> None:
        """Nobody waits."""

    def processingFailed(self, failure: Any) -> None:
        """It has not."""
        failure.raiseException()
