"""Who commands a room box, the rooms that it sits in, and its end."""

from __future__ import annotations

from typing import Any

from tests.support.hub_rest import API, HubCase
from tests.support.hubbox import HubBox
from tests.support.rest import Reply


class RightsTests(HubCase):
    """Who commands a hub."""

    def setUp(self) -> None:
        """Bob is host of a room, and no administrator."""
        super().setUp()
        self.box, self.hub_id, self.token_ = self.newcomer()
        made = self.ask("POST", f"{API}/rooms", self.bob, json={"name": "Bob's"})
        self.bobs = made.json()["hub_id"]

    def send(self, token: str, room: str | None) -> Reply:
        """Send it somewhere."""
        return self.change(self.hub_id, token, desired={"room": room})

    def test_strangers_do_not_know_it(self) -> None:
        """Nor does a host whom it has not come to."""
        for token in (self.bob, self.room_token("host"), self.room_token("viewer")):
            listed = self.ask("GET", f"{API}/hubs", token).json()
            self.assertEqual(listed, {"hubs": []})
            path = f"{API}/hubs/{self.hub_id}"
            self.problem(self.ask("GET", path, token), 404)
            self.problem(self.send(token, None), 404)
            body = {"command": "screenshot"}
            self.problem(self.ask("POST", f"{path}/commands", token, json=body), 404)
            self.problem(self.ask("GET", f"{path}/commands", token), 404)

    def test_nobody_pulls_a_wall_into_their_room(self) -> None:
        """Its cameras are in somebody's office."""
        self.problem(self.send(self.bob, self.bobs), 404)

    def test_a_host_commands_while_it_is_there(self) -> None:
        """Volume and the way out; nothing of the administrator's."""
        self.assertEqual(self.send(self.ada, self.bobs).status, 200)
        reply = self.change(
            self.hub_id,
            self.bob,
            desired={"volume": 10, "layout": "board", "muted": True},
        )
        self.assertEqual(reply.json()["desired"]["volume"], 10)
        self.assertEqual(reply.json()["desired"]["room"], self.bobs)
        for patch in (
            {"name": "mine"},
            {"update": {"channel": "beta"}},
            {"calendar_url": None},
        ):
            self.problem(self.change(self.hub_id, self.bob, **patch), 403)
        self.problem(self.send(self.bob, self.room.hub_id), 403)
        self.problem(self.ask("DELETE", f"{API}/hubs/{self.hub_id}", self.bob), 403)
        self.assertEqual(self.send(self.bob, None).status, 200)
        self.problem(self.send(self.bob, self.bobs), 404)

    def test_a_room_token_of_a_host_does_too(self) -> None:
        """For its own room."""
        self.send(self.ada, self.room.hub_id)
        host = self.room_token("host")
        listed = self.ask("GET", f"{API}/hubs", host).json()["hubs"]
        self.assertEqual([one["hub_id"] for one in listed], [self.hub_id])
        self.assertEqual(self.change(self.hub_id, host, desired={}).status, 200)
        self.problem(self.send(host, self.bobs), 403)
        editor = self.room_token("editor")
        self.problem(self.change(self.hub_id, editor, desired={}), 404)

    def test_a_member_hosts_the_hubs_own_room(self) -> None:
        """And may bring it to another room of theirs."""
        members = f"{API}/rooms/{self.hub_id}/members/bob"
        self.ask("PUT", members, self.ada, json={"role": "host"})
        self.assertEqual(self.send(self.bob, self.bobs).status, 200)
        listed = self.ask("GET", f"{API}/hubs", self.bob).json()["hubs"]
        self.assertEqual(len(listed), 1)

    def test_it_is_sent_to_rooms_that_are_open(self) -> None:
        """No such room: 404; a closed one: 423."""
        self.problem(self.send(self.ada, "123456789"), 404)
        self.ask("POST", f"{API}/rooms/{self.bobs}/close", self.bob)
        self.problem(self.send(self.ada, self.bobs), 423)

    def test_everything_can_be_set(self) -> None:
        """And what is absent stays."""
        reply = self.change(
            self.hub_id,
            self.ada,
            name="Porto",
            desired={"screen_on": False, "locale": "pt-BR"},
            update={
                "channel": "beta",
                "window": {"start": "02:00", "end": "05:00"},
            },
        )
        told = reply.json()
        self.assertEqual(told["name"], "Porto")
        self.assertEqual(told["update"]["window"]["end"], "05:00")
        told = self.change(self.hub_id, self.ada, update={"window": None}).json()
        self.assertEqual(told["update"], {"channel": "beta", "window": None})
        self.assertEqual(told["desired"]["locale"], "pt-BR")
        for patch in (
            {"desired": {"volume": 101}},
            {"desired": {"layout": "upside-down"}},
            {"desired": {"locale": "not a tag"}},
            {"calendar_url": "http://plain.example.org/"},
            {"update": {"window": {"start": "25:00", "end": "05:00"}}},
            {"name": "\u202e"},
        ):
            self.problem(self.change(self.hub_id, self.ada, **patch), 422)


