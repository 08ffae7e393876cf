"""The network check without a network: verdicts, numbers, the client's side of TURN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis.strategies import binary, floats, integers, lists, none, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.cli.netcheck import shown
from mosaic.config.settings import Turn
from mosaic.netcheck import known as known_module
from mosaic.netcheck.engine import Server
from mosaic.netcheck.known import KnownServer, KnownServers, inspected_by
from mosaic.netcheck.quality import evenness, jitter, mos, score
from mosaic.netcheck.result import Check, Outcome, failed, overall, verdicts, worst
from mosaic.netcheck.urls import relay_urls
from mosaic.netcheck.way import portal_sign
from mosaic.services.turn.bandwidth import Bandwidth
from mosaic.wire.hops import LoginWanted, Unreachable
from mosaic.wire.stun.message import Class, Method, encode
from mosaic.wire.turn.asking import (
    AllocateClient,
    TurnRefusal,
    binding,
    read_binding,
)
from mosaic.wire.turn.visitors import BYTES_PER_S, visitor


def check(name: str, outcome: Outcome = "ok", **more: Any) -> Check:
    """One check."""
    return Check(name=name, outcome=outcome, **more)


GOOD = [check(name) for name in ("tls", "rest", "drcp", "xmpp")]


class VerdictTests(SynchronousTestCase):
    """From checks to one line for each capability."""

    def of(self, *checks: Check) -> dict[str, tuple[str, str]]:
        """Outcome and advice by capability."""
        return {v.capability: (v.outcome, v.advice) for v in verdicts(checks)}

    def whole(self, *checks: Check) -> str:
        """The whole in one word."""
        return overall(verdicts(checks))

    def test_everything_good(self) -> None:
        """What was skipped does not spoil it."""
        checks = [*GOOD, check("turn-udp"), check("nat", "skipped")]
        self.assertEqual(self.whole(*checks), "ok")

    def test_udp_on_another_port_is_udp(self) -> None:
        """UDP 53 where 3478 is shut."""
        checks = [*GOOD, check("turn-udp", "blocked"), check("turn-udp-53")]
        self.assertEqual(self.of(*checks)["media"][0], "ok")

    def test_tls_alone_is_degraded_and_nothing_is_blocked(self) -> None:
        """With the advice of the way that should have been last."""
        shut = [check("turn-udp", "blocked"), check("turn-tcp", "blocked")]
        outcome, advice = self.of(*GOOD, *shut, check("turn-tls"))["media"]
        self.assertEqual(outcome, "degraded")
        self.assertIn("TLS", advice)
        last = check("turn-tls", "blocked", advice="ask for 443")
        self.assertEqual(
            self.of(*GOOD, *shut, last)["media"], ("blocked", "ask for 443")
        )
        self.assertEqual(self.whole(*GOOD, *shut, last), "blocked")

    def test_advice_is_of_the_first_that_failed(self) -> None:
        """A person reads one line."""
        error = LoginWanted("proxy http://p:1", ["NTLM"])
        found = self.of(failed("rest", error), check("drcp", "blocked"))
        self.assertEqual(found["signalling"], ("blocked", error.advice))

    def test_no_presence_is_degraded(self) -> None:
        """People in browsers meet all the same."""
        checks = [*GOOD[:3], check("xmpp", "blocked"), check("turn-udp")]
        self.assertEqual(self.whole(*checks), "degraded")

    def test_a_portal_has_the_word_where_nothing_else_works(self) -> None:
        """Its login is what helps."""
        portal = check("tcp-80", "degraded", advice="log in", data={"portal": "302"})
        shut = check("tls", "blocked", advice="open 443")
        self.assertEqual(self.of(portal, shut)["signalling"], ("blocked", "log in"))
        self.assertEqual(self.of(portal, *GOOD)["signalling"][0], "ok")

    def test_the_nearest_region_is_named(self) -> None:
        """And those that are out of reach; without regions there is no verdict."""
        self.assertNotIn("region", self.of(*GOOD))
        far = check("region-Mumbai", "degraded")
        outcome, advice = self.of(far, check("nearest", detail="Lisbon (2)"))["region"]
        self.assertEqual(outcome, "ok")
        self.assertIn("Lisbon (2)", advice)
        self.assertIn("Mumbai", advice)
        outcome, _ = self.of(far, check("nearest", "skipped"))["region"]
        self.assertEqual(outcome, "degraded")

    def test_numbers_alone_block_nobody(self) -> None:
        """A measurement that failed is a poor one."""
        checks = [*GOOD, check("turn-udp"), check("bandwidth", "blocked", detail="x")]
        self.assertEqual(self.of(*checks)["quality"], ("degraded", "x"))
        self.assertEqual(self.whole(*checks), "degraded")

    def test_errors_keep_their_stage(self) -> None:
        """Also those that are nobody's hop."""
        error = Unreachable("server h", "timeout", host="h", port=443)
        self.assertEqual(failed("rest", error).stage, "tcp")
        self.assertEqual(failed("rest", ValueError("odd")).stage, "application")
        self.assertEqual(worst(["skipped", "ok"]), "ok")
        self.assertEqual(worst([]), "skipped")


