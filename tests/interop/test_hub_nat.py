"""Headless hubs behind NATs and firewalls: pictures and sound arrive both ways.

A few pairs here; all of them, and what they took, with MOSAIC_HUB_MATRIX=1 or
`python -m tests.bench.hub.nat_matrix` (docs/hub-media.md).
"""

from __future__ import annotations

import os
import time
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any
from unittest import SkipTest

import av
from twisted.trial.unittest import SynchronousTestCase

from tests.support.hubs import sees_and_hears
from tests.support.natlab import Met, NatLab
from tests.support.proxies import need

STRONG = ("DTLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", "SRTP_AEAD_AES_256_GCM")
PUNCHABLE = {
    frozenset(pair)
    for pair in (
        ("full-cone",),
        ("restricted",),
        ("full-cone", "restricted"),
        ("full-cone", "symmetric"),
    )
}
"""The NATs that a direct path leads through (RFC 5128, section 3.3)."""
MATRIX = (
    "full-cone", "restricted", "symmetric", "udp-blocked", "mission-list", "web-only",
)  # fmt: skip


def path_of(first: str, second: str) -> str:
    """How two hubs behind these must meet."""
    return "direct" if frozenset((first, second)) in PUNCHABLE else "relay"


def pictures(facts: dict[str, Any]) -> int:
    """How many arrived."""
    return max((int(it["video"]) for it in facts["heard"]), default=0)


class NatCase(SynchronousTestCase):
    """One laboratory for a test: a start takes seconds."""

    def lab(self, *flags: list[str]) -> NatLab:
        """Namespaces, a server and two hubs."""
        lab = NatLab(*flags)
        self.addCleanup(lab.close)
        return lab

    def meets(self, lab: NatLab, first: str, second: str, *, leave: bool = True) -> Met:
        """They meet on the path that the NATs leave, on the first connection, and
        with 256-bit keys alone."""
        met = lab.meet(first, second, leave=leave)
        self.assertEqual(set(met.paths), {path_of(first, second)}, met.kinds)
        self.assertEqual(met.generation, 0, "took the second step")
        self.assertEqual(met.secured, STRONG)
        return met


class NatTests(NatCase):
    """The pairs that say most."""

    def test_direct_where_nats_allow_it_else_by_the_relay(self) -> None:
        """Two common NATs: directly, though the relay was ready first. Two symmetric
        ones: by the relay. The mission's list (TCP 80, TCP 443, UDP 53) and what
        is less than it: by UDP 53 and by TLS on 443. What the first hub saw and
        heard is in files that can be played."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        lab = self.lab(["--record", str(folder)])
        self.meets(lab, "restricted", "restricted", leave=False)
        lab.hubs[0].until(lambda facts: sees_and_hears(facts, frames=30))
        for hub in lab.hubs:
            hub.do("leave")
        self.plays(*folder.iterdir())
        self.meets(lab, "symmetric", "symmetric")
        met = self.meets(lab, "mission-list", "web-only")
        self.assertIn(":53 over UDP", str(met.relays[0]))
        self.assertIn(":443 over TLS", str(met.relays[1]))

    def plays(self, path: Path) -> None:
        """Picture and sound; a busy machine may leave pictures out, but no sound."""
        for media, least in (("video", 3), ("audio", 30)):
            with av.open(str(path)) as film:
                stream = next(s for s in film.streams if s.type == media)
                self.assertGreater(sum(1 for _ in film.decode(stream)), least, media)


class MatrixTests(NatCase):
    """Every pair; a minute or two."""

    def setUp(self) -> None:
        """Asked for, or skipped: CI has the few above."""
        if not os.environ.get("MOSAIC_HUB_MATRIX"):
            raise SkipTest("MOSAIC_HUB_MATRIX is not set")

    def test_all_pairs(self) -> None:
        """Any with any."""
        lab = self.lab()
        for first, second in combinations_with_replacement(MATRIX, 2):
            with self.subTest(pair=(first, second)):
                self.meets(lab, first, second)

    def test_a_call_outlives_its_path(self) -> None:
        """UDP is shut off in the middle of a direct call: media come by TCP."""
        lab = self.lab()
        lab.meet("restricted", "restricted", leave=False)
        lab.lab.nat("a", "udp-blocked")
        one, two = lab.hubs
        for hub in (one, two):
            so_far = pictures(hub.facts())
            while pictures(hub.facts()) < so_far + 60:
                time.sleep(0.2)
        (call,) = one.facts()["calls"].values()
        self.assertEqual(call["path"], "relay")
        self.assertGreaterEqual(call["generation"], 1)

    def test_through_a_socks_proxy(self) -> None:
        """Nothing is open but the way to a proxy: signals and media go through it."""
        (program,) = need("microsocks")
        lab = self.lab(["--proxy", "socks5h://203.0.113.100:1080"], [])
        lab.proxy(program, "-i", "0.0.0.0", "-p", "1080")
        met = self.meets(lab, "proxy-only", "restricted")
        self.assertRegex(str(met.relays[0]), "over (TCP|TLS)")