class RoomTests(HubCase):
    """Where it is, and its tokens for there."""

    def setUp(self) -> None:
        """One hub."""
        super().setUp()
        self.box, self.hub_id, self.mine = self.newcomer(name="Lisbon")

    def go(self, room: str | None, pin: str | None = None) -> Reply:
        """By touch."""
        body = {"room": room, "pin": pin}
        path = f"{API}/hubs/{self.hub_id}/room"
        return self.ask("PUT", path, self.mine, json=body)

    def seat(self) -> Reply:
        """A room token."""
        return self.ask("POST", f"{API}/hubs/{self.hub_id}/room-token", self.mine)

    def desired(self) -> Any:
        """Where it shall be."""
        return self.feed(self.hub_id, self.mine)["desired"]["room"]

    def test_at_home_it_is_the_host(self) -> None:
        """Its own room needs no PIN."""
        self.told(self.seat(), 409, "hub-idle")
        self.assertEqual(self.go(self.hub_id).status, 204)
        told = self.seat().json()
        self.assertEqual((told["room"], told["role"]), (self.hub_id, "host"))
        me = self.ask("GET", f"{API}/me", told["token"]).json()
        self.assertEqual((me["name"], me["hub_id"]), ("Lisbon", self.hub_id))

    def test_its_seat_is_known_as_the_hubs(self) -> None:
        """By the token alone: the same name, PIN or role make nobody a hub."""
        home = self.run_steps(self.store.room(self.hub_id))
        self.go(self.hub_id)
        body = {"name": "Lisbon", "pin": home.pin}
        guest = self.ask("POST", f"{API}/rooms/{self.hub_id}/join", json=body).json()
        body = {"name": "Lisbon", "role": "host"}
        path = f"{API}/rooms/{self.hub_id}/tokens"
        made = self.ask("POST", path, self.ada, json=body).json()
        tokens = [one["token"] for one in (self.seat().json(), guest, made)]
        who = [self.run_steps(self.door.principal(token)) for token in tokens]
        self.assertEqual([one.name for one in who], ["Lisbon"] * 3)
        self.assertEqual([one.hub for one in who], [self.hub_id, None, None])

    def test_elsewhere_it_needs_the_pin(self) -> None:
        """Wrong ones are counted, for the hub and not for its network."""
        blue = self.room
        for pin in (None, "000000", "nonsense"):
            self.told(self.go(blue.hub_id, pin), 401, "wrong-pin")
        self.told(self.go("123456789", "000000"), 401, "wrong-pin")
        self.assertEqual(self.go(blue.hub_id, blue.pin).status, 204)
        self.assertEqual(self.seat().json()["role"], "editor")
        self.go(None)
        for _ in range(5):
            self.go(blue.hub_id, "000000")
        self.problem(self.go(blue.hub_id, blue.pin), 429)
        self.assertEqual(self.go(self.hub_id).status, 204)
        self.newcomer()

    def test_a_calendar_brings_its_pin(self) -> None:
        """But a calendar without one opens nothing."""
        blue = self.room
        meeting = {"start": 1, "end": 2, "title": "Review", "room": blue.hub_id}
        self.report(self.hub_id, self.mine, calendar=[meeting])
        self.told(self.go(blue.hub_id), 401, "wrong-pin")
        self.report(self.hub_id, self.mine, calendar=[{**meeting, "pin": blue.pin}])
        self.assertEqual(self.go(blue.hub_id).status, 204)

    def test_locked_and_closed_rooms(self) -> None:
        """The right PIN does not help."""
        blue = self.room
        self.ask("PATCH", self.hub, self.ada, json={"locked": True})
        self.assertEqual(
            self.problem(self.go(blue.hub_id, blue.pin), 423)["reason"], "locked"
        )
        self.ask("POST", f"{self.hub}/close", self.ada)
        self.assertEqual(
            self.problem(self.go(blue.hub_id, blue.pin), 423)["reason"], "closed"
        )

    def test_by_pin_it_comes_as_a_guest_does(self) -> None:
        """To look only in a moderated room, and through the lobby."""
        body = {"moderated": True, "lobby": True}
        self.ask("PATCH", self.hub, self.ada, json=body)
        self.go(self.room.hub_id, self.room.pin)
        told = self.seat().json()
        self.assertEqual((told["role"], told["waiting"]), ("viewer", True))
        namesake = {"name": "Lisbon", "pin": self.room.pin}
        self.wall += 1
        self.ask("POST", f"{self.hub}/join", json=namesake)
        waiting = self.ask("GET", f"{self.hub}/lobby", self.ada).json()["waiting"]
        self.assertEqual([one["name"] for one in waiting], ["Lisbon"] * 2)
        self.assertEqual([one["hub"] for one in waiting], [self.hub_id, None])
        self.change(self.hub_id, self.ada, desired={"room": None})
        self.change(self.hub_id, self.ada, desired={"room": self.room.hub_id})
        told = self.seat().json()
        self.assertEqual((told["role"], told["waiting"]), ("editor", False))

    def test_leaving_ends_its_tokens(self) -> None:
        """At once, and the room is told."""
        self.change(self.hub_id, self.ada, desired={"room": self.room.hub_id})
        told = self.seat().json()
        self.heard.clear()
        self.change(self.hub_id, self.ada, desired={"room": None})
        reply = self.ask("GET", f"{API}/me", told["token"])
        self.problem(reply, 401)
        kicked = {"type": "kicked", "participant_id": told["participant_id"]}
        self.assertIn((f"room.{self.room.hub_id}.people", kicked), self.heard)

    def test_who_is_put_out_stays_out(self) -> None:
        """A host of the room showed it the door."""
        self.change(self.hub_id, self.ada, desired={"room": self.room.hub_id})
        person = self.seat().json()["participant_id"]
        self.ask("DELETE", f"{self.hub}/participants/{person}", self.ada)
        self.clock.advance(0)
        self.assertIsNone(self.desired())

    def test_the_end_of_the_meeting_is_its_end(self) -> None:
        """The room was closed."""
        self.change(self.hub_id, self.ada, desired={"room": self.room.hub_id})
        token = self.seat().json()["token"]
        self.ask("POST", f"{self.hub}/close", self.ada)
        self.clock.advance(0)
        self.assertIsNone(self.desired())
        self.problem(self.ask("GET", f"{API}/me", token), 401)

    def test_it_holds_so_many_seats(self) -> None:
        """The oldest makes room."""
        self.go(self.hub_id)
        tokens = []
        for _ in range(17):
            tokens.append(self.seat().json()["token"])
            self.wall += 1
        known = [self.ask("GET", f"{API}/me", token).status for token in tokens]
        self.assertEqual(known, [401] + 16 * [200])


