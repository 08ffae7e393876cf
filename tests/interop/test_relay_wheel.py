"""The native plane in wheels: with a compiler, without one, and unwanted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.support.running import ROOT

SKIPPED = (
    "node_modules",
    ".*",
    "__pycache__",
    "build",
    "artefacts",
    "static",
    "*.so",
    "*.egg-info",
    "_trial_temp*",
)


class WheelTests(SynchronousTestCase):
    """Built from a copy of the checkout, without isolation."""

    def build(self, **variables: str) -> tuple[str, set[str]]:
        """A wheel's name and what is in it."""
        folder = Path(self.mktemp()).absolute()
        tree = folder / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*SKIPPED))
        (tree / "web").mkdir(exist_ok=True)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"),
                *("--no-build-isolation", "-w", str(folder), str(tree)),
            ],
            env={
                **{k: v for k, v in os.environ.items() if k != "MOSAIC_PURE_PYTHON"},
                "MOSAIC_SKIP_WEB": "1",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        wheel = next(folder.glob("*.whl"))
        return wheel.name, set(zipfile.ZipFile(wheel).namelist())

    def test_compiler_makes_one_wheel_for_every_python(self) -> None:
        """By the stable ABI, from 3.11 on."""
        if shutil.which(os.environ.get("CC", "cc")) is None:
            raise SkipTest("no C compiler")
        name, files = self.build()
        self.assertIn("-cp311-abi3-", name)
        self.assertIn("mosaic/relay/_plane.abi3.so", files)

    def test_failing_compiler_leaves_the_twin(self) -> None:
        """The installation goes on without."""
        _, files = self.build(CC="/bin/false")
        self.assertNotIn("mosaic/relay/_plane.abi3.so", files)
        self.assertIn("mosaic/relay/pure.py", files)

    def test_pure_wheel_is_for_any_machine(self) -> None:
        """MOSAIC_PURE_PYTHON=1."""
        name, files = self.build(MOSAIC_PURE_PYTHON="1")
        self.assertIn("-py3-none-any", name)
        self.assertNotIn("mosaic/relay/_plane.abi3.so", files)
