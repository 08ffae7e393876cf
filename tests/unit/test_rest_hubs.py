"""Hubs over REST: coming in, what they may, who commands them, and the end."""

from __future__ import annotations

import json
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


class EnrolmentTests(HubCase):
    """Codes and those who come by them."""

    def test_a_code_is_shown_once_and_brings_one_hub(self) -> None:
        """The hub has a room of the same number."""
        made = self.code(name="third floor")
        self.assertRegex(made["code"], r"^[0-9A-Z]{5}-[0-9A-Z]{5}$")
        box = HubBox()
        reply = self.ask(
            "POST",
            f"{API}/hubs",
            json=box.enrolment(made["code"].lower(), name="Lisbon"),
        )
        self.assertEqual(reply.status, 201)
        told = reply.json()
        hub_id = told["hub_id"]
        self.assertEqual(told["jid"], f"hub-{hub_id}@localhost")
        self.assertEqual((told["name"], told["server_time"]), ("Lisbon", self.wall))
        room = self.run_steps(self.store.room(hub_id))
        self.assertEqual((room.name, room.owner), ("Lisbon", None))
        listed = self.ask("GET", f"{API}/hub-codes", self.ada).json()["codes"]
        self.assertEqual(listed[0]["uses_left"], 0)
        self.assertNotIn("code", listed[0])

    def test_the_answer_may_be_lost(self) -> None:
        """The same key and code get the same hub, however often."""
        box, made = HubBox(), self.code()
        first = self.enrol(box, made["code"])
        self.wall += 10**7
        self.assertEqual(self.enrol(box, made["code"]), first)
        again = self.ask("POST", f"{API}/hubs", json=HubBox().enrolment(made["code"]))
        self.told(again, 403, "enrolment-refused")

    def test_all_bad_codes_are_answered_alike(self) -> None:
        """Unknown, malformed, over, used up and removed."""
        over = self.code(expires_in_s=5)["code"]
        used = self.code()["code"]
        self.enrol(HubBox(), used)
        removed = self.code()
        self.ask("DELETE", f"{API}/hub-codes/{removed['id']}", self.ada)
        self.wall += 6
        answers = set()
        for code in ("00000-00000", over, used, removed["code"]):
            reply = self.ask("POST", f"{API}/hubs", json=HubBox().enrolment(code))
            problem = self.told(reply, 403, "enrolment-refused")
            del problem["request_id"]
            answers.add(json.dumps(problem))
        body = {**HubBox().enrolment("0" * 10), "code": "no code"}
        self.told(self.ask("POST", f"{API}/hubs", json=body), 403, "enrolment-refused")
        self.assertEqual(len(answers), 1)

    def test_tries_are_counted_for_the_address(self) -> None:
        """Another code each time; then a good one has to wait too."""
        good = self.code()["code"]
        for number in range(5):
            body = HubBox().enrolment(f"{number:010d}")
            self.problem(self.ask("POST", f"{API}/hubs", json=body), 403)
        body = HubBox().enrolment(good)
        self.problem(self.ask("POST", f"{API}/hubs", json=body), 429)
        self.clock.advance(31)
        self.assertEqual(self.ask("POST", f"{API}/hubs", json=body).status, 201)

    def test_the_key_must_be_had(self) -> None:
        """A proof by another key, or of another code, spends nothing."""
        made = self.code()
        box, other = HubBox(), HubBox()
        stolen = {
            **other.enrolment(made["code"]),
            "public_key": box.enrolment(made["code"])["public_key"],
        }
        elsewhere = {**box.enrolment("0" * 10), "code": made["code"]}
        for body in (stolen, elsewhere, {**stolen, "proof": "AA"}):
            reply = self.ask("POST", f"{API}/hubs", json=body)
            self.told(reply, 403, "enrolment-refused")
        self.enrol(box, made["code"])

    def test_a_code_for_many(self) -> None:
        """As many as it says."""
        code = self.code(uses=2)["code"]
        self.assertNotEqual(self.enrol(HubBox(), code), self.enrol(HubBox(), code))
        body = HubBox().enrolment(code)
        self.problem(self.ask("POST", f"{API}/hubs", json=body), 403)

    def test_people_make_no_accounts_of_that_form(self) -> None:
        """The XMPP account of a hub that may come."""
        body = {"name": "Hub-412907338", "password": "long enough"}
        reply = self.ask("POST", f"{API}/users", self.ada, json=body)
        self.problem(reply, 422)

    def test_only_administrators_see_codes(self) -> None:
        """Nor do others make or remove them."""
        for method, path in (
            ("GET", "/hub-codes"),
            ("POST", "/hub-codes"),
            ("DELETE", "/hub-codes/0123456789abcdef"),
        ):
            reply = self.ask(method, f"{API}{path}", self.bob, json={})
            self.problem(reply, 403)


