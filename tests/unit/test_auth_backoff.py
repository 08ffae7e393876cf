"""Five tries, then waits that double."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.backoff import Backoff, address_key
from mosaic.auth.interface import TryLater

HOME = "192.0.2.1"


class BackoffTests(SynchronousTestCase):
    """tries=5, first 30 s, at most 900 s."""

    def setUp(self) -> None:
        self.backoff = Backoff(tries=5, first_s=30, max_s=900)

    def wait(self, account: str, address: str, now: float = 0.0) -> float:
        """Seconds to wait, 0 if a try is allowed."""
        try:
            self.backoff.check(account, address, now=now)
        except TryLater as later:
            return later.retry_after_s
        return 0.0

    def fail_times(self, count: int, account: str, address: str) -> None:
        """That many failed tries at second 0."""
        for _ in range(count):
            self.backoff.failed(account, address, now=0.0)

    def test_the_fifth_failure_makes_wait(self) -> None:
        """Four are forgiven."""
        self.fail_times(4, "ada", HOME)
        self.assertEqual(self.wait("ada", HOME), 0)
        self.fail_times(1, "ada", HOME)
        self.assertEqual(self.wait("ada", HOME), 30)
        self.assertEqual(self.wait("ada", HOME, now=29.5), 0.5)
        self.assertEqual(self.wait("ada", HOME, now=30.0), 0)

    def test_waits_double_up_to_the_limit(self) -> None:
        """30, 60, 120, … 900 and no more, however long it goes on."""
        self.fail_times(4, "ada", HOME)
        waits = []
        for _ in range(8):
            self.fail_times(1, "ada", HOME)
            waits.append(self.wait("ada", HOME))
        self.assertEqual(waits, [30, 60, 120, 240, 480, 900, 900, 900])
        self.fail_times(5000, "ada", HOME)
        self.assertEqual(self.wait("ada", HOME), 900)

    def test_an_account_is_guarded_from_everywhere(self) -> None:
        """Five machines with one try each are five tries."""
        for host in range(5):
            self.backoff.failed("ada", f"192.0.2.{host}", now=0.0)
        self.assertEqual(self.wait("ada", "198.51.100.7"), 30)
        self.assertEqual(self.wait("ben", "198.51.100.7"), 0)

    def test_an_address_is_held_whatever_it_tries(self) -> None:
        """One machine that tries five accounts once each."""
        for number in range(5):
            self.backoff.failed(f"user{number}", HOME, now=0.0)
        self.assertEqual(self.wait("somebody", HOME), 30)
        self.assertEqual(self.wait("somebody", "198.51.100.7"), 0)

    def test_success_forgets_this_account_from_this_address(self) -> None:
        """A person who mistyped twice starts anew."""
        self.fail_times(4, "ada", HOME)
        self.backoff.succeeded("ada", HOME)
        self.fail_times(4, "ada", HOME)
        self.assertEqual(self.wait("ada", HOME), 0)
        self.backoff.succeeded("ada", HOME)
        self.assertEqual(len(self.backoff), 0)

    def test_ones_own_account_washes_no_address(self) -> None:
        """Logging in to it between guesses at others does not help."""
        for number in range(5):
            self.backoff.failed(f"victim{number}", HOME, now=0.0)
            self.backoff.succeeded("attacker", HOME)
        self.assertEqual(self.wait("victim9", HOME), 30)

    def test_quiet_forgives(self) -> None:
        """After max_s without a failure, counted from the end of the wait."""
        self.fail_times(5, "ada", HOME)
        self.backoff.failed("ada", HOME, now=30 + 900 + 1)
        self.assertEqual(self.wait("ada", HOME, now=931), 0)

    def test_a_million_strangers_cost_no_more_than_some(self) -> None:
        """Memory is bounded, and the newest failures are those remembered."""
        small = Backoff(tries=5, first_s=30, max_s=900, max_entries=1000)
        for number in range(20_000):
            small.failed("ada", f"2001:db8:{number:x}::1", now=0.0)
        self.assertLessEqual(len(small), 2000)
        entry = small._accounts.get("ada")
        assert entry is not None
        self.assertLessEqual(len(entry.by), 10)
        with self.assertRaises(TryLater):
            small.check("ada", "198.51.100.7", now=0.0)


class AddressTests(SynchronousTestCase):
    """What counts as one address."""

    def test_one_household_is_one_address(self) -> None:
        """An IPv6 customer owns 2**64 addresses, and uses privacy ones."""
        self.assertEqual(
            address_key("2001:db8:1:2::1"), address_key("2001:db8:1:2:f::9")
        )
        self.assertNotEqual(
            address_key("2001:db8:1:2::1"), address_key("2001:db8:1:3::1")
        )

    def test_mapped_addresses_are_unwrapped(self) -> None:
        """The same host through a dual-stack socket."""
        self.assertEqual(address_key("::ffff:192.0.2.1"), address_key("192.0.2.1"))
        self.assertNotEqual(address_key("192.0.2.1"), address_key("192.0.2.2"))

    def test_other_text_counts_as_itself(self) -> None:
        """A Unix socket's peer has no address; long text is cut."""
        self.assertEqual(address_key("fe80::1%eth0"), "fe80::/64")
        self.assertEqual(address_key("unix"), "unix")
        self.assertEqual(len(address_key("x" * 10_000)), 64)
