"""From one release to the next, over a real server, and back from a broken one.

The releases are small: a program that says it is healthy or does not, and this
very agent by way of a link. MOSAIC_RELEASE_RUN=1 does it with two builds of this
project and all that they need (test_hub_release).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.updates.slotfiles import Report
from tests.support.feeds import PROJECT
from tests.support.running import RunningMosaic, environment
from tests.support.supervised import Supervisor, begin_feed, release

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


class FeedCase(SynchronousTestCase):
    """One server with a feed, and a supervisor to be started."""

    def setUp(self) -> None:
        """Nothing is published yet."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.server = RunningMosaic().start()
        self.addCleanup(self.server.stop)
        self.publisher = begin_feed(self.server, self.folder / "publisher")
        self.hub = self.folder / "hub"
        self.supervisor = Supervisor(self.hub)
        self.files = self.supervisor.files
        self.ca = str(self.server.state / "tls" / "ca.pem")

    def supervise(self, *more: str) -> None:
        """Until the test ends."""
        self.supervisor.start(*more)
        self.addCleanup(lambda: self.assertEqual(self.supervisor.stop(), 0))

    def wait_for(self, what: str, holds: Callable[[], Any]) -> None:
        """Within a minute."""
        self.supervisor.wait_for(what, holds)

    def report_on(self, version: str) -> Report:
        """How its trial went."""
        return self.supervisor.report_on(version)


class HubUpdateTests(FeedCase):
    """By command."""

    def release(self, version: str, *, healthy: bool = True, **more: Any) -> None:
        """Publish one."""
        files = program(version, healthy=healthy)
        self.publisher.release(version, files=files, **more)

    def mosaic(self, verb: str) -> subprocess.CompletedProcess[str]:
        """`mosaic hub VERB`."""
        command = [sys.executable, "-m", "mosaic.cli", "hub", verb, "--json"]
        command += ["--state", str(self.hub), "--server", self.server.tls_url]
        command += ["--ca", self.ca]
        return subprocess.run(
            command,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ran(self) -> list[str]:
        """The versions that were started."""
        file = self.hub / "ran"
        return file.read_text().split() if file.exists() else []

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
        self.supervise("--health", "3", "--program", PROJECT)
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


class AgentUpdateTests(FeedCase):
    """From the administrator's page, by what it sends."""

    def setUp(self) -> None:
        """An enrolled hub that runs under its supervisor."""
        super().setUp()
        done = self.server.command(
            "user", "add", "ada", "--admin", "--password-stdin", text="correct horse"
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        login = {"name": "ada", "password": "correct horse"}
        self.token = self.server.call("POST", "/sessions", login)[1]["token"]
        self.supervisor.start_hub(self.server, "--headless")
        self.addCleanup(lambda: self.assertEqual(self.supervisor.stop(), 0))
        self.wait_for("enrolled", lambda: self.admin("GET", "/hubs")["hubs"])
        self.path = f"/hubs/{self.admin('GET', '/hubs')['hubs'][0]['hub_id']}"

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """As the administrator."""
        status, answer = self.server.call(method, path, body, token=self.token)
        self.assertLess(status, 300, answer)
        return answer

    def command(self, word: str) -> tuple[str, str]:
        """State and detail, once it is answered."""
        made = self.admin("POST", f"{self.path}/commands", {"command": word})
        path = f"{self.path}/commands/{made['id']}"
        self.wait_for(word, lambda: self.admin("GET", path)["state"] != "waiting")
        answer = self.admin("GET", path)
        return answer["state"], answer["detail"]

    def runs(self, version: str) -> Callable[[], bool]:
        """Whether the hub says that this is what it is, and is there."""

        def so() -> bool:
            hub = self.admin("GET", self.path)
            return bool(
                hub["online"] and (hub["status"] or {}).get("version") == version
            )

        return so

    def test_to_the_next_release_and_back(self) -> None:
        """Found, installed and running; then one that cannot start."""
        state, detail = self.command("update-check")
        self.assertEqual(state, "failed", detail)
        release(self.publisher, "1.0", notes="Better")
        self.assertEqual(self.command("update-check"), ("done", "available: 1.0"))
        update = self.admin("GET", self.path)["status"]["update"]
        self.assertEqual((update["available"], update["notes"]), ("1.0", "Better"))
        self.assertEqual(self.command("update-install"), ("done", "restart: 1.0"))
        self.assertTrue(self.report_on("1.0").ok)
        self.wait_for("1.0 is there", self.runs("1.0"))

        release(self.publisher, "2.0", broken=True)
        self.assertEqual(self.command("update-install"), ("done", "restart: 2.0"))
        report = self.report_on("2.0")
        self.assertFalse(report.ok)
        self.assertIn("ended with status 1", report.why)
        said = "2.0 ended with status 1"
        self.wait_for(
            "1.0 again, with the reason",
            lambda: said in (self.admin("GET", self.path)["status"]["problem"] or ""),
        )
        self.assertTrue(self.runs("1.0")())
