"""A house with room boxes, over REST."""

from __future__ import annotations

from typing import Any

from tests.support.hubbox import HubBox
from tests.support.rest import Reply, RestCase

API = "/api/v1"


class HubCase(RestCase):
    """A house with ways to bring hubs in."""

    def code(self, **wish: Any) -> dict[str, Any]:
        """A fresh activation code, as the API shows it once."""
        reply = self.ask("POST", f"{API}/hub-codes", self.ada, json=wish)
        self.assertEqual(reply.status, 201, reply.body)
        made: dict[str, Any] = reply.json()
        return made

    def enrol(self, box: HubBox, code: str, **more: Any) -> str:
        """Its Hub ID."""
        body = box.enrolment(code, **more)
        reply = self.ask("POST", f"{API}/hubs", json=body)
        self.assertEqual(reply.status, 201, reply.body)
        return str(reply.json()["hub_id"])

    def newcomer(self, **more: Any) -> tuple[HubBox, str, str]:
        """A box that is enrolled, its Hub ID and its agent's token."""
        box = HubBox()
        hub_id = self.enrol(box, self.code()["code"], **more)
        return box, hub_id, self.token(box, hub_id)

    def token(self, box: HubBox, hub_id: str) -> str:
        """A fresh one."""
        reply = self.sign(box, hub_id)
        self.assertEqual(reply.status, 200, reply.body)
        return str(reply.json()["token"])

    def sign(
        self, box: HubBox, hub_id: str, *, off_s: int = 0, nonce: str | None = None
    ) -> Reply:
        """Ask for a token. off_s: how wrong the box's clock is."""
        body = box.proof(hub_id, int(self.wall) + off_s, nonce)
        return self.ask("POST", f"{API}/hubs/{hub_id}/tokens", json=body)

    def screen(self, hub_id: str, token: str) -> str:
        """A screen's token."""
        made = self.ask("POST", f"{API}/hubs/{hub_id}/screens", token)
        ticket = made.json()["ticket"]
        reply = self.ask("POST", f"{API}/hub-screens", json={"ticket": ticket})
        self.assertEqual(reply.json()["hub_id"], hub_id)
        return str(reply.json()["token"])

    def feed(self, hub_id: str, token: str, query: str = "") -> Any:
        """What it says at once."""
        reply = self.ask("GET", f"{API}/hubs/{hub_id}/feed{query}", token)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()

    def report(self, hub_id: str, token: str, **status: Any) -> Reply:
        """The agent's status."""
        body = {"doing": "idle", **status}
        return self.ask("PUT", f"{API}/hubs/{hub_id}/status", token, json=body)

    def change(self, hub_id: str, token: str, **patch: Any) -> Reply:
        """PATCH."""
        return self.ask("PATCH", f"{API}/hubs/{hub_id}", token, json=patch)

    def told(self, reply: Reply, status: int, kind: str) -> Any:
        """Assert the type of a problem."""
        problem = self.problem(reply, status)
        self.assertEqual(problem["type"], f"urn:mosaic:problem:{kind}")
        return problem
