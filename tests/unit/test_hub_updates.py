"""What the agent has of updates, over a real feed and slots of nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.exceptions import DownloadError
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic import __version__
from mosaic.hub.updates.client import FeedClient
from mosaic.hub.updates.errors import UpdateError
from mosaic.hub.updates.install import Slots, run_command
from mosaic.hub.updates.updates import HAND_OVER, HubUpdates
from mosaic.hub.updating import UpdateRefused, Updates, UpdateState
from mosaic.wire.hops import NameUnknown
from mosaic.workspace.releases import ring_of
from tests.support.attacked import BASE, Served
from tests.support.feeds import Publisher

HOUR_S = 3600.0


class UpdatesCase(SynchronousTestCase):
    """A hub on the first installation, and a feed with 1.0."""

    def setUp(self) -> None:
        """Nothing is known yet."""
        self.folder = Path(self.mktemp()).absolute()
        self.publisher = Publisher(self.folder / "publisher", now=time.time())
        self.publisher.begin()
        self.publisher.release("1.0", notes="Better sound")
        self.served = Served(self.publisher.feed.folder)
        self.clock = Clock()
        self.commands: list[list[str]] = []
        self.broken: str | None = None
        self.changes: list[UpdateState] = []
        self.idle = True
        self.restarts = 0
        self.local = datetime(2026, 11, 26, 12, 0)
        self.updates = self.make()

    def make(self, **more: Any) -> HubUpdates:
        """As the agent makes it at its start."""
        home = self.folder / "hub"
        updates = HubUpdates(
            folder=home,
            client=FeedClient(
                folder=home / "updates", base_url=BASE, download=self.served, root=None
            ),
            slots=Slots(home / "slots", run=self.run_nothing),
            public_key=b"k" * 32,
            clock=self.clock,
            local_time=lambda: self.local,
            spread=lambda: 1.0,
            **{
                "run_in_thread": self.at_once,
                "supervised": True,
                "may_install": lambda: self.idle,
                **more,
            },
        )
        updates.changed = lambda: self.changes.append(updates.state)
        updates.restart = self.restart
        return updates

    def restart(self) -> None:
        """It would be."""
        self.restarts += 1

    def at_once(self, work: Any, *args: Any) -> Deferred[Any]:
        """A thread that takes no time."""
        return maybeDeferred(work, *args)

    def run_nothing(self, command: Sequence[str], *, what: str) -> None:
        """Slots that exist in name."""
        self.commands.append(list(command))
        if what == self.broken:
            raise UpdateError("install", f"{what}: ERROR: it is broken")
        if "venv" in command:
            Path(command[-1], "bin").mkdir(parents=True)

    def result(self, work: Any) -> Any:
        """Of a coroutine that waits for nothing."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def refused(self, work: Any, kind: type[Exception] = UpdateRefused) -> str:
        """What it says."""
        return str(self.failureResultOf(Deferred.fromCoroutine(work), kind).value)

    def prove(self) -> None:
        """As the launcher and the new program do."""
        trial = self.updates._slots.files.trial()
        assert trial is not None
        self.updates._slots.files.keep(trial, at=0)


