"""From one release to the next on a real hub's folder, over a real server.

The releases are small: what is in them is a program that says it is healthy, or
does not. MOSAIC_RELEASE_RUN=1 does it with two builds of this project
(test_hub_release).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.updates.slotfiles import Report, SlotFiles
from mosaic.release.feed import Feed
from mosaic.release.online import OnlineKeys
from tests.support.feeds import PROJECT, Publisher
from tests.support.running import RunningMosaic, environment

PROGRAM = """
import json, pathlib, sys, time
state = pathlib.Path(sys.argv[sys.argv.index("--state") + 1])
with (state / "ran").open("a") as stream:
    stream.write("{version}\\n")
trial = state / "slots" / "trial.json"
if {healthy} and trial.exists():
    said = json.dumps({{"trial": json.loads(trial.read_text())["id"]}})
    (state / "slots" / "healthy").write_text(said)
time.sleep(600)
"""


def program(version: str, *, healthy: bool = True) -> dict[str, str]:
    """A release's files."""
    return {
        f"{PROJECT}/__init__.py": "",
        f"{PROJECT}/__main__.py": PROGRAM.format(version=version, healthy=healthy),
    }


class HubUpdateTests(SynchronousTestCase):
    """One server with a feed, one hub under `mosaic hub supervise`."""

    def setUp(self) -> None:
        """Nothing is installed yet."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.server = RunningMosaic().start()
        self.addCleanup(self.server.stop)
        self.publisher = Publisher(self.folder / "publisher", now=time.time())
        self.publisher.feed = Feed(self.server.state / "updates")
        self.publisher.online = OnlineKeys(self.server.state / "keys")
        self.publisher.begin()
        self.hub = self.folder / "hub"
        self.files = SlotFiles(self.hub / "slots")

    def release(self, version: str, *, healthy: bool = True, **more: Any) -> None:
        """Publish one."""
        files = program(version, healthy=healthy)
        self.publisher.release(version, files=files, **more)

    def mosaic(self, verb: str) -> subprocess.CompletedProcess[str]:
        """`mosaic hub VERB`."""
        command = [sys.executable, "-m", "mosaic.cli", "hub", verb, "--json"]
        command += ["--state", str(self.hub), "--server", self.server.tls_url]
        command += ["--ca", str(self.server.state / "tls" / "ca.pem")]
        return subprocess.run(
            command,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def supervise(self) -> subprocess.Popen[str]:
        """With three seconds to get healthy."""
        command = [sys.executable, "-m", "mosaic.cli", "hub", "supervise"]
        command += ["--state", str(self.hub), "--health", "3", "--program", PROJECT]
        log = (self.folder / "supervise.log").open("w")
        self.addCleanup(log.close)
        running = subprocess.Popen(command, env=environment(), stderr=log, text=True)

        def stop() -> None:
            running.send_signal(signal.SIGTERM)
            self.assertEqual(running.wait(20), 0)

        self.addCleanup(stop)
        return running

    def wait_for(self, what: str, holds: Any) -> None:
        """Within twenty seconds."""
        until = time.monotonic() + 20
        while not holds():
            log = (self.folder / "supervise.log").read_text()
            self.assertLess(time.monotonic(), until, f"{what}\n{log}")
            time.sleep(0.05)

    def ran(self) -> list[str]:
        """The versions that were started."""
        file = self.hub / "ran"
        return file.read_text().split() if file.exists() else []

    def report_on(self, version: str) -> Report:
        """How its trial went."""

        def there() -> bool:
            report = self.files.report()
            return report is not None and report.version == version

        self.wait_for(f"a report on {version}", there)
        report = self.files.report()
        assert report is not None
        return report

    def test_from_one_to_the_next_and_back(self) -> None:
        """What cannot be imported is refused; then installed, updated while it runs,
        and a broken one taken back."""
        self.release("1.0", imports=("no_such_module",))
        refused = self.mosaic("update-install")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("No module named 'no_such_module'", refused.stderr)
        self.assertEqual(len(refused.stderr.splitlines()), 1, refused.stderr)
        self.assertIsNone(self.files.current())
        self.assertFalse((self.hub / "slots" / "a").exists())

        self.release("1.0")
        looked = self.mosaic("update-check")
        self.assertEqual(looked.returncode, 0, looked.stderr)
        said = json.loads(looked.stdout)
        self.assertEqual((said["state"], said["available"]), ("available", "1.0"))
        installed = self.mosaic("update-install")
        self.assertEqual(installed.returncode, 0, installed.stderr)
        self.assertEqual(json.loads(installed.stdout)["state"], "restart")
        self.supervise()
        self.assertTrue(self.report_on("1.0").ok)

        self.release("1.1", notes="Better")
        self.assertEqual(self.mosaic("update-install").returncode, 0)
        self.assertTrue(self.report_on("1.1").ok)
        self.assertEqual(self.files.current(), "b")

        self.release("1.2", healthy=False)
        self.assertEqual(self.mosaic("update-install").returncode, 0)
        report = self.report_on("1.2")
        self.assertFalse(report.ok)
        self.assertIn("not healthy within 3 s", report.why)
        self.wait_for("1.1 again", lambda: self.ran()[-1:] == ["1.1"])
        self.assertEqual(self.ran(), ["1.0", "1.1", "1.2", "1.1"])
        self.assertEqual(self.files.current(), "b")
        problem = json.loads(self.mosaic("update-check").stdout)["problem"]
        self.assertIn("1.2 was not healthy", problem)
