"""Every operation of the API, in memory: what it does and what it answers."""

from __future__ import annotations

from typing import Any

from mosaic.workspace.model import Role
from tests.support.rest import PASSWORD, RestCase


class SessionTests(RestCase):
    """Logging in and out."""

    def test_log_in(self) -> None:
        """A session token, when it ends, and whose it is."""
        reply = self.ask(
            "POST", "/api/v1/sessions", json={"name": "Ada", "password": PASSWORD}
        )
        self.assertEqual(reply.status, 201)
        session = reply.json()
        self.assertEqual(session["account"]["name"], "ada")
        self.assertTrue(session["account"]["admin"])
        self.assertGreater(session["expires_at"], self.wall)
        me = self.ask("GET", "/api/v1/me", session["token"]).json()
        self.assertEqual(
            (me["account"], me["hub_id"], me["waiting"]), ("ada", None, False)
        )

    def test_wrong_password_and_unknown_account_are_alike(self) -> None:
        """Nobody learns from the answer which accounts exist."""
        details = []
        for name in ("ada", "nobody"):
            reply = self.ask(
                "POST", "/api/v1/sessions", json={"name": name, "password": "wrong!"}
            )
            problem = self.problem(reply, 401)
            self.assertIn("Bearer", reply.header("WWW-Authenticate") or "")
            details.append({k: v for k, v in problem.items() if k != "request_id"})
        self.assertEqual(details[0], details[1])

    def test_many_wrong_passwords_are_a_429(self) -> None:
        """With the time to wait, in the header and in the document."""
        wrong = {"name": "ada", "password": "wrong!"}
        replies = [self.ask("POST", "/api/v1/sessions", json=wrong) for _ in range(6)]
        problem = self.problem(replies[-1], 429)
        self.assertGreater(problem["retry_after_s"], 0)
        self.assertGreaterEqual(int(replies[-1].header("Retry-After") or 0), 1)

    def test_log_out_revokes(self) -> None:
        """The token is worth nothing afterwards."""
        self.assertEqual(
            self.ask("DELETE", "/api/v1/sessions/current", self.bob).status, 204
        )
        reply = self.ask("GET", "/api/v1/me", self.bob)
        self.problem(reply, 401)
        self.assertIn("invalid_token", reply.header("WWW-Authenticate") or "")

    def test_set_up_with_a_wrong_code(self) -> None:
        """Without the one-time code there is no administrator to be had."""
        body = {"code": "guess", "name": "eve", "password": PASSWORD}
        self.problem(self.ask("POST", "/api/v1/setup", json=body), 401)

    def test_set_up(self) -> None:
        """The code of the first run makes the first administrator, once."""
        self.run_steps(self.store.remove_account("ada"))
        code = self.run_steps(self.door.new_setup_code())
        body = {"code": code, "name": "eve", "password": "pw"}
        self.problem(self.ask("POST", "/api/v1/setup", json=body), 422)
        body["password"] = PASSWORD
        reply = self.ask("POST", "/api/v1/setup", json=body)
        self.assertEqual(reply.status, 201, reply.body)
        self.assertTrue(reply.json()["account"]["admin"])
        self.problem(self.ask("POST", "/api/v1/setup", json=body), 401)


class UserTests(RestCase):
    """Accounts."""

    def test_add_list_remove(self) -> None:
        """An administrator's round."""
        body = {"name": "Eve", "password": PASSWORD}
        reply = self.ask("POST", "/api/v1/users", self.ada, json=body)
        self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(reply.json()["name"], "eve")
        self.problem(self.ask("POST", "/api/v1/users", self.ada, json=body), 409)
        users = self.ask("GET", "/api/v1/users", self.ada).json()["users"]
        self.assertEqual([one["name"] for one in users], ["ada", "bob", "eve"])
        self.assertEqual(self.ask("DELETE", "/api/v1/users/eve", self.ada).status, 204)
        self.problem(self.ask("DELETE", "/api/v1/users/eve", self.ada), 404)
        self.assertIn(("account.eve", {"type": "removed"}), self.heard)

    def test_the_last_administrator_stays(self) -> None:
        """Else nobody could ever administer again."""
        self.problem(self.ask("DELETE", "/api/v1/users/ada", self.ada), 409)

    def test_only_administrators(self) -> None:
        """A session is not enough."""
        self.problem(self.ask("GET", "/api/v1/users", self.bob), 403)

    def test_bad_names_and_passwords_name_the_fault(self) -> None:
        """422, and the person can read why."""
        for body in (
            {"name": "a b", "password": PASSWORD},
            {"name": "eve", "password": "short"},
            {"name": "eve", "password": "bad\x07bell"},
        ):
            reply = self.ask("POST", "/api/v1/users", self.ada, json=body)
            self.assertTrue(self.problem(reply, 422)["detail"])

    def test_own_password(self) -> None:
        """One's own, but nobody else's; every token of the account ends."""
        body = {"password": "another horse"}
        self.problem(
            self.ask("PUT", "/api/v1/users/ada/password", self.bob, json=body), 403
        )
        reply = self.ask("PUT", "/api/v1/users/bob/password", self.bob, json=body)
        self.assertEqual(reply.status, 204)
        self.problem(self.ask("GET", "/api/v1/me", self.bob), 401)

    def test_password_of_nobody(self) -> None:
        """404 for an administrator."""
        for name in ("nobody", "%21"):
            path = f"/api/v1/users/{name}/password"
            body = {"password": PASSWORD}
            self.problem(self.ask("PUT", path, self.ada, json=body), 404)


