"""A real hub behind a firewall: what it finds, and who hears of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.interop.test_netcheck_firewall import FirewallCase
from tests.support.namespaces import SERVER_HOST
from tests.support.running import environment

NO_UDP = "udp dport 53 drop"
NO_SERVER = "tcp dport 443 reject with tcp reset"
WAIT_S = 40.0
ASK = """
import json, ssl, sys, urllib.request
url, ca, method, token, body = sys.argv[1:]
ask = urllib.request.Request(url, body.encode() or None, method=method)
ask.add_header("Content-Type", "application/json")
if token:
    ask.add_header("Authorization", "Bearer " + token)
secure = ssl.create_default_context(cafile=ca) if ca else None
with urllib.request.urlopen(ask, timeout=30, context=secure) as answer:
    print(answer.read().decode())
"""


class HubBehindFirewallTests(FirewallCase):
    """One box without UDP; then without its server."""

    def test_what_it_finds_is_said_to_the_administrator_and_on_the_box(self) -> None:
        """Degraded for want of UDP, and why; blocked without a server, which hears
        of that when it is back."""
        self.forbid(NO_UDP)
        self.admin("user", "add", "ada", "--admin", "--password-stdin", text="horses 8")
        login = {"name": "ada", "password": "horses 8"}
        self.token = self.rest("POST", "/sessions", login)["token"]
        self.start_hub()
        self.addCleanup(self.stop_hub)
        self.udp_is_missed()
        self.server_is_missed()

    def udp_is_missed(self) -> None:
        """By the administrator's command."""
        commands = f"/hubs/{self.hub_id}/commands"
        asked = self.rest("POST", commands, {"command": "check-network"})["id"]

        def answer() -> Any:
            found = self.rest("GET", f"{commands}/{asked}")
            return found["state"] != "waiting" and found

        answered = self.until(answer)
        self.assertEqual(answered["state"], "done")
        self.assertIn("degraded: UDP is blocked", answered["detail"])
        hub = self.rest("GET", f"/hubs/{self.hub_id}")
        self.assertEqual(hub["network"]["outcome"], "degraded")
        self.assertEqual(hub["network"]["reason"], "asked")
        self.assertLess(abs(hub["network"]["at"] - time.time()), 30)
        media = self.verdict(hub["network"], "media")
        self.assertEqual(media["outcome"], "degraded")
        self.assertIn("video and voice use TLS", media["advice"])
        self.assertIn("UDP port 53", media["advice"])
        found = self.checks(self.rest("GET", f"/hubs/{self.hub_id}/network-check"))
        self.assertEqual(found["udp-53"]["outcome"], "blocked")
        self.assertEqual(found["turn-tls"]["outcome"], "ok")
        self.assertEqual(self.listed()["network"], "degraded")
        page = self.local_page()
        self.assertIn("<dt>Video and voice</dt><dd>limited: UDP is blocked", page)
        self.assertIn("<dt>Meetings</dt><dd>good</dd>", page)

    def server_is_missed(self) -> None:
        """By somebody at the box, whose agent knows the way; and then it is back."""
        self.forbid(NO_UDP, NO_SERVER)
        check = ("hub", "check", "--json", "--state", str(self.box))
        done = self.as_person(sys.executable, "-m", "mosaic.cli", *check)
        self.assertEqual(done.returncode, 2, done.stderr)
        signalling = self.verdict(json.loads(done.stdout), "signalling")
        self.assertEqual(signalling["outcome"], "blocked")
        told = json.loads(self.local_page("state"))["network"]["report"]
        self.assertEqual(self.verdict(told, "signalling"), signalling)
        self.forbid(NO_UDP)
        # The poll of the feed stood all the while; any news lets it end.
        self.rest("PATCH", f"/hubs/{self.hub_id}", {"desired": {"volume": 10}})
        self.until(lambda: self.listed()["network"] == "blocked")
        told = self.rest("GET", f"/hubs/{self.hub_id}")["network"]
        self.assertEqual(told["reason"], "local")

    # The box ----------------------------------------------------------------
    def start_hub(self) -> None:
        """Enrolled, in the person's namespace."""
        self.box = self.state / "box"
        self.said = (self.state / "hub-output").open("wb")
        self.addCleanup(self.said.close)
        code = json.loads(self.admin("hub", "enrol-code", "--json"))["code"]
        command = [sys.executable, "-m", "mosaic.cli", "hub", "run", "--no-announce"]
        command += ["--server", f"https://{SERVER_HOST}", "--ca", self.ca]
        command += ["--state", str(self.box), "--proxy", "direct"]
        self.hub = subprocess.Popen(
            self.cable.inside(self.cable.client, *command, "--enrol-code", code),
            env=environment(),
            stdout=self.said,
            stderr=subprocess.STDOUT,
        )
        self.hub_id = self.until(lambda: self.listed().get("hub_id"))

    def stop_hub(self) -> None:
        """Asked, and if need be made to."""
        self.hub.send_signal(signal.SIGTERM)
        try:
            self.hub.wait(20)
        except subprocess.TimeoutExpired:
            self.hub.kill()
            self.hub.wait()

    def listed(self) -> Any:
        """As `mosaic hub list` has it; empty before it is enrolled."""
        hubs = json.loads(self.admin("hub", "list", "--json"))
        return hubs[0] if hubs else {}

    def local_page(self, path: str = "") -> str:
        """What the box shows."""
        url = (self.box / "local-page").read_text().strip() + path
        return self.fetched(url, "", "GET", "", "")

    # Around it --------------------------------------------------------------
    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """As the administrator, from the person's end of the cable."""
        url = f"https://{SERVER_HOST}/api/v1{path}"
        text = "" if body is None else json.dumps(body)
        token = getattr(self, "token", "")
        return json.loads(self.fetched(url, self.ca, method, token, text))

    def fetched(self, *words: str) -> str:
        """The body of an answer."""
        done = self.as_person(sys.executable, "-c", ASK, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def forbid(self, *rules: str) -> None:
        """What the person's firewall does with what goes out; nothing else."""
        kind = "type filter hook output priority 0; policy accept;"
        chain = "\n".join(["chain c {", kind, *rules, "}"])
        self.cable.nft(self.cable.client, f"table inet t {{\n{chain}\n}}\n")

    def until(self, so: Callable[[], Any]) -> Any:
        """What it gives, once it is something."""
        end = time.monotonic() + WAIT_S
        while not (found := so()):
            if time.monotonic() > end:
                self.fail((self.state / "hub-output").read_text())
            time.sleep(0.2)
        return found
