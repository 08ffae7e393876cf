# Twisted's web server is not annotated.
# mypy: allow-untyped-calls
"""A server that speaks docs/protocols/hub.md to one hub, in memory, for unit tests."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from treq.testing import StubTreq
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

HUB_ID = "412907338"
CODE = "7KQ2MXW9RD"


class FakeHubServer(Resource):
    """What a hub may call. clock: Unix seconds of the server, plus `ahead_s`.

    said: each call as (method, path, body). refusals: answers to give in place
    of the right ones, by path without /api/v1, as (status, type).
    """

    isLeaf = True

    def __init__(self, clock: IReactorTime, *, ahead_s: float = 0.0) -> None:
        super().__init__()
        self.clock = clock
        self.ahead_s = ahead_s
        self.enrolled = False
        self.key = ""
        self.seq = 1
        self.desired: dict[str, Any] = {"room": None}
        self.commands: list[dict[str, Any]] = []
        self.held: list[str | None] = []
        self.results: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.status: dict[str, Any] | None = None
        self.said: list[tuple[str, str, Any]] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.tokens = 0
        self.valid = ""
        self.waiting: list[Any] = []
        self.treq = StubTreq(self)

    def now(self) -> float:
        return self.clock.seconds() + self.ahead_s

    def change(self, **desired: Any) -> None:
        """As an administrator's PATCH: whoever waits is told."""
        self.desired.update(desired)
        self.seq += 1
        waiting, self.waiting = self.waiting, []
        for request in waiting:
            self._send(request, 200, self._feed())
        self.treq.flush()

    def order(self, command: str, id_: str) -> None:
        self.commands.append({"id": id_, "command": command, "arguments": {}})
        self.change()

    def remove(self) -> None:
        """As an administrator's DELETE."""
        self.enrolled, self.valid = False, ""
        waiting, self.waiting = self.waiting, []
        for request in waiting:
            self._problem(request, 401, "")
        self.treq.flush()

    def paths(self, method: str) -> list[str]:
        return [path for said, path, _ in self.said if said == method]

    # ------------------------------------------------------------------------
    def render(self, request: Any) -> Any:
        path = request.path.decode().removeprefix("/api/v1")
        content = request.content.read()
        kind = request.getHeader("content-type") or ""
        body = json.loads(content) if kind == "application/json" else content
        method = request.method.decode()
        self.said.append((method, path, body))
        if path in self.refusals:
            status, problem = self.refusals[path]
            self._problem(request, status, problem)
        elif (method, path) == ("POST", "/hubs"):
            self._enrol(request, body)
        elif path == f"/hubs/{HUB_ID}/tokens":
            self._token(request, body)
        elif path == "/turn-credentials":
            answer = {"urls": ["turns:hub.example.org:443"], "username": "u"}
            self._send(request, 200, {**answer, "credential": "c", "ttl": 60})
        elif request.getHeader("authorization") != f"Bearer {self.valid}":
            self._problem(request, 401, "")
        else:
            self._as_hub(request, method, path.removeprefix(f"/hubs/{HUB_ID}"), body)
        return NOT_DONE_YET

    def _as_hub(self, request: Any, method: str, path: str, body: Any) -> None:
        if path == "/feed":
            after = request.args.get(b"after", [b""])[0].decode()
            if after == str(self.seq):
                self.waiting.append(request)
                request.notifyFinish().addErrback(
                    lambda _: self.waiting.remove(request)
                )
            else:
                self._send(request, 200, self._feed())
        elif path == "/status":
            self.status = body
            self._send(request, 204, None)
        elif path == "/room":
            self._send(request, 204, None)
            self.change(room=body["room"])
        elif path == "/room-token":
            if self.desired["room"] is None:
                self._problem(request, 409, "hub-idle")
                return
            self.held.append(body.get("token"))
            answer = {"room": self.desired["room"], "token": "room-token"}
            more = {"role": "host", "expires_at": self.now() + 3600}
            self._send(request, 200, {**answer, **more})
        elif path == "/screens":
            self._send(request, 200, {"ticket": "ticket-1"})
        elif path.endswith("/result"):
            id_ = path.split("/")[2]
            self.results[id_] = body
            self.commands = [c for c in self.commands if c["id"] != id_]
            self._send(request, 204, None)
        elif path.endswith("/file"):
            self.files[path.split("/")[2]] = body
            self._send(request, 204, None)
        else:
            self._problem(request, 404, "")

    def _enrol(self, request: Any, body: dict[str, Any]) -> None:
        text = f"mosaic-hub-enrol\n{CODE}\n{body['public_key']}"
        if body["code"] != CODE or not self._signed(
            body["public_key"], body["proof"], text
        ):
            self._problem(request, 403, "enrolment-refused")
            return
        self.enrolled, self.key = True, body["public_key"]
        answer = {"hub_id": HUB_ID, "name": body.get("name", "Hub")}
        self._send(request, 201, {**answer, "server_time": self.now(), "jid": "x"})

    def _token(self, request: Any, body: dict[str, Any]) -> None:
        text = f"mosaic-hub-token\n{HUB_ID}\n{body['time']}\n{body['nonce']}"
        if abs(body["time"] - self.now()) > 60:
            self._problem(request, 401, "hub-clock", server_time=int(self.now()))
        elif not self.enrolled or not self._signed(self.key, body["signature"], text):
            self._problem(request, 401, "hub-unknown")
        else:
            self.tokens += 1
            self.valid = f"token-{self.tokens}"
            jid = f"hub-{HUB_ID}@hub.example.org"
            xmpp = {"jid": jid, "password": "p", "domain": "hub.example.org"}
            answer = {"token": self.valid, "expires_in_s": 900, "xmpp": xmpp}
            self._send(request, 200, answer)

    def _signed(self, key: str, signature: str, text: str) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(_octets(key)).verify(
                _octets(signature), text.encode()
            )
        except Exception:
            return False
        return True

    def _feed(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "hub": {"hub_id": HUB_ID, "name": "Lisbon", "pin": "615823"},
            "desired": self.desired,
            "commands": self.commands,
            "report": self.status is None,
        }

    def _send(self, request: Any, status: int, body: Any) -> None:
        request.setResponseCode(status)
        if body is not None:
            request.setHeader("Content-Type", "application/json")
            request.write(json.dumps(body).encode())
        request.finish()

    def _problem(self, request: Any, status: int, kind: str, **more: Any) -> None:
        type_ = f"urn:mosaic:problem:{kind}" if kind else "about:blank"
        body = {"type": type_, "title": "No", "status": status, "detail": "no", **more}
        self._send(request, status, body)


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