class EvennessTests(SynchronousTestCase):
    """Numbers from round trips."""

    def test_loss_jitter_and_bursts(self) -> None:
        """Of what came back, in order; lost ones are counted in runs."""
        found = evenness([10.0, 20.0, None, None, 10.0, None, 20.0, 10.0])
        self.assertEqual((found.sent, found.loss, found.burst), (8, 0.375, 2))
        self.assertEqual((found.jitter_ms, found.p50_ms), (10.0, 10.0))
        self.assertEqual(evenness([None] * 5).loss, 1.0)
        self.assertEqual(evenness([None] * 5).burst, 5)

    def test_jitter_is_rfc_3550s(self) -> None:
        """J += (|D| - J) / 16: one late packet is forgotten slowly."""
        self.assertEqual(jitter([5.0]), 0.0)
        self.assertEqual(jitter([5.0, 5.0, 21.0]), 1.0)
        self.assertEqual(jitter([5.0, 5.0, 21.0, 21.0]), 1.0 - 1.0 / 16)

    def test_opinion_scores_are_the_e_models(self) -> None:
        """G.107 with its defaults: 4.4 at best; G.113's loss; delay past 177 ms."""
        self.assertEqual(round(mos(0.0, 0.0, 0.0), 1), 4.4)
        # 95 * 5 / (5 + 25.1) = 15.8 off R 92.7: 76.9, "some users dissatisfied".
        self.assertEqual(round(mos(0.0, 0.0, 0.05), 1), 3.9)
        self.assertLess(mos(0.0, 0.0, 0.05, burst=2.0), mos(0.0, 0.0, 0.05))
        self.assertLess(mos(600.0, 0.0, 0.0), 3.7)
        self.assertEqual(mos(5000.0, 100.0, 0.5), 1.0)

    def test_scores_order_regions(self) -> None:
        """10 ms for each per cent of loss; none without an answer."""
        self.assertEqual(score(evenness([30.0] * 10)), 30.0)
        self.assertEqual(score(evenness([30.0] * 9 + [None])), 130.0)
        self.assertIsNone(score(evenness([None])))

    @given(lists(floats(0, 1e4) | none(), min_size=1, max_size=60))
    def test_any_round_trips(self, trips: list[float | None]) -> None:
        """Always within what was measured."""
        found = evenness(trips)
        came = [trip for trip in trips if trip is not None]
        self.assertLessEqual(found.p50_ms, found.p95_ms + 0.01)
        self.assertLessEqual(found.p95_ms, max(came, default=0) + 0.01)
        self.assertGreaterEqual(found.jitter_ms, 0)
        self.assertTrue(1 <= found.mos <= 4.5, found)
        self.assertTrue(0 <= found.burst <= found.sent)