class TokenTests(HubCase):
    """Signatures, tokens and tickets."""

    def test_a_signature_buys_a_token_and_a_password(self) -> None:
        """Both for a quarter of an hour."""
        box, hub_id, _ = self.newcomer()
        told = self.sign(box, hub_id).json()
        self.assertEqual(told["expires_in_s"], 900)
        self.assertEqual(told["xmpp"]["jid"], f"hub-{hub_id}@localhost")
        verifier = self.run_steps(self.door.scram_verifier(f"hub-{hub_id}"))
        self.assertTrue(verifier.matches(told["xmpp"]["password"]))
        self.feed(hub_id, told["token"])
        self.wall += 901
        verifier = self.run_steps(self.door.scram_verifier(f"hub-{hub_id}"))
        self.assertFalse(verifier.matches(told["xmpp"]["password"]))
        reply = self.ask("GET", f"{API}/hubs/{hub_id}/feed", told["token"])
        self.problem(reply, 401)

    def test_a_wrong_clock_is_told_the_time(self) -> None:
        """So that the hub can sign for the right one."""
        box, hub_id, _ = self.newcomer()
        for off_s in (-61, 61, 10**9):
            problem = self.told(self.sign(box, hub_id, off_s=off_s), 401, "hub-clock")
            self.assertEqual(problem["server_time"], self.wall)
        self.wall += 60
        self.assertEqual(self.sign(box, hub_id, off_s=-60).status, 200)

    def test_what_was_signed_before_the_start_is_not_taken(self) -> None:
        """The nonces of then are forgotten."""
        box, hub_id, _ = self.newcomer()
        self.told(self.sign(box, hub_id, off_s=-1), 401, "hub-clock")

    def test_a_nonce_is_taken_once(self) -> None:
        """For as long as its time would be."""
        box, hub_id, _ = self.newcomer()
        nonce = "n" * 16
        self.assertEqual(self.sign(box, hub_id, nonce=nonce).status, 200)
        self.told(self.sign(box, hub_id, nonce=nonce), 401, "hub-nonce")
        self.told(self.sign(box, hub_id, nonce="short"), 401, "hub-unknown")

    def test_another_key_and_no_hub_are_answered_alike(self) -> None:
        """Which numbers are hubs is not told."""
        _, hub_id, _ = self.newcomer()
        answers = set()
        for target in (hub_id, self.room.hub_id, "123456789"):
            problem = self.told(self.sign(HubBox(), target), 401, "hub-unknown")
            del problem["request_id"]
            answers.add(json.dumps(problem))
        self.assertEqual(len(answers), 1)

    def test_a_tokens_every_part_is_under_the_mac(self) -> None:
        """Another hub, another end, another kind."""
        _, hub_id, token = self.newcomer()
        _, other, _ = self.newcomer()
        kind, mine, end, serial, mac = token.removeprefix("mh_").split(".")
        for forged in (
            ("s", mine, end, serial, mac),
            (kind, other, end, serial, mac),
            (kind, mine, str(int(end) + 1), serial, mac),
            (kind, mine, end, serial[::-1], mac),
        ):
            path = f"{API}/hubs/{forged[1]}/feed"
            self.problem(self.ask("GET", path, "mh_" + ".".join(forged)), 401)
        self.feed(hub_id, token)

    def test_a_hubs_token_opens_nothing_else(self) -> None:
        """No operation of people takes it, and no other hub's."""
        _, hub_id, token = self.newcomer()
        _, other, _ = self.newcomer()
        for one in self.rest.operations:
            if not one.who.needs_token or one.who.of_hub:
                continue
            path = one.path.replace("{hub_id}", hub_id)
            if "{" in path:
                continue
            reply = self.ask(one.method, f"{API}{path}", token, json={})
            self.problem(reply, 401)
        self.problem(self.ask("GET", f"{API}/hubs/{other}/feed", token), 403)

    def test_people_are_no_hubs(self) -> None:
        """Not even administrators."""
        _, hub_id, _ = self.newcomer()
        for token in (self.ada, self.room_token("host")):
            reply = self.ask("GET", f"{API}/hubs/{hub_id}/feed", token)
            self.problem(reply, 401)

    def test_a_screen_may_less(self) -> None:
        """It reads, and goes to rooms; a ticket is good once and for a minute."""
        _, hub_id, token = self.newcomer()
        screen = self.screen(hub_id, token)
        self.feed(hub_id, screen)
        self.problem(self.report(hub_id, screen), 403)
        self.problem(self.ask("POST", f"{API}/hubs/{hub_id}/screens", screen), 403)
        renewed = self.ask("POST", f"{API}/hub-screens/renew", screen).json()
        self.feed(hub_id, renewed["token"])
        self.problem(self.ask("POST", f"{API}/hub-screens/renew", token), 403)
        path = f"{API}/hubs/{hub_id}/screens"
        tickets = [self.ask("POST", path, token).json()["ticket"] for _ in range(2)]
        trade = f"{API}/hub-screens"
        self.ask("POST", trade, json={"ticket": tickets[0]})
        self.wall += 61
        for ticket in (*tickets, "nothing"):
            reply = self.ask("POST", trade, json={"ticket": ticket})
            self.told(reply, 401, "ticket")

    def test_good_hubs_do_not_use_up_their_network(self) -> None:
        """A thousand of them come back from behind one address."""
        box, hub_id, _ = self.newcomer()
        for _ in range(3):
            for _ in range(60):
                self.assertEqual(self.sign(box, hub_id).status, 200)
            self.wall += 130  # nonces are counted too
        for _ in range(self.http.request_burst):
            self.sign(HubBox(), hub_id)
        self.problem(self.sign(HubBox(), hub_id), 429)