class RoomTests(RestCase):
    """Rooms."""

    def test_create_and_show(self) -> None:
        """A host sees the PIN; it is in the link's fragment and nowhere else."""
        body = {"name": "Green", "alias": "green"}
        reply = self.ask("POST", "/api/v1/rooms", self.bob, json=body)
        self.assertEqual(reply.status, 201, reply.body)
        room = reply.json()
        url = f"https://meet.example.org/join/{room['hub_id']}#pin={room['pin']}"
        self.assertEqual(room["join_url"], url)
        self.assertEqual((room["owner"], room["alias"]), ("bob", "green"))
        shown = self.ask("GET", f"/api/v1/rooms/{room['hub_id']}", self.bob).json()
        self.assertEqual(shown, room)

    def test_alias_taken(self) -> None:
        """409."""
        body = {"name": "Green", "alias": "green"}
        self.ask("POST", "/api/v1/rooms", self.bob, json=body)
        self.problem(self.ask("POST", "/api/v1/rooms", self.bob, json=body), 409)

    def test_list_is_ones_own(self) -> None:
        """An administrator sees all; a viewer's list has no PIN."""
        self.assertEqual(self.ask("GET", "/api/v1/rooms", self.bob).json()["rooms"], [])
        self.run_steps(self.store.set_member(self.room.hub_id, "bob", Role.VIEWER))
        [seen] = self.ask("GET", "/api/v1/rooms", self.bob).json()["rooms"]
        self.assertEqual((seen["hub_id"], seen["pin"]), (self.room.hub_id, None))
        self.assertNotIn("#", seen["join_url"])
        [all_of_it] = self.ask("GET", "/api/v1/rooms", self.ada).json()["rooms"]
        self.assertEqual(all_of_it["pin"], self.room.pin)

    def test_no_pin_for_editors(self) -> None:
        """Only a host may hand out the key."""
        for role, pin in (("host", self.room.pin), ("editor", None), ("viewer", None)):
            shown = self.ask("GET", self.hub, self.room_token(role)).json()
            self.assertEqual(shown["pin"], pin)

    def test_change(self) -> None:
        """What is given is written, and the room hears of it."""
        patch = {"name": "  Red   room ", "locked": True, "lobby": True}
        reply = self.ask("PATCH", self.hub, self.ada, json=patch)
        room = reply.json()
        self.assertEqual(
            (room["name"], room["locked"], room["lobby"]), ("Red room", True, True)
        )
        self.assertIn((f"room.{self.room.hub_id}", {"type": "updated"}), self.heard)
        again = self.ask("PATCH", self.hub, self.ada, json={}).json()
        self.assertEqual(again, room)

    def test_close_and_reopen(self) -> None:
        """Closed rooms refuse joins with 423 and the reason."""
        closed = self.ask("POST", f"{self.hub}/close", self.ada).json()
        self.assertEqual(closed["closed_at"], self.wall)
        join = {"name": "Eve", "pin": self.room.pin}
        problem = self.problem(self.ask("POST", f"{self.hub}/join", json=join), 423)
        self.assertEqual(problem["reason"], "closed")
        self.wall += 5
        again = self.ask("POST", f"{self.hub}/close", self.ada).json()
        self.assertEqual(again["closed_at"], closed["closed_at"])
        reopened = self.ask("POST", f"{self.hub}/reopen", self.ada).json()
        self.assertIsNone(reopened["closed_at"])
        self.assertEqual(self.ask("POST", f"{self.hub}/join", json=join).status, 200)
        kinds = [what["type"] for topic, what in self.heard if "people" not in topic]
        self.assertEqual(kinds, ["closed", "closed", "reopened"])

    def test_rotate_pin(self) -> None:
        """The old one opens nothing any more."""
        pins = {
            self.ask("POST", f"{self.hub}/pin", self.ada).json()["pin"] for _ in "ab"
        }
        self.assertNotEqual(pins, {self.room.pin})
        current = self.ask("GET", self.hub, self.ada).json()["pin"]
        self.assertIn(current, pins)

    def test_members(self) -> None:
        """Give, list, take; the owner is a host."""
        path = f"{self.hub}/members/bob"
        given = self.ask("PUT", path, self.ada, json={"role": "editor"})
        self.assertEqual(given.status, 204)
        members = self.ask("GET", f"{self.hub}/members", self.ada).json()["members"]
        expected = [
            {"account": "ada", "role": "host"},
            {"account": "bob", "role": "editor"},
        ]
        self.assertEqual(members, expected)
        self.clock.advance(0)
        news = (f"room.{self.room.hub_id}.people", {"type": "member", "account": "bob"})
        self.assertIn(news, self.heard, "who is inside is told")
        self.assertEqual(self.ask("DELETE", path, self.ada).status, 204)
        self.problem(self.ask("GET", self.hub, self.bob), 403)

    def test_members_who_do_not_exist(self) -> None:
        """404."""
        path = f"{self.hub}/members/nobody"
        self.problem(self.ask("PUT", path, self.ada, json={"role": "editor"}), 404)