class RemovalTests(HubCase):
    """Everything ends at once; the room stays."""

    def test_all_of_it_ends(self) -> None:
        """Tokens, screens, seats, the feed that waits, the XMPP password."""
        box, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        screen = self.screen(hub_id, token)
        self.ask("PUT", f"{API}/hubs/{hub_id}/room", token, json={"room": hub_id})
        seat = self.ask("POST", f"{API}/hubs/{hub_id}/room-token", token).json()
        login = self.sign(box, hub_id).json()
        seq = self.feed(hub_id, token)["seq"]
        waiting = self.raw(
            f"GET {API}/hubs/{hub_id}/feed?after={seq} HTTP/1.1\r\n"
            f"Host: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        reply = self.ask("DELETE", f"{API}/hubs/{hub_id}", self.ada)
        self.assertEqual(reply.status, 204)
        self.assertIn(b" 401 ", waiting.value())
        for one in (token, screen, login["token"]):
            path = f"{API}/hubs/{hub_id}/feed"
            self.problem(self.ask("GET", path, one), 401)
        self.problem(self.ask("GET", f"{API}/me", seat["token"]), 401)
        self.told(self.sign(box, hub_id), 401, "hub-unknown")
        verifier = self.run_steps(self.door.scram_verifier(f"hub-{hub_id}"))
        self.assertFalse(verifier.matches(login["xmpp"]["password"]))
        room = self.ask("GET", f"{API}/rooms/{hub_id}", self.ada)
        self.assertEqual(room.status, 200)
        self.problem(self.ask("DELETE", f"{API}/hubs/{hub_id}", self.ada), 404)

    def test_the_used_code_does_not_bring_it_back(self) -> None:
        """Removed is removed."""
        box, code = HubBox(), self.code()["code"]
        hub_id = self.enrol(box, code)
        self.ask("DELETE", f"{API}/hubs/{hub_id}", self.ada)
        reply = self.ask("POST", f"{API}/hubs", json=box.enrolment(code))
        self.told(reply, 403, "enrolment-refused")
        fresh = self.enrol(box, self.code()["code"])
        self.assertNotEqual(fresh, hub_id)

    def test_another_process_removed_it(self) -> None:
        """The store was changed: all is read again."""
        _, hub_id, token = self.newcomer()
        _, other, theirs = self.newcomer()
        self.run_steps(self.store.remove_hub(hub_id))
        self.bus.publish("store", {"type": "changed"})
        self.clock.advance(0)
        self.problem(self.ask("GET", f"{API}/hubs/{hub_id}/feed", token), 401)
        self.feed(other, theirs)