class CheckTests(UpdatesCase):
    """The badge."""

    def test_it_is_what_the_agent_wants(self) -> None:
        """The Protocol of mosaic.hub.updating."""
        seen: Updates = self.updates
        self.assertEqual(seen.state, UpdateState())

    def test_what_there_is(self) -> None:
        """Version, notes, and what must be fetched."""
        state = self.result(self.updates.check())
        self.assertEqual((state.state, state.available), ("available", "1.0"))
        self.assertEqual(state.notes, "Better sound")
        self.assertGreater(state.size, 100)
        self.assertEqual(self.changes, [state])

    def test_a_server_without_updates_is_no_problem(self) -> None:
        """Who asks is told; the state of a hub that looks by itself stays quiet."""
        self.served.folder = self.folder / "nothing"
        self.assertIn("no updates", self.refused(self.updates.check()))
        self.assertEqual(self.updates.state, UpdateState())

    def test_every_hour(self) -> None:
        """By itself; with nothing new nothing changes."""
        self.updates.start()
        self.clock.pump([60.0] * 150)
        asked = [url for url in self.served.asked if url.endswith("timestamp.json")]
        self.assertEqual(len(asked), 3)
        self.assertEqual(len(self.changes), 1)
        self.updates.stop()
        before = len(self.served.asked)
        self.clock.advance(10 * HOUR_S)
        self.assertEqual(len(self.served.asked), before)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_server_that_is_away(self) -> None:
        """The network's own word goes to the agent; the state keeps it."""

        def away(url: str, file: Any, max_bytes: int) -> None:
            raise DownloadError("away") from NameUnknown("server", "server")

        self.updates._client._fetcher._download = away
        self.refused(self.updates.check(), NameUnknown)
        self.assertEqual(self.updates.state.state, "failed")
        self.assertIn("cannot be fetched", self.updates.state.problem or "")

    def test_what_is_known_outlives_a_server_that_is_away(self) -> None:
        """Nothing was tried to be installed: it is still to be had."""
        self.result(self.updates.check())

        def away(url: str, file: Any, max_bytes: int) -> None:
            raise DownloadError("away") from NameUnknown("server", "server")

        self.updates._client._fetcher._download = away
        self.refused(self.updates.check(), NameUnknown)
        told = self.updates.state
        self.assertEqual((told.state, told.available), ("available", "1.0"))
        self.assertIn("cannot be fetched", told.problem or "")
        self.refused(self.updates.install(), NameUnknown)
        told = self.updates.state
        self.assertEqual((told.state, told.available), ("failed", "1.0"))

    def test_a_wish_that_makes_no_sense(self) -> None:
        """The server is not believed blindly."""
        for channel, window in (("../x", None), ("stable", "at night")):
            self.updates.channel_set(channel, window)
            self.assertIsNotNone(self.updates.state.problem)
        self.assertEqual(self.updates._channel, "stable")