class FeedTests(HubCase):
    """What it shall do, and how soon it knows."""

    def following(self, hub_id: str, token: str, query: str) -> tuple[Any, Any]:
        """A request that waits: its channel's transport, and how to end it."""
        transport = self.raw(
            f"GET {API}/hubs/{hub_id}/feed?{query} HTTP/1.1\r\n"
            f"Host: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        return transport, self.channel

    def test_it_says_what_the_wall_needs(self) -> None:
        """And to the agent what is its own."""
        _, hub_id, token = self.newcomer(name="Lisbon")
        pin = self.run_steps(self.store.room(hub_id)).pin
        told = self.feed(hub_id, token)
        self.assertEqual(
            told["hub"],
            {
                "hub_id": hub_id,
                "name": "Lisbon",
                "pin": pin,
                "join_url": f"https://meet.example.org/join/{hub_id}#pin={pin}",
                "join_host": "meet.example.org",
            },
        )
        self.assertEqual(
            told["desired"],
            {
                "room": None,
                "volume": 60,
                "muted": False,
                "screen_on": True,
                "layout": "auto",
                "locale": "en",
            },
        )
        self.assertEqual(told["update"], {"channel": "stable", "window": None})
        self.assertEqual((told["report"], told["commands"]), (True, []))

    def test_news_come_at_once(self) -> None:
        """To the agent and to each screen."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        waiting = [
            self.following(hub_id, one, f"after={seq}&wait=25")[0]
            for one in (token, self.screen(hub_id, token))
        ]
        self.assertEqual([one.value() for one in waiting], [b"", b""])
        self.assertEqual(
            self.change(hub_id, self.ada, desired={"volume": 7}).status, 200
        )
        for one in waiting:
            self.assertIn(b'"volume":7', one.value())
            self.assertIn(f'"seq":{seq + 1}'.encode(), one.value())

    def test_no_news_is_told_in_the_end(self) -> None:
        """With the same seq, after the time that was asked for."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        transport, _ = self.following(hub_id, token, f"after={seq}&wait=9")
        self.clock.advance(8.9)
        self.assertEqual(transport.value(), b"")
        self.clock.advance(0.2)
        self.assertIn(f'"seq":{seq}'.encode(), transport.value())

    def test_another_seq_is_news_whichever_is_larger(self) -> None:
        """A server that was restored from a backup has smaller ones."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        for after in (0, 99):
            self.feed(hub_id, token, f"?after={after}&wait=25")

    def test_who_hangs_up_waits_no_more(self) -> None:
        """Nothing of a waiter stays."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        _, channel = self.following(hub_id, token, f"after={seq}&wait=25")
        self.assertEqual(self.door.hubs.fleet.counters.waiting, 1)
        channel.connectionLost()
        self.assertEqual(self.door.hubs.fleet.counters.waiting, 0)

    def test_few_wait_for_one_hub(self) -> None:
        """The oldest is answered when there are too many."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        waiting = [
            self.following(hub_id, token, f"after={seq}&wait=25")[0] for _ in range(9)
        ]
        self.assertEqual([bool(one.value()) for one in waiting], [True] + 8 * [False])

    def test_a_stop_sends_everybody_away_for_a_while(self) -> None:
        """Each for another while."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        transport, _ = self.following(hub_id, token, f"after={seq}&wait=25")
        self.door.hubs.fleet.begin_stop()
        self.assertIn(b" 503 ", transport.value())
        self.assertIn(b"Retry-After: ", transport.value())
        reply = self.ask("GET", f"{API}/hubs/{hub_id}/feed?after={seq}", token)
        self.problem(reply, 503)
        self.assertIn(int(reply.header("Retry-After") or 0), range(1, 11))

    def test_it_asks_for_a_report_once(self) -> None:
        """An agent that gives none does not run in circles."""
        _, hub_id, token = self.newcomer()
        told = self.feed(hub_id, token)
        self.assertTrue(told["report"])
        seq = told["seq"]
        transport, _ = self.following(hub_id, token, f"after={seq}&wait=25")
        self.assertEqual(transport.value(), b"")
        self.report(hub_id, token)
        self.assertFalse(self.feed(hub_id, token)["report"])
        self.assertFalse(self.feed(hub_id, self.screen(hub_id, token))["report"])

    def test_the_wall_shows_a_new_pin(self) -> None:
        """A host gave the room another."""
        _, hub_id, token = self.newcomer()
        before = self.feed(hub_id, token)
        self.ask("POST", f"{API}/rooms/{hub_id}/pin", self.ada)
        self.clock.advance(0)
        after = self.feed(hub_id, token)
        self.assertNotEqual(before["hub"]["pin"], after["hub"]["pin"])
        self.assertNotEqual(before["seq"], after["seq"])

    def test_the_calendar_goes_round(self) -> None:
        """The agent reads it, the screen shows it, nobody sees its PINs."""
        _, hub_id, token = self.newcomer()
        url = "https://calendar.example.org/secret.ics"
        self.change(hub_id, self.ada, calendar_url=url)
        self.assertEqual(self.feed(hub_id, token)["calendar_url"], url)
        screen = self.screen(hub_id, token)
        self.assertIsNone(self.feed(hub_id, screen)["calendar_url"])
        meeting = {"start": 1, "end": 2, "title": "Review", "room": self.room.hub_id}
        given = {**meeting, "pin": self.room.pin}
        self.assertEqual(self.report(hub_id, token, calendar=[given]).status, 204)
        told = self.feed(hub_id, screen)
        self.assertEqual(told["calendar"], [meeting])
        self.report(hub_id, token)
        self.assertEqual(self.feed(hub_id, screen), told)
        self.change(hub_id, self.ada, calendar_url=None)
        self.assertEqual(self.feed(hub_id, screen)["calendar"], [])


class StatusTests(HubCase):
    """What others know of it."""

    def shown(self, hub_id: str) -> Any:
        """As an administrator sees it."""
        return self.ask("GET", f"{API}/hubs/{hub_id}", self.ada).json()

    def test_a_report_is_shown_without_secrets(self) -> None:
        """All that the agent said, but its calendar."""
        _, hub_id, token = self.newcomer()
        reply = self.report(
            hub_id,
            token,
            doing="meeting",
            version="2.0",
            screens=[{"name": "HDMI-1", "width": 1920, "height": 1080, "shown": True}],
            update={"state": "available", "available": "2.1", "size": 5},
            calendar=[{"start": 1, "end": 2, "title": "x", "pin": "615823"}],
        )
        self.assertEqual(reply.status, 204)
        reply = self.ask("GET", f"{API}/hubs/{hub_id}", self.ada)
        for secret in (b"615823", b"public_key", b"code"):
            self.assertNotIn(secret, reply.body)
        told = reply.json()
        self.assertEqual((told["doing"], told["version"]), ("meeting", "2.0"))
        self.assertEqual(told["status"]["update"]["available"], "2.1")
        self.assertEqual(told["status"]["at"], self.wall)

    def test_silence_is_absence(self) -> None:
        """A minute after its last word, and its next word ends it."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token, doing="presenting")
        self.clock.advance(55)
        self.wall += 55
        self.assertTrue(self.shown(hub_id)["online"])
        self.feed(hub_id, token)
        for _ in range(13):
            self.clock.advance(5)
            self.wall += 5
        told = self.shown(hub_id)
        self.assertEqual((told["online"], told["doing"]), (False, "offline"))
        self.assertEqual(told["last_seen"], self.wall - 65)
        self.feed(hub_id, token)
        self.assertEqual(self.shown(hub_id)["doing"], "presenting")

    def test_a_screen_is_not_the_hub(self) -> None:
        """It may be open while the agent is down."""
        _, hub_id, token = self.newcomer()
        screen = self.screen(hub_id, token)
        self.clock.advance(70)
        self.feed(hub_id, screen)
        self.assertFalse(self.shown(hub_id)["online"])

    def test_what_lasts_is_kept(self) -> None:
        """Another process, or the next start, reads it from the store."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token, version="3.0")
        self.run_steps(self.door.hubs.stop())
        (hub,) = self.run_steps(self.store.hubs())
        self.assertEqual((hub.version, hub.last_seen), ("3.0", self.wall))
        self.run_steps(self.door.hubs.start())
        self.assertEqual(self.shown(hub_id)["version"], "3.0")


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
        waiting = self.ask("GET", f"{self.hub}/lobby", self.ada).json()["waiting"]
        self.assertEqual(waiting[0]["name"], "Lisbon")
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
        self.report(self.hub_id, self.mine, update=found)
        self.assertEqual(self.feed(self.hub_id, screen)["found"], found)
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
