"""What the XEPs promise, as dialogues: Mosaic plays them all, Prosody those that
it knows too, so that the scripts are no invention of ours."""

from __future__ import annotations

import os
from unittest import SkipTest, TestCase

from tests.support.dialogue_play import Unexpected
from tests.support.dialogue_stage import Stage
from tests.support.prosody import PROSODY

NOT_YET: frozenset[str] = frozenset()
"""Scripts whose feature is still missing; one that passes has to leave."""


def failures(stage: Stage, names: list[str]) -> dict[str, str]:
    """What went wrong in each script that did not go as written."""
    wrong = {}
    for name in names:
        try:
            stage.play(name)
        except (Unexpected, RuntimeError) as error:
            wrong[name] = str(error)
    return wrong


class DialogueTests(TestCase):
    """tests/dialogues/*.txt"""

    def stage(self, server: str) -> Stage:
        """One that is running."""
        stage = Stage(server)
        self.addCleanup(stage.stop)
        return stage

    def test_mosaic(self) -> None:
        """All of them, but those that are known to be missing."""
        stage = self.stage("mosaic")
        wrong = failures(stage, list(stage.scripts))
        unknown = {name: why for name, why in wrong.items() if name not in NOT_YET}
        self.assertEqual(unknown, {}, "\n".join(unknown.values()))
        self.assertEqual(NOT_YET - set(wrong), frozenset(), "these pass now")

    def test_prosody(self) -> None:
        """The second opinion: a script that fails here is wrong, not Mosaic."""
        if not PROSODY.exists():
            if os.environ.get("CI") == "true":
                self.fail("prosody is not installed: apt-get install prosody")
            raise SkipTest("prosody is not installed")
        stage = self.stage("prosody")
        names = [name for name, it in stage.scripts.items() if "prosody" in it.also]
        self.assertGreater(len(names), 40)
        wrong = failures(stage, names)
        self.assertEqual(wrong, {}, "\n".join(wrong.values()))