class InstallTests(UpdatesCase):
    """On demand."""

    def test_into_the_slot_that_does_not_run(self) -> None:
        """With required hashes, from local files alone; then the flip."""
        state = self.result(self.updates.install())
        self.assertEqual((state.state, state.available), ("restart", "1.0"))
        _, venv, pip, check = self.commands
        slot = self.folder / "hub" / "slots" / "a"
        self.assertEqual(venv[2:], ["-m", "venv", "--without-pip", str(slot)])
        self.assertEqual(pip[4:6], ["--python", str(slot / "bin" / "python")])
        for word in ("--no-index", "--require-hashes", "--isolated"):
            self.assertIn(word, pip)
        lines = (slot / "requirements.txt").read_text().splitlines()
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertRegex(
                line, r"^\S+ @ file:///\S+\.whl --hash=sha256:[0-9a-f]{64}$"
            )
        self.assertEqual(check[-1], "mosaic_meetings")
        files = self.updates._slots.files
        self.assertEqual(files.current(), "a")
        trial = files.trial()
        self.assertEqual(trial and (trial.version, trial.previous), ("1.0", None))
        self.assertEqual(self.updates.restart_command, HAND_OVER)
        self.assertEqual(self.result(self.updates.install()).state, "restart")

    def test_the_next_one_goes_into_the_other(self) -> None:
        """Wheels of both are kept, those of older ones go."""
        for version, slot in (("1.0", "a"), ("1.1", "b"), ("1.2", "a")):
            if version != "1.0":
                self.publisher.release(version)
            self.result(self.updates.install())
            self.assertEqual(self.updates._slots.files.current(), slot)
            self.prove()
            self.updates = self.make()
        names = {p.name for p in (self.folder / "hub" / "updates").rglob("*.whl")}
        self.assertEqual(
            names,
            {
                "library-2.0-py3-none-any.whl",
                "mosaic_meetings-1.1-py3-none-any.whl",
                "mosaic_meetings-1.2-py3-none-any.whl",
            },
        )
        self.assertEqual(self.result(self.updates.check()).state, "none")

    def test_what_pip_or_the_import_refuses(self) -> None:
        """The slot is emptied, what runs is untouched."""
        for step in ("making the slot", "installing", "importing"):
            self.broken = step
            self.assertIn("it is broken", self.refused(self.updates.install()))
            self.assertEqual(self.updates.state.state, "failed")
            self.assertEqual([*(self.folder / "hub" / "slots").iterdir()], [])

    def test_an_installation_without_pip(self) -> None:
        """Then the slot gets its own."""
        self.broken = "looking for pip"
        self.result(self.updates.install())
        slot = self.folder / "hub" / "slots" / "a"
        self.assertEqual(self.commands[1][2:], ["-m", "venv", str(slot)])
        self.assertEqual(self.commands[2][0], str(slot / "bin" / "python"))

    def test_not_without_a_launcher(self) -> None:
        """Nobody could take it back."""
        updates = self.make(supervised=False)
        self.assertIn("mosaic hub supervise", self.refused(updates.install()))
        self.assertIsNone(updates.restart_command)
        self.assertEqual(self.commands, [])

    def test_nothing_newer(self) -> None:
        """Said, not done."""
        self.result(self.updates.install())
        self.prove()
        self.updates = self.make()
        self.assertIn("nothing newer", self.refused(self.updates.install()))

    def test_not_while_the_last_one_is_on_trial(self) -> None:
        """Its slot is the one before: the way back would be overwritten."""
        self.result(self.updates.install())
        self.publisher.release("1.1")
        self.updates = self.make()
        self.assertIn("not proved itself", self.refused(self.updates.install()))

    def test_one_at_a_time(self) -> None:
        """A second command waits for nothing and harms nothing."""
        waiting: Deferred[Any] = Deferred()
        updates = self.make(run_in_thread=lambda *args: waiting)
        first = Deferred.fromCoroutine(updates.check())
        self.assertIn("already", self.refused(updates.install()))
        waiting.errback(UpdateError("absent", "gone"))
        self.failureResultOf(first, UpdateRefused)

    def test_one_program_at_a_time(self) -> None:
        """The command and the agent share the slots."""
        other = self.make()
        with other._locked():
            self.assertIn("another program", self.refused(self.updates.install()))
        self.result(self.updates.install())

    def test_taken_back(self) -> None:
        """The report is in the state, and that version is not installed unasked."""
        self.result(self.updates.install())
        files = self.updates._slots.files
        trial = files.trial()
        assert trial is not None
        files.take_back(trial, "was not healthy within 60 s", at=0)
        self.updates = self.make()
        told = self.updates.state
        self.assertEqual((told.state, told.available), ("taken-back", "1.0"))
        self.assertIn("update 1.0 was not healthy within 60 s", told.problem or "")
        self.assertIn(f"taken back: {__version__} runs again", told.problem or "")
        state = self.result(self.updates.check())
        self.assertEqual(state.state, "taken-back")
        self.assertIn("taken back", state.problem)
        self.updates.channel_set("stable", "00:00-23:59")
        self.updates.start()
        self.clock.pump([60.0] * 5)
        self.assertEqual(self.restarts, 0)
        self.assertEqual(self.result(self.updates.install()).state, "restart")

    def test_epochs_count_once_they_have_proved_themselves(self) -> None:
        """A release that was taken back closes no way."""
        self.publisher.release("1.1", security_epoch=3)
        self.result(self.updates.install())
        files = self.updates._slots.files
        trial = files.trial()
        assert trial is not None
        files.take_back(trial, "broke", at=0)
        self.assertEqual(self.make()._kept().epoch, 0)
        self.updates = self.make()
        self.result(self.updates.install())
        self.prove()
        self.assertEqual(self.make()._kept().epoch, 3)


