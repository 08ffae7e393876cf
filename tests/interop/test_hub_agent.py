"""The agent as a process and a real server: enrolled, sent, killed, removed.

MOSAIC_HUB_KILLS=20 kills it more often and says how long it took each time.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support import proxies
from tests.support.hub_process import RunningHub
from tests.support.onlooker import Onlooker
from tests.support.running import RunningMosaic, run_command

KILLS = int(os.environ.get("MOSAIC_HUB_KILLS", "2"))
WAIT_S = 60.0
LOOK_S = 0.02
PASSWORD = "correct horse battery staple"


class HubAgentTests(TestCase):
    """One server and one box for the whole life of a hub."""

    timeout = 240

    def setUp(self) -> None:
        self.server = RunningMosaic().start()
        self.addCleanup(self.server.stop)
        done = self.server.command(
            "user", "add", "ada", "--admin", "--password-stdin", text=PASSWORD
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        status, session = self.server.call(
            "POST", "/sessions", {"name": "ada", "password": PASSWORD}
        )
        self.assertEqual(status, 201)
        self.token = session["token"]
        self.state = Path(tempfile.mkdtemp(prefix="mosaic-hub-test-"))
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """As the administrator."""
        status, answer = self.server.call(method, path, body, token=self.token)
        self.assertLess(status, 300, answer)
        return answer

    def doing(self, hub_id: str) -> str | None:
        """What the hub says of itself."""
        hub = self.admin("GET", f"/hubs/{hub_id}")
        return (hub["status"] or {}).get("doing") if hub["online"] else None

    async def until(self, so: Callable[[], Any], what: str) -> None:
        """Look again and again, while the reactor runs."""
        end = reactor.seconds() + WAIT_S
        while not so():
            if reactor.seconds() > end:
                self.fail(f"not {what}; the agent said:\n{self.hub.output()}")
            await deferLater(reactor, LOOK_S)

    def test_hub_behind_a_proxy_with_a_login(self) -> Deferred[None]:
        """The wall says which hop refused; a person types the login there; REST,
        XMPP and the meeting go through the proxy."""
        return Deferred.fromCoroutine(self.behind_a_proxy())

    async def behind_a_proxy(self) -> None:
        """Basic, of tinyproxy."""
        proxy = proxies.tinyproxy(login=True)
        self.addCleanup(proxy.stop)
        code = self.server.command_json("hub", "enrol-code")["code"]
        way = f"http://127.0.0.1:{proxy.port}"
        self.hub = hub = RunningHub(self.server, self.state, "--proxy", way)
        hub.start("--enrol-code", code)
        self.addCleanup(hub.stop)
        await self.until(lambda: "wants a login" in hub.output(), "refused")
        wall = hub.local("state")
        self.assertEqual(wall["state"], "unenrolled")
        self.assertIn(f"proxy {way}", wall["problem"])
        self.assertIn("--proxy-login", wall["advice"])
        self.assertIn(f"127.0.0.1:{proxy.port}", hub.local("proxy"))
        host = f"127.0.0.1:{proxy.port}"
        login = {"host": host, "user": proxies.USER, "password": proxies.PASSWORD}
        hub.local("proxy", login)
        await self.until(lambda: self.admin("GET", "/hubs")["hubs"], "enrolled")
        hub_id = self.admin("GET", "/hubs")["hubs"][0]["hub_id"]
        self.admin("PATCH", f"/hubs/{hub_id}", {"desired": {"room": hub_id}})
        await self.until(lambda: self.doing(hub_id) == "meeting", "meeting")
        await self.until(lambda: "XMPP: online" in hub.output(), "on XMPP")
        self.assertIn("SCRAM-SHA-256-PLUS", hub.output())
        self.assertNotIn(proxies.PASSWORD, hub.output())
        self.assertEqual(hub.stop(), 0)

    def test_life_of_a_hub(self) -> Deferred[None]:
        """Enrolled by a code, in the meeting it is sent to, back after each kill,
        out at once when it is removed."""
        return Deferred.fromCoroutine(self.life())

    async def life(self) -> None:
        """The walk."""
        code = self.server.command_json("hub", "enrol-code")["code"]
        self.hub = hub = RunningHub(self.server, self.state)
        hub.start("--enrol-code", code, "--name", "Lisbon")
        self.addCleanup(hub.stop)
        await self.until(lambda: self.admin("GET", "/hubs")["hubs"], "enrolled")
        hub_id = self.admin("GET", "/hubs")["hubs"][0]["hub_id"]
        await self.until(lambda: self.doing(hub_id) == "idle", "idle")

        room = self.server.command_json("room", "create", "Design review")
        url = f"ws://localhost:{self.server.http_port}/drcp"
        people = Onlooker(reactor, url, room["token"])
        await people.start()
        self.addCleanup(people.stop)
        self.admin("PATCH", f"/hubs/{hub_id}", {"desired": {"room": room["hub_id"]}})
        await self.until(lambda: len(people.came) == 1, "in the room")
        self.assertIn("Lisbon", people.names())
        await self.until(lambda: self.doing(hub_id) == "meeting", "meeting")

        took = []
        for number in range(KILLS):
            hub.kill()
            killed = reactor.seconds()
            hub.start()
            await self.until(lambda n=number: len(people.came) == n + 2, "back")  # type: ignore[misc]
            took.append(people.came[-1][0] - killed)
        if "MOSAIC_HUB_KILLS" in os.environ:
            shown = ", ".join(f"{seconds:.2f}" for seconds in sorted(took))
            sys.stdout.write(f"\nkilled, and back in the meeting after {shown} s\n")
        self.assertEqual(people.names().count("Lisbon"), 1)

        second = run_command(
            *("hub", "run", "--server", self.server.tls_url, "--state", str(self.state))
        )
        self.assertEqual(second.returncode, 1)
        self.assertIn("in use by another agent", second.stderr)

        made = self.admin("POST", f"/hubs/{hub_id}/commands", {"command": "log"})
        path = f"/hubs/{hub_id}/commands/{made['id']}"
        await self.until(lambda: self.admin("GET", path)["state"] == "done", "answered")
        restart = {"command": "restart"}
        made = self.admin("POST", f"/hubs/{hub_id}/commands", restart)
        path = f"/hubs/{hub_id}/commands/{made['id']}"
        came = len(people.came)
        await self.until(lambda: self.admin("GET", path)["state"] == "done", "answered")
        await self.until(lambda: len(people.came) == came + 1, "back after a restart")

        went = len(people.went)
        self.admin("DELETE", f"/hubs/{hub_id}")
        await self.until(lambda: len(people.went) > went, "out of the room")
        await self.until(lambda: "-> removed" in hub.output(), "removed")
        self.assertEqual(hub.stop(), 0)
        self.assertTrue((self.state / "hub.key").exists())
        self.assertNotIn("Traceback", hub.output())
        self.assertNotIn("fault in", hub.output())


class RefusalTests(SynchronousTestCase):
    """What a person at the box reads."""

    def test_exit_status_and_one_line(self) -> None:
        """1 with the reason, 2 for usage."""
        state = Path(self.mktemp()).absolute()
        words = ("hub", "run", "--state", str(state))
        for more, status, said in (
            ((), 2, "--server"),
            (("--server", "http://hub.example.org"), 1, "speaks https"),
            (("--server", "h", "--proxy", "http://a:b@c"), 1, "password"),
        ):
            done = run_command(*words, *more)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(said, done.stderr)
            if status == 1:
                self.assertEqual(len(done.stderr.strip().splitlines()), 1)
