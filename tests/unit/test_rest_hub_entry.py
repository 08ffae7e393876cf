"""How a room box comes in over REST: codes, keys and tokens."""

from __future__ import annotations

import json

from tests.support.hub_rest import API, HubCase
from tests.support.hubbox import HubBox


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
