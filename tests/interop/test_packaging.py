"""Wheel and sdist install, carry the web client, and are found by twistd."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.running import ROOT

SKIPPED = ("node_modules", ".*", "__pycache__", "build", "artefacts", "_trial_temp*")
PAGE = "<!doctype html><title>Mosaic</title>"


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What a command prints; AssertionError with its output if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={
            **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            "MOSAIC_PURE_PYTHON": "1",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class PackagingTests(SynchronousTestCase):
    """From a copy of the checkout, with a web client that is built already."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.tree = self.folder / "tree"
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*SKIPPED))
        static = self.tree / "mosaic" / "static"
        shutil.rmtree(static, ignore_errors=True)
        (static / "assets").mkdir(parents=True)
        (static / "index.html").write_text(PAGE)
        (static / "assets" / "index-abc.js").write_text("1")

    def install(self, wheel: Path) -> Path:
        """A fresh virtual environment with the wheel; its python."""
        home = self.folder / f"venv-{wheel.parent.name}"
        run(sys.executable, "-m", "venv", "--without-pip", home, cwd=self.folder)
        python = home / "bin" / "python"
        packages = Path(
            sysconfig.get_path("purelib", vars={"base": str(home)}, scheme="venv")
        )
        run(
            sys.executable, "-m", "pip", "install", "-q", "--no-deps",
            "--target", packages, wheel, cwd=self.folder,
        )  # fmt: skip
        # The dependencies are those of the environment that runs the test.
        theirs = "\n".join(site.getsitepackages())
        (packages / "dependencies.pth").write_text(theirs + "\n")
        return python

    def build_wheel(self, source: Path, name: str, **variables: str) -> Path:
        """Build without fetching anything."""
        out = self.folder / name
        run(
            sys.executable, "-m", "pip", "wheel", "-q", "--no-deps",
            "--no-build-isolation", "-w", out, source, cwd=self.folder, **variables,
        )  # fmt: skip
        return next(out.glob("*.whl"))

    def assert_works(self, wheel: Path) -> None:
        """It holds the client and the manuals, and twistd knows it."""
        names = set(zipfile.ZipFile(wheel).namelist())
        for name in (
            "mosaic/static/index.html",
            "mosaic/static/assets/index-abc.js",
            "mosaic/py.typed",
            "mosaic/store/migrations/env.py",
            "mosaic/proxy/pac/functions.js",
            "twisted/plugins/mosaic_plugin.py",
        ):
            self.assertIn(name, names)
        self.assertEqual({n for n in names if n.startswith("tests/")}, set())
        python = self.install(wheel)
        launch = "import sys; from twisted.scripts.twistd import run; run()"
        text = run(python, "-c", launch, "mosaic", "--help", cwd=self.folder)
        self.assertIn("--turn-allow-peer", text)
        state = self.folder / "state"
        run(
            python, "-m", "mosaic.cli", "--state", state, "room", "create", "A",
            cwd=self.folder,
        )  # fmt: skip

    def test_wheel(self) -> None:
        """Built from the checkout."""
        wheel = self.build_wheel(self.tree, "wheel", MOSAIC_SKIP_WEB="1")
        self.assert_works(wheel)

    def test_sdist(self) -> None:
        """It carries the built client: no Node is needed to install it."""
        out = self.folder / "sdist"
        run(
            sys.executable, "-m", "build", "-q", "--sdist", "--no-isolation", "-x",
            "-o", out, self.tree, cwd=self.folder, MOSAIC_SKIP_WEB="1",
        )  # fmt: skip
        sdist = next(out.glob("*.tar.gz"))
        self.assert_works(self.build_wheel(sdist, "from-sdist"))