class HealthTests(UpdatesCase):
    """Only the program on trial can vouch for it."""

    def test_the_program_on_trial(self) -> None:
        """When it has reached its server."""
        self.result(self.updates.install())
        files = self.updates._slots.files
        trial = files.trial()
        assert trial is not None
        self.result(self.updates.started())
        self.assertFalse(files.is_healthy(trial))
        new = self.make(prefix=str(files.path("a")))
        self.result(new.started())
        self.assertTrue(files.is_healthy(trial))

    def test_without_a_trial(self) -> None:
        """Most starts."""
        self.result(self.updates.started())
        self.assertFalse((self.folder / "hub" / "slots").exists())


class WindowTests(UpdatesCase):
    """Unasked, when the administrator said so and nobody is disturbed."""

    def setUp(self) -> None:
        """At noon; the window is in the night."""
        super().setUp()
        self.updates.channel_set("stable", "22:30-04:00")
        self.updates.start()
        self.clock.pump([60.0] * 3)

    def tearDown(self) -> None:
        """Look no more."""
        self.updates.stop()

    def test_not_before(self) -> None:
        """It is known, that is all."""
        self.assertEqual(self.updates.state.state, "available")
        self.assertEqual(self.restarts, 0)

    def test_in_the_window(self) -> None:
        """Once."""
        self.local = datetime(2026, 11, 26, 23, 0)
        self.clock.pump([60.0] * 5)
        self.assertEqual(self.restarts, 1)
        self.assertEqual(self.updates.state.state, "restart")

    def test_not_in_a_meeting(self) -> None:
        """The next minute, or the next night."""
        self.local = datetime(2026, 11, 26, 23, 0)
        self.idle = False
        self.clock.pump([60.0] * 5)
        self.assertEqual(self.restarts, 0)
        self.idle = True
        self.clock.pump([60.0] * 2)
        self.assertEqual(self.restarts, 1)

    def test_what_fails_is_not_tried_each_minute(self) -> None:
        """After the next look at the earliest."""
        self.local = datetime(2026, 11, 26, 23, 0)
        self.broken = "installing"
        self.clock.pump([60.0] * 20)
        tries = [one for one in self.commands if "--require-hashes" in one]
        self.assertEqual(len(tries), 1)

    def test_on_demand_alone(self) -> None:
        """No window: never unasked."""
        self.updates.channel_set("stable", None)
        self.local = datetime(2026, 11, 26, 23, 0)
        self.clock.pump([60.0] * 5)
        self.assertEqual(self.restarts, 0)


class RingTests(UpdatesCase):
    """By the hub's own key."""

    def test_a_release_for_a_part(self) -> None:
        """This hub's ring decides."""
        ring = ring_of(b"k" * 32)
        self.publisher.release("1.1", percent=ring)
        self.assertEqual(self.result(self.updates.check()).available, "1.0")
        self.publisher.release("1.2", percent=ring + 1)
        self.assertEqual(self.result(self.updates.check()).available, "1.2")


class CommandTests(SynchronousTestCase):
    """The commands that fill a slot."""

    def test_last_words(self) -> None:
        """What pip calls an error, else the last line."""
        for program, said in (
            ("import sys; sys.exit('bad\\nERROR: no such wheel\\nhint')", "ERROR: no"),
            ("raise ImportError('no module')", "no module"),
            ("raise SystemExit(3)", "no word"),
        ):
            error = self.assertRaises(
                UpdateError, run_command, [sys.executable, "-c", program], what="trying"
            )
            self.assertIn(said, str(error))
        error = self.assertRaises(UpdateError, run_command, ["/nowhere"], what="trying")
        self.assertIn("No such file", str(error))
