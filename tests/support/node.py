"""Node, and other people's clients that run under it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from unittest import SkipTest

PEERS = Path(__file__).parents[1] / "interop" / "peers"


def node_with(package: str) -> str:
    """Node, with the packages of the peers (blocks while they are installed).

    Tests run side by side: one installs, the others wait for it.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        if os.environ.get("CI") == "true":
            raise AssertionError("Node is needed in CI")
        raise SkipTest("there is no Node here: stock clients are not tried")
    with (PEERS / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (PEERS / "node_modules" / package).is_dir():
            subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=PEERS,
                check=True,
                capture_output=True,
            )
    return node
