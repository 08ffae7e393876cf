"""What every operation refuses, read from the route table itself."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import text
from twisted.internet.defer import Deferred, fail
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.hubenrol import Enrolment
from mosaic.config.settings import Http
from mosaic.services.rest.operations import Operation, Who
from mosaic.services.rest.problems import problem_for
from mosaic.services.rest.security import CONTENT_SECURITY_POLICY
from mosaic.store.interface import StoreError, StoreFull
from tests.support.hubbox import HubBox
from tests.support.rest import Reply, RestCase

FORBIDDEN = {
    Who.ADMITTED: (),
    Who.SESSION: ("host",),
    Who.ADMIN: ("host", "bob"),
    Who.IN_ROOM: ("bob", "elsewhere"),
    Who.EDITOR: ("bob", "elsewhere", "viewer"),
    Who.HOST: ("bob", "elsewhere", "viewer", "editor"),
    Who.HUB: ("screen", "other agent"),
    Who.HUB_OR_SCREEN: ("other agent",),
    Who.SCREEN: ("agent",),
}
"""Who must not call an operation of each kind; a waiting guest none of them."""


class RefusalCase(RestCase):
    """Helps to call any operation of the table."""

    http = Http(requests_per_s=10.0, request_burst=1000)

    def setUp(self) -> None:
        """Two hubs more."""
        super().setUp()
        (self.box, self.agent_token), (_, self.other_agent) = self.hub_(), self.hub_()
        live = self.door.hubs.fleet.get(self.box)
        assert live is not None
        ticket = self.door.hubs.login.new_ticket(live)
        _, self.screen_token, _ = self.door.hubs.login.trade(ticket)

    def hub_(self) -> tuple[str, str]:
        """A hub's Hub ID and its agent's token."""
        desk, box = self.door.hubs, HubBox()
        _, code = self.run_steps(desk.enrolment.make_code())
        asked = Enrolment(**box.enrolment(code))
        hub = self.run_steps(desk.enrolment.enrol(asked, address="192.0.2.9"))
        proof = box.proof(hub.hub_id, int(self.wall))
        return hub.hub_id, desk.login.log_in(hub.hub_id, **proof).token

    def call(self, one: Operation, token: str | None = None, **more: Any) -> Reply:
        """Call it with parameters that have the right form."""
        given = {
            "hub_id": self.box if "/hubs/" in one.path else self.room.hub_id,
            "code_id": "ab" * 8,
            "command_id": "ab" * 16,
            "name": "bob",
            "account": "bob",
            "participant_id": "0123456789abcdef",
            "version": "1",
            "sha256": "ab" * 32,
            "export_id": "ab" * 16,
            "document": "board",
            "slot": "ms_" + "A" * 43,
            "filename": "a.png",
            "sha1": "ab" * 20,
        }
        path = re.sub(r"{(\w+)}", lambda found: given[found[1]], one.path)
        return self.ask(one.method, f"/api/v1{path}", token, **more)


class WhoMayCallTests(RefusalCase):
    """The `who` of each operation, enforced."""

    def test_without_a_token(self) -> None:
        """401 and a challenge, wherever a token is needed."""
        for one in self.rest.operations:
            if one.who.needs_token:
                reply = self.call(one)
                self.problem(reply, 401)
                self.assertEqual(
                    reply.header("WWW-Authenticate"), 'Bearer realm="mosaic"', one.id
                )

    def test_tokens_that_are_none(self) -> None:
        """T13: unknown, malformed, of another scheme, in the wrong place."""
        good = self.ada
        wrong = [
            "Bearer ms_" + "A" * 43,
            "Bearer x",
            "Bearer",
            "Bearer  ",
            f"Bearer {good}x",
            f"Bearer {good[:-1]}",
            f"Bearer {good.upper()}",
            f"Bearer {good} {good}",
            f"Basic {good}",
            f"Token {good}",
            good,
            "Bearer " + "A" * 5000,
            "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.",
            "Bearer ../../etc/passwd",
            "Bearer %00",
            "Bearer \xff",
        ]
        for header in wrong:
            reply = self.ask("GET", "/api/v1/me", headers={"Authorization": header})
            self.problem(reply, 401)

    def test_no_cookie_and_no_query(self) -> None:
        """A token is believed in the Authorization header alone."""
        reply = self.ask(
            "GET",
            f"/api/v1/me?token={self.ada}&access_token={self.ada}",
            headers={"Cookie": f"token={self.ada}"},
        )
        self.problem(reply, 401)

    def test_scheme_is_case_insensitive(self) -> None:
        """RFC 9110 section 11.1."""
        headers = {"Authorization": f"bEARER {self.ada}"}
        self.assertEqual(self.ask("GET", "/api/v1/me", headers=headers).status, 200)

    def test_too_little_right(self) -> None:
        """403 for every kind of caller that the table does not name."""
        other = self.run_steps(self.door.create_room("Other", owner="ada"))
        tokens = {role: self.room_token(role) for role in ("host", "editor", "viewer")}
        tokens["elsewhere"] = self.room_token("host", other.hub_id)
        tokens |= {
            "bob": self.bob,
            "agent": self.agent_token,
            "other agent": self.other_agent,
            "screen": self.screen_token,
        }
        self.ask("PATCH", self.hub, self.ada, json={"lobby": True})
        join = {"name": "Eve", "pin": self.room.pin}
        waiting = self.ask("POST", f"{self.hub}/join", json=join).json()["token"]
        for one in self.rest.operations:
            for name in FORBIDDEN.get(one.who, ()):
                self.problem(self.call(one, tokens[name]), 403)
            if one.who in FORBIDDEN and not one.who.of_hub:
                self.problem(self.call(one, waiting), 403)


class MalformedTests(RefusalCase):
    """Bodies, methods and paths that are not what the table says."""

    def bodies(self) -> list[tuple[Operation, str]]:
        """Operations with a body, and who may call each."""
        return [
            (one, self.agent_token if one.who.of_hub else self.ada)
            for one in self.rest.operations
            if one.body
        ]

    def test_not_json(self) -> None:
        """400 with a problem document."""
        for one, token in self.bodies():
            for data in (b"", b"{", b"\xff\xfe", b"nul", b"[" * 100_000, b'{"a":1}x'):
                headers = {"Content-Type": "application/json"}
                reply = self.call(one, token, data=data, headers=headers)
                self.assertIn(reply.status, {400, 422}, (one.id, data[:9]))
                self.problem(reply, reply.status)

    def test_another_content_type(self) -> None:
        """415: a form of another site cannot call us without a preflight."""
        for one, token in self.bodies():
            for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
                reply = self.call(
                    one, token, data=b"{}", headers={"Content-Type": kind}
                )
                self.problem(reply, 415)

    def test_unknown_fields_are_named(self) -> None:
        """422: a typing error must not be taken for a default."""
        for one, token in self.bodies():
            reply = self.call(one, token, json={"surprise": 1})
            self.assertIn("surprise", self.problem(reply, 422)["detail"])

    def test_wrong_types_are_named_with_their_path(self) -> None:
        """Strict: a string is no number, null no boolean."""
        reply = self.ask("PATCH", self.hub, self.ada, json={"locked": "yes"})
        self.assertIn("$.locked", self.problem(reply, 422)["detail"])
        body = {"role": "king"}
        reply = self.ask("POST", f"{self.hub}/tokens", self.ada, json=body)
        self.assertIn("$.role", self.problem(reply, 422)["detail"])

    def test_lengths_are_bounded(self) -> None:
        """No field takes more than its limit."""
        for method, path, body in (
            ("POST", "/api/v1/sessions", {"name": "x" * 65, "password": "p"}),
            ("POST", "/api/v1/sessions", {"name": "x", "password": "p" * 1025}),
            ("POST", "/api/v1/rooms", {"name": "x" * 101}),
            ("POST", "/api/v1/rooms", {"name": ""}),
            ("POST", "/api/v1/rooms", {"name": " \t "}),
            ("POST", "/api/v1/rooms", {"name": "a\x00b"}),
            ("POST", "/api/v1/rooms", {"name": "\u202e\u202e"}),
            ("POST", "/api/v1/rooms", {"name": "x", "alias": "a/b"}),
            ("POST", "/api/v1/rooms", {"name": "x", "alias": self.room.hub_id}),
            ("POST", f"{self.hub}/join", {"name": "x", "pin": "1" * 33}),
            ("POST", f"{self.hub}/tokens", {"role": "host", "ttl_s": 0}),
            ("POST", f"{self.hub}/tokens", {"role": "host", "ttl_s": 10**18}),
        ):
            self.problem(self.ask(method, path, self.ada, json=body), 422)

    def test_other_methods(self) -> None:
        """405 with those that are allowed."""
        for one in self.rest.operations:
            path = re.sub(r"{(\w+)}", "1", one.path)
            reply = self.ask("TRACE", f"/api/v1{path}")
            self.problem(reply, 405)
            self.assertIn(one.method, (reply.header("Allow") or "").split(", "))

    def test_other_paths(self) -> None:
        """404, also for what almost fits; never a redirect."""
        for path in (
            "/api/v1",
            "/api/v1/",
            "/api/v1/nothing",
            "/api/v1/rooms/",
            "/api/v1//rooms",
            "/api/v2/rooms",
            "/api/v1/rooms/12345678",
            "/api/v1/rooms/1234567890",
            "/api/v1/rooms/12345678a",
            "/api/v1/rooms/%d9%a1%d9%a2",
            "/api/v1/rooms/%ff",
            "/api/v1/rooms/..",
            "/api/v1/../v1/rooms",
            "/api/v1/rooms/%00",
            f"{self.hub}/blobs/{'AB' * 32}",
            f"{self.hub}/blobs/..%2f..%2fsecret",
            f"{self.hub}/blobs/{'ab' * 31}",
            "/api/v1/rooms/" + "9" * 5000,
        ):
            reply = self.ask("GET", path, self.ada)
            self.assertEqual(reply.status, 404, (path, reply.body))

    @settings(max_examples=60)
    @given(text(max_size=40))
    def test_any_text_is_safe(self, name: str) -> None:
        """Whatever a name holds, it is kept or refused, and what is kept is shown."""
        reply = self.ask("POST", "/api/v1/rooms", self.ada, json={"name": name})
        self.assertIn(reply.status, {201, 422, 429}, name)


class RateTests(RefusalCase):
    """Every operation has a limit."""

    http = Http(requests_per_s=1.0, request_burst=3)

    def test_strangers_by_address(self) -> None:
        """429 with the time to wait, for every operation alike."""
        for _ in range(3):
            self.ask("GET", "/api/v1/me")
        for one in self.rest.operations:
            reply = self.call(one)
            self.assertEqual(self.problem(reply, 429)["retry_after_s"], 1.0)
            self.assertEqual(reply.header("Retry-After"), "1")

    def test_the_known_by_token(self) -> None:
        """A stranger's flood does not stop those who were here before."""
        self.assertEqual(self.ask("GET", "/api/v1/me", self.bob).status, 200)
        for _ in range(5):
            self.ask("GET", "/api/v1/me")
        self.assertEqual(self.ask("GET", "/api/v1/me", self.bob).status, 200)
        self.assertEqual(self.ask("GET", "/api/v1/me", self.bob).status, 200)
        self.problem(self.ask("GET", "/api/v1/me", self.bob), 429)
        self.clock.advance(1)
        self.assertEqual(self.ask("GET", "/api/v1/me", self.bob).status, 200)

    def test_guessed_tokens_cost_the_address(self) -> None:
        """Else every guess would have a full bucket of its own."""
        for letter in "abc":
            self.problem(self.ask("GET", "/api/v1/me", "ms_" + letter * 43), 401)
        self.problem(self.ask("GET", "/api/v1/me", "ms_" + "d" * 43), 429)


