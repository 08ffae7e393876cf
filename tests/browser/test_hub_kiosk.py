"""The agent's own Chromium under Xvfb: the wall, a meeting, and what stays of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import proxies
from tests.support.browser import ARTEFACTS, CHROMIUM
from tests.support.hub_process import RunningHub
from tests.support.running import RunningMosaic
from tests.support.xvfb import Xvfb

PASSWORD = "correct horse battery staple"
PNG = b"\x89PNG\r\n\x1a\n"


class KioskTests(SynchronousTestCase):
    """A server with a private CA, a box with one screen."""

    def setUp(self) -> None:
        if not CHROMIUM:
            raise RuntimeError("chromium is not installed: apt-get install chromium")
        xvfb = Xvfb()
        self.addCleanup(xvfb.stop)
        self.patch(os, "environ", {**os.environ, "DISPLAY": xvfb.display})
        self.server = RunningMosaic().start()
        self.addCleanup(self.server.stop)
        self.server.command(
            "user", "add", "ada", "--admin", "--password-stdin", text=PASSWORD
        )
        body = {"name": "ada", "password": PASSWORD}
        self.token = self.server.call("POST", "/sessions", body)[1]["token"]
        self.state = Path(tempfile.mkdtemp(prefix="mosaic-hub-test-"))
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """As the administrator."""
        status, answer = self.server.call(method, path, body, token=self.token)
        self.assertLess(status, 300, answer)
        return answer

    def screenshot(self, hub: RunningHub, hub_id: str, name: str) -> None:
        """By command, as support would; kept among the artefacts."""
        made = self.admin("POST", f"/hubs/{hub_id}/commands", {"command": "screenshot"})
        path = f"/hubs/{hub_id}/commands/{made['id']}"
        hub.wait_for(lambda: self.admin("GET", path)["state"] != "waiting", "a picture")
        self.assertEqual(self.admin("GET", path)["state"], "done")
        request = urllib.request.Request(
            f"{self.server.url}/api/v1{path}/file",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        self.assertTrue(content.startswith(PNG))
        width = int.from_bytes(content[16:20])
        self.assertGreater(width, 1900, "the window fills the screen")
        ARTEFACTS.mkdir(exist_ok=True)
        (ARTEFACTS / f"{name}.png").write_bytes(content)

    def test_wall_shows_the_hub_and_the_meeting(self) -> None:
        """The local page first, then the server's, through a proxy that wants a
        login; in the meeting and out of it; and no browser is left when the agent is
        killed."""
        proxy = proxies.tinyproxy(login=True)
        self.addCleanup(proxy.stop)
        login = self.state / "login"
        login.write_text(f"127.0.0.1:{proxy.port} {proxies.USER} {proxies.PASSWORD}\n")
        login.chmod(0o600)
        flags = ["--kiosk", "--chromium", CHROMIUM]
        flags += ["--proxy", f"http://127.0.0.1:{proxy.port}"]
        flags += ["--proxy-login", str(login)]
        # Else Chromium goes straight to what is on this machine.
        bypass = "--proxy-bypass-list=<-loopback>;127.0.0.1"
        flags += [f"--chromium-flag={bypass}"]
        flags += ["--chromium-flag=--no-sandbox", "--chromium-flag=--disable-gpu"]
        hub = RunningHub(self.server, self.state, *flags).start()
        self.addCleanup(hub.stop)
        hub.wait_for(lambda: (self.state / "local-page").exists(), "the local page")
        self.assertIn("Not enrolled", hub.local())
        code = self.server.command_json("hub", "enrol-code")["code"]
        hub.local("enrol", {"code": code})
        hub.wait_for(lambda: self.admin("GET", "/hubs")["hubs"], "enrolled")
        hub_id = self.admin("GET", "/hubs")["hubs"][0]["hub_id"]

        def status() -> dict[str, Any]:
            return self.admin("GET", f"/hubs/{hub_id}")["status"] or {}

        hub.wait_for(
            lambda: any(s["shown"] for s in status().get("screens", [])), "on the wall"
        )
        self.screenshot(hub, hub_id, "hub-kiosk-idle")
        self.admin("PATCH", f"/hubs/{hub_id}", {"desired": {"room": hub_id}})
        hub.wait_for(lambda: status()["doing"] == "meeting", "in the meeting")
        self.screenshot(hub, hub_id, "hub-kiosk-meeting")
        self.admin("PATCH", f"/hubs/{hub_id}", {"desired": {"room": None}})
        hub.wait_for(lambda: status()["doing"] == "idle", "idle")
        hub.wait_for(
            lambda: status()["screens"][0]["shown"], "on the wall after the meeting"
        )
        hub.kill()
        hub.wait_for(lambda: not browsers(self.state), "rid of its browser")


def browsers(state: Path) -> list[str]:
    """Processes that have a profile in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"--user-data-dir={state}".encode() in words:
                found.append(entry.name)
    return found