class PeopleTests(RestCase):
    """Joining, the lobby, and being put out."""

    def join(self, pin: str | None, token: str | None = None) -> Any:
        """Join the room as Eve."""
        body = {"name": "Eve"} if pin is None else {"name": "Eve", "pin": pin}
        return self.ask("POST", f"{self.hub}/join", token, json=body)

    def test_guest_joins_with_the_pin(self) -> None:
        """Spaces in it are forgiven."""
        reply = self.join(f" {self.room.pin[:3]} {self.room.pin[3:]} ")
        self.assertEqual(reply.status, 200, reply.body)
        joined = reply.json()
        self.assertEqual((joined["role"], joined["waiting"]), ("editor", False))
        self.assertEqual(joined["room"], {"hub_id": self.room.hub_id, "name": "Blue"})
        me = self.ask("GET", "/api/v1/me", joined["token"]).json()
        self.assertEqual(me["participant_id"], joined["participant_id"])
        self.assertEqual((me["name"], me["account"]), ("Eve", None))

    def test_wrong_pin_and_no_room_are_alike(self) -> None:
        """A guesser does not learn which Hub IDs exist."""
        wrong = "000000" if self.room.pin != "000000" else "000001"
        self.problem(self.join(wrong), 401)
        body = {"name": "Eve", "pin": wrong}
        self.problem(self.ask("POST", "/api/v1/rooms/123456782/join", json=body), 401)

    def test_wrong_pins_back_off(self) -> None:
        """T11: after five the answer is 429, also for the right one."""
        wrong = "000000" if self.room.pin != "000000" else "000001"
        for _ in range(5):
            self.problem(self.join(wrong), 401)
        self.problem(self.join(self.room.pin), 429)

    def test_member_needs_no_pin(self) -> None:
        """The session says who it is."""
        joined = self.join(None, self.ada).json()
        self.assertEqual(joined["role"], "host")
        self.problem(self.join(None, self.bob), 401)

    def test_room_token_cannot_join(self) -> None:
        """It is in the room already; a session it is not."""
        self.problem(self.join(self.room.pin, self.room_token("viewer")), 403)

    def test_a_bad_token_is_no_guest(self) -> None:
        """Whoever shows a token means it."""
        self.problem(self.join(self.room.pin, "ms_" + "x" * 43), 401)

    def test_locked(self) -> None:
        """423 with the reason."""
        self.ask("PATCH", self.hub, self.ada, json={"locked": True})
        self.assertEqual(
            self.problem(self.join(self.room.pin), 423)["reason"], "locked"
        )

    def test_lobby(self) -> None:
        """A guest waits, may do nothing, is let in, and may."""
        self.ask("PATCH", self.hub, self.ada, json={"lobby": True})
        joined = self.join(self.room.pin).json()
        self.assertTrue(joined["waiting"])
        token, person = joined["token"], joined["participant_id"]
        self.assertTrue(self.ask("GET", "/api/v1/me", token).json()["waiting"])
        self.problem(self.ask("GET", self.hub, token), 403)
        self.problem(self.ask("POST", "/api/v1/turn-credentials", token), 403)
        lobby = self.ask("GET", f"{self.hub}/lobby", self.ada).json()
        eve = {"participant_id": person, "name": "Eve", "hub": None}
        self.assertEqual(lobby, {"waiting": [eve]})
        path = f"{self.hub}/lobby/{person}"
        admitted = self.ask(
            "POST", path, self.ada, json={"admit": True, "role": "viewer"}
        )
        self.assertEqual(admitted.status, 204)
        self.assertEqual(self.ask("GET", "/api/v1/me", token).json()["role"], "viewer")
        self.assertEqual(self.ask("GET", self.hub, token).status, 200)
        self.problem(self.ask("POST", path, self.ada, json={"admit": True}), 404)

    def test_turned_away(self) -> None:
        """The token ends, and the person hears why."""
        self.ask("PATCH", self.hub, self.ada, json={"lobby": True})
        joined = self.join(self.room.pin).json()
        path = f"{self.hub}/lobby/{joined['participant_id']}"
        self.assertEqual(
            self.ask("POST", path, self.ada, json={"admit": False}).status, 204
        )
        self.problem(self.ask("GET", "/api/v1/me", joined["token"]), 401)
        self.assertEqual(self.heard[-1][1]["type"], "refused")

    def test_kick(self) -> None:
        """The token ends, and the room hears of it."""
        joined = self.join(self.room.pin).json()
        path = f"{self.hub}/participants/{joined['participant_id']}"
        self.problem(self.ask("DELETE", path, joined["token"]), 403)
        self.assertEqual(self.ask("DELETE", path, self.ada).status, 204)
        self.problem(self.ask("GET", "/api/v1/me", joined["token"]), 401)
        self.problem(self.ask("DELETE", path, self.ada), 404)
        self.assertEqual(self.heard[-1][1]["type"], "kicked")

    def test_room_tokens(self) -> None:
        """With a role, a name and a life of their own; nobody's account."""
        body = {"role": "viewer", "name": "Screen", "ttl_s": 60}
        made = self.ask("POST", f"{self.hub}/tokens", self.ada, json=body)
        self.assertEqual(made.status, 201)
        self.assertEqual(made.json()["expires_at"], self.wall + 60)
        me = self.ask("GET", "/api/v1/me", made.json()["token"]).json()
        self.assertEqual(
            (me["name"], me["account"], me["role"]), ("Screen", None, "viewer")
        )
        self.wall += 60 + 61  # the leeway for clocks is a minute
        self.problem(self.ask("GET", "/api/v1/me", made.json()["token"]), 401)

    def test_messages(self) -> None:
        """Pages go back in time; each is oldest first."""
        for number in range(5):
            self.run_steps(
                self.store.add_message(
                    self.room.hub_id,
                    message_id=f"m{number}",
                    author_id="a" * 16,
                    author="Eve",
                    text=f"line {number}",
                    at=self.wall,
                )
            )
        token = self.room_token("viewer")
        path = f"{self.hub}/messages"
        last = self.ask("GET", f"{path}?limit=2", token).json()["messages"]
        self.assertEqual([line["text"] for line in last], ["line 3", "line 4"])
        older = self.ask("GET", f"{path}?limit=2&before={last[0]['seq']}", token).json()
        self.assertEqual(
            [line["text"] for line in older["messages"]], ["line 1", "line 2"]
        )
        self.problem(self.ask("GET", path, self.bob), 403)

    def test_bad_queries(self) -> None:
        """422 for what the description does not allow."""
        for query in (
            "limit=0",
            "limit=201",
            "limit=x",
            "before=null",
            "x=1",
            "limit=1&limit=2",
            "limit=%ff",
        ):
            reply = self.ask("GET", f"{self.hub}/messages?{query}", self.ada)
            self.problem(reply, 422)

    def test_turn_credentials(self) -> None:
        """At the host that the client used."""
        made = self.ask("POST", "/api/v1/turn-credentials", self.bob).json()
        self.assertEqual(made["urls"], ["turn:meet.example.org:3478?transport=udp"])
        self.assertEqual((made["credential"], made["ttl"]), ("secret", 600))
