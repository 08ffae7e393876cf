"""What starts the hub's program, and takes a broken update back."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.updates import launcher as launcher_module
from mosaic.hub.updates.launcher import RESTART, Launcher
from mosaic.hub.updates.slotfiles import SlotFiles

Story = Callable[["Child"], None]


class Child:
    """A program that does what its story says, at each look. ends: its status."""

    def __init__(self, house: LauncherCase, command: list[str], story: Story) -> None:
        self.house = house
        self.command = command
        self.story = story
        self.status: int | None = None
        self.age = 0.0

    def poll(self) -> int | None:
        """One look."""
        if self.status is None:
            self.story(self)
        self.age += 0.2
        return self.status

    def terminate(self) -> None:
        """It obeys."""
        self.house.said.append("terminated")
        self.status = -15


class LauncherCase(SynchronousTestCase):
    """Time passes only when somebody sleeps."""

    def setUp(self) -> None:
        """Two slots that could run."""
        self.slots = SlotFiles(Path(self.mktemp()).absolute())
        self.slots.folder.mkdir(parents=True)
        self.time = 0.0
        self.said: list[str] = []
        self.programs: list[str] = []
        self.starts: list[float] = []
        self.stories: list[Story] = []
        self.launcher = Launcher(
            self.slots,
            ["mosaic.cli", "hub", "run"],
            python="/base/python",
            say=self.said.append,
            spawn=self.spawn,
            seconds=lambda: self.time,
            sleep=self.sleep,
            now=lambda: 1000.0 + self.time,
        )

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.time += seconds

    def spawn(self, command: list[str], *, env: dict[str, str]) -> Child:
        """The next story."""
        self.assertEqual(env["MOSAIC_HUB_SUPERVISED"], str(os.getpid()))
        self.assertEqual(command[1:], ["-P", "-m", "mosaic.cli", "hub", "run"])
        if "/base/" not in command[0]:
            self.assertNotIn("PYTHONPATH", env)
        self.programs.append(command[0].removeprefix(f"{self.slots.folder}/"))
        self.starts.append(self.time)
        if not self.stories:
            self.launcher.stop()
            return Child(self, command, lambda child: None)
        return Child(self, command, self.stories.pop(0))

    def ends(self, status: int, *, after: float = 0.0) -> Story:
        """A program that ends."""

        def story(child: Child) -> None:
            if child.age >= after:
                child.status = status

        return story

    def gets_healthy(self, *, after: float, then: int | None = None) -> Story:
        """A program that says so."""

        def story(child: Child) -> None:
            trial = self.slots.trial()
            if trial is not None and child.age >= after:
                self.slots.say_healthy(trial)
            elif child.age > after + 1:
                child.status = then

        return story

    def hangs(self, child: Child) -> None:
        """A program that never gets anywhere."""


class LaunchTests(LauncherCase):
    """Without updates."""

    def test_the_first_installation(self) -> None:
        """There is no slot yet."""
        self.assertEqual(self.launcher.run(), 0)
        self.assertEqual(self.programs, ["/base/python"])

    def test_started_again_at_once_when_it_asks(self) -> None:
        """After an update, or by command."""
        self.stories = [self.ends(RESTART, after=2)] * 3
        self.launcher.run()
        self.assertEqual(len(self.programs), 4)
        self.assertLess(self.starts[-1], 8)

    def test_crashes_are_slowed_down(self) -> None:
        """Ever longer, up to half a minute."""
        self.stories = [self.ends(1)] * 8
        self.launcher.run()
        pauses = [after - before for before, after in pairwise(self.starts)]
        self.assertEqual(
            [round(pause) for pause in pauses], [1, 2, 4, 8, 16, 30, 30, 30]
        )

    def test_wrong_usage_ends_it(self) -> None:
        """It would be as wrong the next time."""
        self.stories = [self.ends(2)]
        self.assertEqual(self.launcher.run(), 2)

    def test_stopped(self) -> None:
        """The program first."""
        self.launcher.run()
        self.assertIn("terminated", self.said)

    def test_restarted_by_a_signal(self) -> None:
        """`mosaic hub update-install` from outside."""

        def signalled(child: Child) -> None:
            if child.age > 1:
                self.slots.begin_trial("a", "1.1")
                self.launcher.restart()

        self.stories = [signalled]
        self.launcher.run()
        self.assertEqual(self.programs, ["/base/python", "a/bin/python"])

    def test_needs_no_slot_and_no_library(self) -> None:
        """It imports the standard library, and its sibling of which the same holds."""
        folder = Path(launcher_module.__file__).parent
        for name in ("launcher.py", "slotfiles.py"):
            for node in ast.walk(ast.parse((folder / name).read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                for one in names:
                    own = one == "mosaic.hub.updates.slotfiles"
                    known = one.split(".")[0] in sys.stdlib_module_names
                    self.assertTrue(own or known, one)


class TrialTests(LauncherCase):
    """After an installation into slot b, while a runs."""

    def setUp(self) -> None:
        """On trial."""
        super().setUp()
        self.slots.flip("a")
        self.slots.begin_trial("b", "1.1")

    def report(self) -> Any:
        """How it went."""
        report = self.slots.report()
        assert report is not None
        return report

    def test_healthy(self) -> None:
        """It stays, also at the next start."""
        self.stories = [self.gets_healthy(after=5, then=RESTART)]
        self.launcher.run()
        self.assertEqual(self.programs, ["b/bin/python", "b/bin/python"])
        self.assertIsNone(self.slots.trial())
        self.assertTrue(self.report().ok)
        self.assertIn("1.1 is healthy after 5", "".join(self.said))

    def test_not_healthy_in_time(self) -> None:
        """60 s, and the one before is back."""
        self.stories = [self.hangs]
        self.launcher.run()
        self.assertEqual(self.programs, ["b/bin/python", "a/bin/python"])
        self.assertTrue(60 <= self.starts[1] < 61, self.starts)
        self.assertFalse(self.report().ok)
        self.assertIn("not healthy within 60 s", self.report().why)
        self.assertEqual(self.slots.current(), "a")

    def test_crashes(self) -> None:
        """At once, with its status."""
        self.stories = [self.ends(1, after=1)]
        self.launcher.run()
        self.assertEqual(self.programs, ["b/bin/python", "a/bin/python"])
        self.assertIn("ended with status 1 after 1", self.report().why)
        self.assertLess(self.starts[1], 3)

    def test_no_program_at_all(self) -> None:
        """Somebody removed the folder."""

        def spawn(command: list[str], *, env: dict[str, str]) -> Child:
            if "/b/" in command[0]:
                raise FileNotFoundError(2, "No such file or directory")
            return self.spawn(command, env=env)

        self.launcher._spawn = spawn
        self.launcher.run()
        self.assertEqual(self.programs, ["a/bin/python"])
        self.assertFalse(self.report().ok)

    def test_says_healthy_of_another_trial(self) -> None:
        """An old file does not vouch for a new program."""
        old = self.slots.trial()
        assert old is not None
        self.slots.say_healthy(old)
        self.slots.begin_trial("b", "1.2")
        self.stories = [self.hangs]
        self.launcher.run()
        self.assertFalse(self.report().ok)

    def test_the_power_fails_again_and_again(self) -> None:
        """Three starts without a word are enough."""
        for _ in range(3):
            self.stories = []
            self.launcher._stopping = False
            self.launcher.run()
        self.assertEqual(self.programs, ["b/bin/python"] * 3)
        self.launcher._stopping = False
        self.launcher.run()
        self.assertEqual(self.programs[-1], "a/bin/python")
        self.assertIn("started 3 times", self.report().why)

    def test_the_power_fails_before_the_flip(self) -> None:
        """The note is there, the link is not: nothing is on trial."""
        self.slots.flip("a")
        self.launcher.run()
        self.assertEqual(self.programs, ["a/bin/python"])
        self.assertIsNone(self.slots.trial())

    def test_back_to_the_first_installation(self) -> None:
        """There was no slot before."""
        self.slots.flip(None)
        self.slots.begin_trial("a", "1.0")
        self.stories = [self.ends(1)]
        self.launcher.run()
        self.assertEqual(self.programs, ["a/bin/python", "/base/python"])
        self.assertIsNone(self.slots.current())

    def test_asked_to_restart_while_on_trial(self) -> None:
        """By an administrator's command: it is on trial still."""
        self.stories = [
            self.ends(RESTART, after=1),
            self.gets_healthy(after=1, then=RESTART),
        ]
        self.launcher.run()
        self.assertEqual(self.programs, ["b/bin/python"] * 3)
        self.assertTrue(self.report().ok)

    def test_files_that_make_no_sense(self) -> None:
        """Are no trial, and stop nothing."""
        for text in ("", "[]", "{", '{"id": 1}', '{"id":"","slot":"/","previous":null,'
                     '"version":"1","starts":0}'):  # fmt: skip
            (self.slots.folder / "trial.json").write_text(text)
            self.assertIsNone(self.slots.trial())
