"""Room for the descriptors of allocations."""

from __future__ import annotations

import re
import resource
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay import descriptors


class MakeRoomTests(SynchronousTestCase):
    """The limits are played: those of the test process stay."""

    def play(self, soft: int, hard: int) -> None:
        """Limits as a system has them."""
        self.limits = (soft, hard)

        def change(_: int, limits: tuple[int, int]) -> None:
            self.limits = limits

        self.patch(resource, "getrlimit", lambda _: self.limits)
        self.patch(resource, "setrlimit", change)

    def test_soft_limit_is_raised(self) -> None:
        """A shell's 1024 would end at the thousandth call."""
        self.play(1024, 20_000)
        self.assertEqual(descriptors.make_room(8000), 8000)
        self.assertEqual(self.limits, (10_314, 20_000))

    def test_hard_limit_is_respected(self) -> None:
        """And what fits below it is said."""
        self.play(1024, 4096)
        self.assertEqual(descriptors.make_room(8000), 4096 - 512 - 1024)
        self.assertEqual(self.limits, (4096, 4096))

    def test_ample_limits_stay(self) -> None:
        """Nothing is lowered."""
        for limits in ((65_536, 65_536), (-1, -1)):
            self.play(*limits)
            self.assertEqual(descriptors.make_room(8000), 8000)
            self.assertEqual(self.limits, limits)

    @given(integers(0, 1 << 20), integers(0, 1 << 20), integers(0, 1 << 20))
    def test_second_sockets_take_none_of_an_allocation(
        self, wanted: int, soft: int, more: int
    ) -> None:
        """With every allocation in use and their share used up, all still fits."""
        self.play(soft, soft + more)
        room = descriptors.make_room(wanted)
        limit, hard = self.limits
        if room:
            self.assertLessEqual(room + limit // 8 + 1024, limit)
        if room < wanted:
            self.assertEqual(limit, hard)

    def test_share_is_the_one_of_the_thread(self) -> None:
        """Two files say the same number."""
        header = Path(descriptors.__file__).with_name("sockets.h").read_text()
        found = re.findall(r"SHARE_OF_DESCRIPTORS = (\d+)", header)
        self.assertEqual(found, [str(descriptors.SHARE_OF_DIRECT)])
