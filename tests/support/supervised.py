"""A hub under its supervisor, a server with a signed feed, and small releases."""

from __future__ import annotations

import os
import re
import shutil
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mosaic.hub.updates.slotfiles import Report, SlotFiles
from mosaic.release.feed import Feed
from mosaic.release.online import OnlineKeys
from tests.support.feeds import Publisher
from tests.support.running import ROOT, RunningMosaic, environment, run_command

REAL_RELEASES = os.environ.get("MOSAIC_RELEASE_RUN") == "1"
"""Whether tests shall build whole releases where small ones would do."""
WAIT_S = 300.0 if REAL_RELEASES else 60.0
BROKEN = {"empty.py": ""}
"""A release of this has no program at all."""


def linked(version: str) -> dict[str, str]:
    """This checkout and its libraries, under another version."""
    lines = [str(ROOT), *site.getsitepackages()]
    lines += [f"import mosaic; mosaic.__version__ = {version!r}"]
    return {"linked.pth": "\n".join(lines) + "\n"}


def begin_feed(server: RunningMosaic, folder: Path) -> Publisher:
    """The whole ceremony, published at the server; no release yet."""
    publisher = Publisher(folder, now=time.time())
    publisher.feed = Feed(server.state / "updates")
    publisher.online = OnlineKeys(server.state / "keys")
    publisher.begin()
    return publisher


def release(
    publisher: Publisher, version: str, *, broken: bool = False, notes: str = ""
) -> None:
    """Of this very agent; or one that installs and cannot start."""
    publisher.release(
        version,
        files=BROKEN if broken else linked(version),
        notes=notes,
        others=(),
        imports=("json",) if broken else ("mosaic",),
    )


def build_release(publisher: Publisher, tree: Path, version: str) -> str:
    """The whole of this project under another version, with all that a hub needs,
    by `mosaic release build`: it takes minutes and fetches dependencies. tree: a
    new folder. What the command printed."""
    leave = (
        "node_modules",
        "web",
        ".*",
        "__pycache__",
        "build",
        "artefacts",
        "_trial*",
    )
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*leave))
    module = tree / "mosaic" / "__init__.py"
    said = f'__version__ = "{version}"'
    module.write_text(re.sub(r'__version__ = ".*"', said, module.read_text()))
    os.environ["MOSAIC_SKIP_WEB"] = "1"
    done = run_command(
        *("release", "build", "--folder", str(publisher.folder / "release")),
        *("--source", str(tree), "--no-build-isolation", "--json"),
        seconds=600,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    publisher.finish()
    return str(done.stdout)


class Supervisor:
    """`mosaic hub supervise` in a process of its own; its log is beside `state`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.files = SlotFiles(state / "slots")
        self._log = state.with_name("supervise.log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start it; it is not waited for."""
        command = [sys.executable, "-m", "mosaic.cli", "hub", "supervise"]
        command += ["--state", str(self.state), *more]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, env=environment(), stdout=log, stderr=log
            )

    def start_hub(self, server: RunningMosaic, *more: str) -> None:
        """With an agent that enrols at the server by a fresh code."""
        code = server.command_json("hub", "enrol-code")["code"]
        ca = str(server.state / "tls" / "ca.pem")
        words = [*("--", "--server", server.tls_url, "--ca", ca, "--no-announce")]
        words += [*("--proxy", "direct", "--enrol-code", code, "--name", "Lisbon")]
        self.start(*words, *more)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def log(self) -> str:
        """What it and its agents have said."""
        return self._log.read_text()

    def wait_for(self, what: str, holds: Callable[[], Any]) -> None:
        """RuntimeError with the log if it is never so."""
        until = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > until:
                raise RuntimeError(f"never {what}:\n{self.log()}")
            time.sleep(0.05)

    def report_on(self, version: str) -> Report:
        """How its trial went."""

        def there() -> Report | None:
            report = self.files.report()
            return report if report and report.version == version else None

        self.wait_for(f"a report on {version}", there)
        report = there()
        assert report is not None
        return report
