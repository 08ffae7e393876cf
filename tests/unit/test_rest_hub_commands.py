"""Commands to a room box, and the files that come back."""

from __future__ import annotations

from typing import Any

from tests.support.hub_rest import API, HubCase
from tests.support.rest import Reply


class CommandTests(HubCase):
    """Asked once, answered once."""

    def setUp(self) -> None:
        """One hub that has reported."""
        super().setUp()
        self.box, self.hub_id, self.mine = self.newcomer()
        self.report(self.hub_id, self.mine)
        self.path = f"{API}/hubs/{self.hub_id}/commands"

    def command(self, name: str, **arguments: Any) -> str:
        """Its id."""
        body = {"command": name, "arguments": arguments}
        reply = self.ask("POST", self.path, self.ada, json=body)
        self.assertEqual(reply.status, 201, reply.body)
        return str(reply.json()["id"])

    def put(self, id: str, data: bytes, kind: str) -> Reply:
        """Its file."""
        return self.ask(
            "PUT",
            f"{self.path}/{id}/file",
            self.mine,
            data=data,
            headers={"Content-Type": kind},
        )

    def answer(self, id: str, **result: Any) -> Reply:
        """The agent's."""
        return self.ask("POST", f"{self.path}/{id}/result", self.mine, json=result)

    def test_it_waits_in_the_agents_feed(self) -> None:
        """Until the first answer; a screen does not see it."""
        id = self.command("restart", delay=5)
        told = self.feed(self.hub_id, self.mine)
        self.assertEqual(
            told["commands"],
            [{"id": id, "command": "restart", "arguments": {"delay": 5}}],
        )
        screen = self.screen(self.hub_id, self.mine)
        self.assertEqual(self.feed(self.hub_id, screen)["commands"], [])
        self.assertEqual(self.answer(id, ok=False, detail="no").status, 204)
        self.assertEqual(self.answer(id, ok=True).status, 204)
        shown = self.ask("GET", f"{self.path}/{id}", self.ada).json()
        self.assertEqual((shown["state"], shown["detail"]), ("failed", "no"))
        self.assertEqual((shown["by"], shown["file"]), ("ada", None))
        self.assertEqual(self.feed(self.hub_id, self.mine)["commands"], [])

    def test_whoever_stands_at_the_wall_installs_what_was_found(self) -> None:
        """Once, however often it is touched; the agent and people have other ways."""
        screen = self.screen(self.hub_id, self.mine)
        path = f"{API}/hubs/{self.hub_id}/update"
        self.problem(self.ask("POST", path, screen), 409)
        self.assertIsNone(self.feed(self.hub_id, screen)["found"])
        found = {"state": "available", "available": "2.1", "notes": "x", "size": 5}
        self.report(self.hub_id, self.mine, version="2.0", update=found)
        told = {**found, "runs": "2.0"}
        self.assertEqual(self.feed(self.hub_id, screen)["found"], told)
        self.assertIsNone(self.feed(self.hub_id, self.mine)["found"])
        made = [self.ask("POST", path, screen) for _ in range(2)]
        self.assertEqual([reply.status for reply in made], [201, 201])
        self.assertEqual(made[0].json(), made[1].json())
        (command,) = self.feed(self.hub_id, self.mine)["commands"]
        self.assertEqual(command["command"], "update-install")
        self.problem(self.ask("POST", path, self.mine), 403)
        self.problem(self.ask("POST", path, self.ada), 401)

    def test_a_picture_comes_back(self) -> None:
        """As an attachment that no browser runs."""
        id = self.command("screenshot")
        picture = b"\x89PNG\r\n\x1a\n" + b"x" * 2_000_000
        self.assertEqual(self.put(id, picture, "image/png").status, 204)
        self.answer(id, ok=True)
        shown = self.ask("GET", f"{self.path}/{id}", self.ada).json()
        reply = self.ask("GET", shown["file"], self.ada)
        self.assertEqual(reply.body, picture)
        self.assertEqual(reply.header("Content-Type"), "image/png")
        self.assertIn("attachment", reply.header("Content-Disposition") or "")
        self.problem(self.put(id, picture, "image/png"), 404)

    def test_files_that_are_not_taken(self) -> None:
        """Too large, empty, of another kind, or not what they say; nothing stays."""
        id = self.command("screenshot")
        self.problem(self.put(id, b"x" * 6_000_000, "text/plain"), 413)
        self.problem(self.put(id, b"", "text/plain"), 422)
        self.problem(self.put(id, b"<html>", "text/html"), 415)
        self.problem(self.put(id, b"GIF89a", "image/png"), 415)
        self.problem(self.put("0" * 32, b"x", "text/plain"), 404)
        self.problem(self.ask("GET", f"{self.path}/{id}/file", self.ada), 404)
        left = [p for p in self.state.rglob("*") if p.is_file()]
        self.assertEqual(left, [])

    def test_only_its_agent_brings_files(self) -> None:
        """Neither screens, people nor other hubs."""
        id = self.command("log")
        _, _, other = self.newcomer()
        screen = self.screen(self.hub_id, self.mine)
        for token, status in ((other, 403), (screen, 403), (self.ada, 401)):
            reply = self.ask(
                "PUT",
                f"{self.path}/{id}/file",
                token,
                data=b"x",
                headers={"Content-Type": "text/plain"},
            )
            self.problem(reply, status)

    def test_a_host_may_ask_for_a_screenshot(self) -> None:
        """And sees no other command."""
        log = self.command("log")
        self.change(self.hub_id, self.ada, desired={"room": self.room.hub_id})
        host = self.room_token("host")
        body = {"command": "screenshot"}
        made = self.ask("POST", self.path, host, json=body)
        self.assertEqual(made.status, 201)
        self.problem(self.ask("POST", self.path, host, json={"command": "log"}), 403)
        listed = self.ask("GET", self.path, host).json()["commands"]
        self.assertEqual([one["command"] for one in listed], ["screenshot"])
        self.problem(self.ask("GET", f"{self.path}/{log}", host), 404)
        listed = self.ask("GET", self.path, self.ada).json()["commands"]
        self.assertEqual(len(listed), 2)

    def test_so_many_wait(self) -> None:
        """Then no more can be asked."""
        for _ in range(32):
            self.command("log")
        reply = self.ask("POST", self.path, self.ada, json={"command": "log"})
        self.problem(reply, 409)

    def test_time_answers_too(self) -> None:
        """After a day it has failed; after a week it and its file are gone."""
        id = self.command("log")
        self.put(id, b"a log", "text/plain")
        self.wall += 86401
        self.run_steps(self.rest.commands.prune())
        shown = self.ask("GET", f"{self.path}/{id}", self.ada).json()
        self.assertEqual(shown["state"], "failed")
        self.wall += 7 * 86400
        self.run_steps(self.rest.commands.prune())
        self.ada = self.log_in("ada")
        self.problem(self.ask("GET", f"{self.path}/{id}", self.ada), 404)
        self.assertEqual([p for p in self.state.rglob("*") if p.is_file()], [])

    def test_removal_takes_the_files(self) -> None:
        """Of that hub."""
        id = self.command("log")
        self.put(id, b"a log", "text/plain")
        self.ask("DELETE", f"{API}/hubs/{self.hub_id}", self.ada)
        self.clock.advance(0)
        self.assertEqual([p for p in self.state.rglob("*") if p.is_file()], [])