class PortalTests(SynchronousTestCase):
    """Who answers in the server's place."""

    def test_signs(self) -> None:
        """Elsewhere, or RFC 6585's own status."""
        for server, status, where, sign in (
            ("meet.example.org", 301, "https://meet.example.org/", False),
            ("meet.example.org", 301, "/elsewhere", False),
            ("example.org", 302, "https://www.example.org/", False),
            ("www.example.org", 302, "https://example.org/", False),
            ("192.0.2.7", 301, "https://meet.example.org/", False),
            ("192.0.2.7", 302, "http://login.hotel/", True),
            ("meet.example.org", 302, "http://login.hotel/?u=meet.example.org", True),
            ("meet.example.org", 307, "https://evilmeet.example.org/", True),
            ("meet.example.org", 302, "http://[", True),
            ("meet.example.org", 511, "", True),
            ("meet.example.org", 200, "", False),
        ):
            self.assertEqual(bool(portal_sign(server, status, where)), sign, where)

    def test_a_terminal_obeys_nobody(self) -> None:
        """Names in certificates and portals are strangers' words."""
        self.assertEqual(shown("CN=\x1b[2Jé\n"), "CN=?[2Jé?")

    @given(text(max_size=60), integers(100, 599))
    def test_any_location_is_safe(self, where: str, status: int) -> None:
        """It is a stranger's text."""
        portal_sign("meet.example.org", status, where)
        portal_sign("meet.example.org", 302, f"http://{where}")


class UrlTests(SynchronousTestCase):
    """RFC 7064 and 7065."""

    def test_forms(self) -> None:
        """What each way is, and the ports where none is given."""
        found = relay_urls(
            (
                "stun:a",
                "turn:a:53?transport=udp",
                "turn:[2001:db8::1]?transport=tcp",
                "turns:a:443?transport=tcp",
                "turns:a?transport=udp",
                "https://a",
                "turn:a:0",
            )
        )
        self.assertEqual(
            [(url.way, url.host, url.port, url.relay) for url in found],
            [
                ("udp", "a", 3478, False),
                ("udp", "a", 53, True),
                ("tcp", "2001:db8::1", 3478, True),
                ("tls", "a", 443, True),
                ("dtls", "a", 5349, True),
            ],
        )

    @given(text(max_size=60))
    def test_any_text_is_safe(self, url: str) -> None:
        """A relay or nothing."""
        for found in relay_urls([url, f"turn:{url}", f"turns:a:{url}"]):
            self.assertTrue(0 < found.port <= 65535)


class KnownTests(SynchronousTestCase):
    """Whose key is on the wire."""

    def test_what_the_server_says_comes_first(self) -> None:
        """Whatever is remembered, and whoever has signed."""
        known = KnownServer(spki_sha256=("b",), issuer="CN=Old", at=1)
        self.assertEqual(inspected_by("a", "CN=zscaler", told=["a"], known=known), "")
        self.assertTrue(inspected_by("x", "CN=Mine", told=["a"], known=known))

    def test_first_contact_speaks_where_the_server_cannot(self) -> None:
        """The same key is good, another one of the same authority was renewed,
        another authority is somebody else."""
        known = KnownServer(spki_sha256=("a",), issuer="CN=Old CA,O=X", at=1)
        self.assertEqual(inspected_by("a", "CN=Any", told=[], known=known), "")
        self.assertEqual(inspected_by("b", "CN=Old CA,O=X", told=[], known=known), "")
        said = inspected_by("b", "CN=New", told=[], known=known)
        self.assertIn("CN=Old CA", said)

    def test_names_of_inspectors(self) -> None:
        """Where nothing else is known."""
        issuer = "CN=FortiGate CA,O=Fortinet"
        self.assertTrue(inspected_by("a", issuer, told=[], known=None))
        issuer = "CN=R11,O=Let's Encrypt"
        self.assertEqual(inspected_by("a", issuer, told=[], known=None), "")

    def test_the_file_lasts_and_is_the_owners(self) -> None:
        """Broken ones are begun anew; the oldest goes past the limit."""
        path = Path(self.mktemp()) / "known_servers.json"
        KnownServers(path, wall=lambda: 7.0).learn("h", 443, ["a"], "CN=I")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        known = KnownServers(path).get("h", 443)
        self.assertEqual(known, KnownServer(spki_sha256=("a",), issuer="CN=I", at=7))
        self.assertIsNone(KnownServers(path).get("h", 444))
        path.write_text("{")
        self.assertIsNone(KnownServers(path).get("h", 443))
        self.patch(known_module, "MAX_SERVERS", 2)
        servers = KnownServers(path)
        for port in (1, 2, 3):
            servers.learn("h", port, ["a"], "CN=I")
        self.assertIsNone(KnownServers(path).get("h", 1))
        self.assertIsNotNone(KnownServers(path).get("h", 3))

    @given(binary(max_size=80))
    def test_any_file_is_safe(self, data: bytes) -> None:
        """It is only a memory."""
        path = Path(self.mktemp())
        path.write_bytes(data)
        self.assertIsNone(KnownServers(path).get("h", 443))