class FailureTests(RefusalCase):
    """When we are at fault."""

    def break_store(self, error: Exception) -> None:
        """Every list of accounts fails."""

        def broken() -> Deferred[Any]:
            return fail(error)

        self.patch(self.store, "accounts", broken)

    def test_a_bug_says_nothing_but_its_id(self) -> None:
        """The cause is in the log, under the same id."""
        self.break_store(RuntimeError("the secret of the house"))
        reply = self.ask("GET", "/api/v1/users", self.ada)
        problem = self.problem(reply, 500)
        self.assertNotIn(b"secret", reply.body)
        self.assertEqual(problem["request_id"], reply.header("X-Request-Id"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_store_away(self) -> None:
        """503, without the database's own words."""
        self.break_store(StoreError("password=hunter2 host=db"))
        reply = self.ask("GET", "/api/v1/users", self.ada)
        self.problem(reply, 503)
        self.assertNotIn(b"hunter2", reply.body)
        self.flushLoggedErrors(StoreError)

    def test_disk_full(self) -> None:
        """507: it was not saved, and the client knows."""

        def full(*args: object, **kwargs: object) -> Deferred[Any]:
            return fail(StoreFull("/var/lib/mosaic: no space left"))

        self.patch(self.store, "add_room", full)
        reply = self.ask("POST", "/api/v1/rooms", self.ada, json={"name": "x"})
        self.assertIn("disk is full", self.problem(reply, 507)["detail"])
        self.assertNotIn(b"/var/lib", reply.body)
        self.flushLoggedErrors(StoreFull)


class HeaderTests(RefusalCase):
    """Headers of every answer; nothing of a request in the log."""

    def test_security_headers_on_every_kind_of_answer(self) -> None:
        """Pages, API, errors: all of them."""
        for path in ("/", "/nothing", "/livez", "/api/v1/me", "/api/v1/nothing"):
            reply = self.ask("GET", path)
            self.assertEqual(reply.header("X-Content-Type-Options"), "nosniff", path)
            self.assertEqual(reply.header("Referrer-Policy"), "no-referrer")
            self.assertEqual(reply.header("Cross-Origin-Opener-Policy"), "same-origin")
            self.assertIn("camera=(self)", reply.header("Permissions-Policy") or "")
            self.assertIn("default-src", reply.header("Content-Security-Policy") or "")
            self.assertIsNone(reply.header("Strict-Transport-Security"))
            self.assertIsNone(reply.header("Server"))
            self.assertRegex(reply.header("X-Request-Id") or "", "^[0-9a-f]{16}$")

    def test_policy_allows_no_inline_script(self) -> None:
        """T17: scripts are ours or they do not run."""
        policy = dict(
            part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";")
        )
        self.assertEqual(policy["default-src"], "'self'")
        self.assertNotIn("script-src", policy)
        self.assertEqual(policy["object-src"], "'none'")

    def test_hsts_on_tls_only(self) -> None:
        """RFC 6797 section 7.2."""
        reply = self.ask("GET", "/livez", scheme="https")
        self.assertIn("max-age", reply.header("Strict-Transport-Security") or "")

    def test_no_cors_by_default(self) -> None:
        """T12: no origin is ever reflected."""
        for origin in ("https://evil.example", "null", "https://meet.example.org"):
            for method in ("GET", "OPTIONS"):
                reply = self.ask(method, "/api/v1/me", headers={"Origin": origin})
                self.assertIsNone(reply.header("Access-Control-Allow-Origin"))

    def test_api_answers_are_not_cached(self) -> None:
        """They hold tokens and PINs."""
        reply = self.ask("GET", "/api/v1/me", self.ada)
        self.assertEqual(reply.header("Cache-Control"), "no-store")

    def test_nothing_of_a_request_reaches_the_log(self) -> None:
        """T15: there is no access log to forge a line in."""
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for path in ("/%0d%0aforged", "/api/v1/%1b%5b31mforged", "/x?forged=%0a"):
            self.ask("GET", path, headers={"User-Agent": "forged", "Referer": "forged"})
        self.assertNotIn("forged", repr(events))


class CorsTests(RefusalCase):
    """An operator may let other origins read."""

    http = Http(allowed_origins=("https://intranet.example.org",))

    def test_a_listed_origin(self) -> None:
        """It may read and may ask before it writes."""
        origin = "https://intranet.example.org"
        for method, status in (("GET", 401), ("OPTIONS", 204)):
            reply = self.ask(method, "/api/v1/me", headers={"Origin": origin})
            self.assertEqual(reply.status, status)
            self.assertEqual(reply.header("Access-Control-Allow-Origin"), origin)
            self.assertIsNone(reply.header("Access-Control-Allow-Credentials"))
            self.assertEqual(reply.header("Vary"), "Origin")

    def test_every_other_origin(self) -> None:
        """Exact matches only."""
        for origin in (
            "null",
            "https://x.intranet.example.org",
            "https://evil.example",
        ):
            reply = self.ask("OPTIONS", "/api/v1/me", headers={"Origin": origin})
            self.assertEqual(reply.status, 405)
            self.assertIsNone(reply.header("Access-Control-Allow-Origin"))


class DescriptionTests(RefusalCase):
    """The OpenAPI document and the table are one."""

    def test_every_operation_is_described(self) -> None:
        """With 429, and 401 and 403 wherever they can come."""
        reply = self.ask("GET", "/api/v1/openapi.json")
        self.assertEqual(reply.header("Content-Type"), "application/json")
        document = reply.json()
        self.assertEqual(document["openapi"], "3.1.0")
        described = {
            found["operationId"]: found
            for methods in document["paths"].values()
            for found in methods.values()
        }
        self.assertEqual(
            set(described), {one.id for one in self.rest.operations} | {"describe"}
        )
        for one in self.rest.operations:
            responses = described[one.id]["responses"]
            self.assertEqual(set(responses), {str(status) for status in one.statuses})
            self.assertIn("429", responses)
            if one.who.needs_token:
                self.assertIn("401", responses)

    def test_references_lead_somewhere(self) -> None:
        """A client generator follows every one."""
        text = self.ask("GET", "/api/v1/openapi.json").body.decode()
        schemas = json.loads(text)["components"]["schemas"]
        for name in re.findall(r'"#/components/schemas/(\w+)"', text):
            self.assertIn(name, schemas)


class ProblemTests(SynchronousTestCase):
    """The mapping itself."""

    def test_unknown_errors_are_500_without_detail(self) -> None:
        """Whatever nobody thought of."""
        problem, headers = problem_for(KeyError("token"), request_id="a")
        self.assertEqual((problem.status, headers), (500, {}))
        self.assertNotIn("token", repr(problem))
