"""The network check without a network: verdicts, numbers, the client's side of TURN."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis.strategies import binary, floats, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.settings import Turn
from mosaic.netcheck.datagrams import evenness
from mosaic.netcheck.engine import Server
from mosaic.netcheck.result import Check, Outcome, failed, overall, verdicts, worst
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

    def test_errors_keep_their_stage(self) -> None:
        """Also those that are nobody's hop."""
        error = Unreachable("server h", "timeout", host="h", port=443)
        self.assertEqual(failed("rest", error).stage, "tcp")
        self.assertEqual(failed("rest", ValueError("odd")).stage, "application")
        self.assertEqual(worst(["skipped", "ok"]), "ok")
        self.assertEqual(worst([]), "skipped")


class EvennessTests(SynchronousTestCase):
    """Numbers from round trips."""

    def test_loss_and_jitter(self) -> None:
        """Jitter is the mean step between neighbours (RFC 3550 section 6.4.1)."""
        found = evenness([10.0, 20.0, 10.0, 20.0], 5)
        self.assertEqual((found.loss, found.jitter_ms, found.p50_ms), (0.2, 10.0, 15.0))
        self.assertEqual(evenness([], 5).loss, 1.0)

    @given(lists(floats(0, 1e4), min_size=1, max_size=60))
    def test_any_round_trips(self, trips: list[float]) -> None:
        """Always within what was measured."""
        found = evenness(trips, len(trips))
        self.assertLessEqual(found.p50_ms, found.p95_ms + 0.01)
        self.assertLessEqual(found.p95_ms, max(trips) + 0.01)
        self.assertGreaterEqual(found.jitter_ms, 0)


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