class ServerTests(SynchronousTestCase):
    """What --server takes."""

    def test_forms(self) -> None:
        """A host is https."""
        self.assertEqual(Server.parse("meet.org").url, "https://meet.org:443")
        self.assertEqual(Server.parse("http://[::1]:8080/").url, "http://[::1]:8080")
        for wrong in ("ftp://x", "https://", ""):
            with self.assertRaises(ValueError):
                Server.parse(wrong)


class AskingTests(SynchronousTestCase):
    """A client must survive whatever answers."""

    @staticmethod
    def client() -> AllocateClient:
        """With transactions that can be foreseen."""
        return AllocateClient("u", "p", lambda: bytes(12))

    def test_endless_challenges_end(self) -> None:
        """A server that challenges again and again is refused by the client."""
        from mosaic.wire.stun import attributes as stun
        from mosaic.wire.stun.attributes import ErrorCode

        client = self.client()
        client.begin()
        with self.assertRaises(TurnRefusal) as caught:
            for number in range(10):
                client.receive(
                    encode(
                        Method.ALLOCATE,
                        Class.ERROR,
                        bytes(12),
                        [
                            (stun.ERROR_CODE, ErrorCode(438)),
                            (stun.REALM, "r"),
                            (stun.NONCE, f"n{number}"),
                        ],
                    )
                )
        self.assertEqual(caught.exception.code, 438)

    @given(binary(max_size=200))
    def test_any_bytes_are_safe(self, data: bytes) -> None:
        """An answer, silence, or a TurnRefusal."""
        client = self.client()
        client.begin()
        try:
            client.receive(data)
        except TurnRefusal:
            pass
        read_binding(data, bytes(12))

    @given(binary(max_size=60), integers(0, 3))
    def test_any_attributes_are_safe(self, rest: bytes, cls: int) -> None:
        """Well-formed heads with anything behind."""
        head = bytearray(binding(bytes(12)))
        head[2:4] = len(rest).to_bytes(2, "big")
        head[0] |= cls >> 1
        head[1] |= (cls & 1) << 4
        client = self.client()
        client.begin()
        try:
            client.receive(bytes(head) + rest)
        except TurnRefusal:
            pass
        read_binding(bytes(head) + rest, bytes(12))


class _Limits:
    """Notes what a plane is told."""

    def __init__(self) -> None:
        self.users: dict[int, float] = {}

    def limit_user(self, user: int, bytes_per_s: float) -> None:
        """The last one counts."""
        self.users[user] = bytes_per_s


class VisitorBandwidthTests(SynchronousTestCase):
    """A stranger is never faster than BYTES_PER_S, whatever users may be."""

    def test_limits(self) -> None:
        """Without a limit for users, with a higher one, and with a lower one."""
        plane: Any = _Limits()
        bandwidth = Bandwidth(plane, plane, Turn())
        stranger = bandwidth.user(f"1:{visitor('192.0.2.1')}/ab")[1]
        person = bandwidth.user("1:person/ab")[1]
        self.assertEqual(plane.users, {stranger: BYTES_PER_S})
        bandwidth.limit_users(BYTES_PER_S * 10)
        self.assertEqual(plane.users[stranger], BYTES_PER_S)
        self.assertEqual(plane.users[person], BYTES_PER_S * 10)
        bandwidth.limit_users(100.0)
        self.assertEqual(plane.users[stranger], 100.0)
        bandwidth.limit_users(0.0)
        self.assertEqual(
            (plane.users[stranger], plane.users[person]), (BYTES_PER_S, 0.0)
        )
