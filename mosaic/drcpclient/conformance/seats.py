"""Who may sit down in the room that the checks are run in."""

# Twisted's web client is not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers

CALL_S = 15.0


class NoSeat(Exception):
    """A check needs somebody that we cannot be: it is skipped."""


class Http:
    """JSON calls to the server's REST API. policy: of the Agent, for https."""

    def __init__(self, reactor: Any, base: str, *, policy: Any = None) -> None:
        self.base = base
        self.policy = policy
        self._reactor = reactor
        more = {} if policy is None else {"contextFactory": policy}
        self._agent = Agent(reactor, connectTimeout=10, **more)

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one call below /api/v1."""
        headers = Headers({"Content-Type": ["application/json"]})
        if token:
            headers.setRawHeaders("Authorization", [f"Bearer {token}"])
        sent = None
        if body is not None:
            sent = FileBodyProducer(BytesIO(json.dumps(body).encode()))
        url = f"{self.base}/api/v1{path}".encode()
        asked = self._agent.request(method.encode(), url, headers, sent)
        asked.addTimeout(CALL_S, self._reactor)
        response: Any = await asked
        read = readBody(response)
        read.addTimeout(CALL_S, self._reactor)
        return int(response.code), await read


class Seats:
    """Tokens, made as they are needed if that is possible.

    tokens: given ones. If the first is a host's, others are made with it; with
    hub_id and pin guests join; else each given token is an editor's seat.
    """

    def __init__(
        self,
        http: Http,
        *,
        tokens: Sequence[str] = (),
        viewer_token: str | None = None,
        hub_id: str | None = None,
        pin: str | None = None,
    ) -> None:
        self.http = http
        self.hub_id = hub_id
        self._given = list(tokens)
        self._viewer = viewer_token
        self._pin = pin
        self._host: str | None = None
        self._taken = 0

    async def prepare(self) -> None:
        """See what the first token may do."""
        if not self._given:
            return
        try:
            status, body = await self.http.call("GET", "/me", token=self._given[0])
            me = json.loads(body) if status == 200 else {}
        except Exception:  # a server without our REST API
            return
        self.hub_id = me.get("hub_id") or self.hub_id
        if me.get("role") == "host":
            self._host = self._given[0]

    def again(self) -> None:
        """A new check: given tokens may be used once more."""
        self._taken = 0

    async def editor(self) -> str:
        """A token of one more editor. Raises NoSeat."""
        if self._host is not None:
            return await self._made("editor")
        if self._pin is not None:
            path = f"/rooms/{self.hub_id}/join"
            body = {"name": "Conformance", "pin": self._pin}
            return await self._token("POST", path, body)
        if self._taken >= len(self._given):
            raise NoSeat(f"needs {self._taken + 1} tokens of editors, or a host's")
        self._taken += 1
        return self._given[self._taken - 1]

    async def viewer(self) -> str:
        """A token of a viewer. Raises NoSeat."""
        if self._viewer is not None:
            return self._viewer
        if self._host is None:
            raise NoSeat("needs a viewer's token, or a host's")
        return await self._made("viewer")

    async def kick(self, participant_id: str) -> None:
        """Put somebody out. Raises NoSeat."""
        if self._host is None:
            raise NoSeat("needs a host's token")
        path = f"/rooms/{self.hub_id}/participants/{participant_id}"
        await self.http.call("DELETE", path, token=self._host)

    async def _made(self, role: str) -> str:
        path = f"/rooms/{self.hub_id}/tokens"
        body = {"role": role, "name": "Conformance"}
        return await self._token("POST", path, body, token=self._host)

    async def _token(
        self, method: str, path: str, body: Any, token: str | None = None
    ) -> str:
        status, answer = await self.http.call(method, path, body, token=token)
        if status != 201 and status != 200:
            raise NoSeat(f"no token: HTTP {status} {answer[:200]!r}")
        return str(json.loads(answer)["token"])
