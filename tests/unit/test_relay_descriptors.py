"""Room for the descriptors of allocations."""

from __future__ import annotations

import resource

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
        self.assertEqual(self.limits, (9024, 20_000))

    def test_hard_limit_is_respected(self) -> None:
        """And what fits below it is said."""
        self.play(1024, 4096)
        self.assertEqual(descriptors.make_room(8000), 3072)
        self.assertEqual(self.limits, (4096, 4096))

    def test_ample_limits_stay(self) -> None:
        """Nothing is lowered."""
        for limits in ((65_536, 65_536), (-1, -1)):
            self.play(*limits)
            self.assertEqual(descriptors.make_room(8000), 8000)
            self.assertEqual(self.limits, limits)
