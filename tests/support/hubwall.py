"""The agent's side of a hub's screen: enrolled, reporting, and giving out tickets."""

from __future__ import annotations

import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.hubbox import HubBox
from tests.support.running import RunningMosaic

PASSWORD = "correct horse"
SOON_S = 15.0
NO_UDP = (
    "UDP is blocked: video and voice use TLS. Ask for UDP port 53 of the server to be"
    " opened for better video."
)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154089963601890f70000009e0001a0b5cdd20000000049454e44ae426082"
)


class EnrolledBox:
    """A box that came in by a code of the administrator ada."""

    def __init__(self, server: RunningMosaic, name: str = "Lisbon") -> None:
        self._server = server
        self._box = HubBox()
        server.command(
            "user", "add", "ada", "--admin", "--password-stdin", text=PASSWORD
        )
        _, session = server.call(
            "POST", "/sessions", {"name": "ada", "password": PASSWORD}
        )
        self.ada: str = session["token"]
        _, code = server.call(
            "POST", "/hub-codes", {"uses": 1, "expires_in_s": 600}, token=self.ada
        )
        status, hub = server.call(
            "POST", "/hubs", self._box.enrolment(code["code"], name=name)
        )
        if status != 201:
            raise RuntimeError(f"not enrolled: {hub}")
        self.hub_id: str = hub["hub_id"]
        self.token = self._log_in()

    def _log_in(self) -> str:
        proof = self._box.proof(self.hub_id, int(time.time()))
        status, answer = self._server.call("POST", f"/hubs/{self.hub_id}/tokens", proof)
        if status != 200:
            raise RuntimeError(f"no token: {answer}")
        return str(answer["token"])

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> Any:
        """A call below /hubs/{hub_id}, as the agent; what it answered."""
        status, answer = self._server.call(
            method, f"/hubs/{self.hub_id}{path}", body, token=token or self.token
        )
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def ticket(self) -> str:
        """For one screen."""
        return str(self.call("POST", "/screens")["ticket"])

    def feed(self) -> Any:
        """What it shall do now."""
        return self.call("GET", "/feed?wait=0")

    def desire(self, **desired: Any) -> None:
        """As the administrator."""
        self.call("PATCH", "", {"desired": desired}, token=self.ada)

    def report(self, **status: Any) -> None:
        """What it does; the rest is the status of a box that is well."""
        usual = {
            "doing": "idle",
            "version": "1.2.0",
            "platform": "Debian 12",
            "uptime_s": 7200,
            "screens": [
                {"name": "HDMI-1", "width": 1920, "height": 1080, "shown": True}
            ],
            "proxy": "direct",
            "route": "direct, udp",
        }
        self.call("PUT", "/status", {**usual, **status})

    def report_network(self, **found: Any) -> None:
        """What it found; the rest is a network without UDP."""
        usual = {
            "outcome": "degraded",
            "reason": "daily",
            "age_s": 60,
            "via": "environment",
            "took_s": 9.5,
            "verdicts": [
                {"capability": "signalling", "outcome": "ok"},
                {"capability": "presence", "outcome": "ok"},
                {"capability": "media", "outcome": "degraded", "advice": NO_UDP},
                {"capability": "direct", "outcome": "skipped"},
                {"capability": "quality", "outcome": "ok"},
            ],
            "checks": [
                {"name": "rest", "outcome": "ok", "ms": 12.0},
                {
                    "name": "udp-53",
                    "outcome": "blocked",
                    "ms": 2104.0,
                    "stage": "application",
                    "detail": "no answer over UDP",
                    "advice": "ask for UDP port 53 to hub.example.org to be opened",
                },
                {"name": "turn-tls", "outcome": "ok", "ms": 61.0},
            ],
        }
        self.call("PUT", "/network-check", {**usual, **found})

    def answer_commands(self) -> list[str]:
        """Answer what comes, a screenshot with a picture; their names. What was
        clicked a moment ago may still be on its way."""
        until = time.monotonic() + SOON_S
        while not (waiting := self.feed()["commands"]) and time.monotonic() < until:
            time.sleep(0.1)
        for command in waiting:
            path = f"/commands/{command['id']}"
            if command["command"] == "screenshot":
                self._upload(f"{path}/file", PIXEL)
            self.call("POST", f"{path}/result", {"ok": True, "detail": ""})
        return [command["command"] for command in waiting]

    def _upload(self, path: str, content: bytes) -> None:
        request = urllib.request.Request(
            f"{self._server.url}/api/v1/hubs/{self.hub_id}{path}", method="PUT"
        )
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "image/png")
        with urllib.request.urlopen(request, content, timeout=10):
            pass


class AgentPage:
    """The page on the box: remembers what screens told it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"<title>box</title><h1>This is the box</h1>")

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                told.append(f"{self.path} {self.rfile.read(length).decode()}")
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/k3y/1"

    def heard(self, shown: str, more: str = "") -> None:
        """Until screen 1 has told that it shows this; RuntimeError if it does not.
        more: JSON behind that."""
        said = f'/k3y/1/screen {{"screen":1,"shown":"{shown}"{more}}}'
        until = time.monotonic() + SOON_S
        while said not in self.told:
            if time.monotonic() > until:
                raise RuntimeError(f"{said!r} is not in {self.told}")
            time.sleep(0.1)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
