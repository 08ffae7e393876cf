"""Relay ports: random, rested, and found in no time however few are left."""

from __future__ import annotations

from errno import EADDRINUSE, EADDRNOTAVAIL, EMFILE
from itertools import pairwise

from hypothesis import given
from hypothesis.strategies import integers, lists, tuples
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.interface import HostUnavailable, NoRelayPort
from mosaic.relay.ports import PortPool, RelayPorts

HOST = "192.0.2.1"


class PortPoolTests(SynchronousTestCase):
    """One host's ports."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = PortPool(50000, 50009, 30.0, self.clock.seconds)

    def test_each_is_given_once(self) -> None:
        """In an order that nobody can guess."""
        found = [self.pool.take() for _ in range(10)]
        self.assertEqual(sorted(p for p in found if p), list(range(50000, 50010)))
        self.assertIsNone(self.pool.take())

    def test_order_is_scattered(self) -> None:
        """Predictable relay ports help whoever aims at them."""
        pool = PortPool(49152, 65535, 30.0, self.clock.seconds)
        found = [pool.take() or 0 for _ in range(50)]
        self.assertGreater(len({b - a for a, b in pairwise(found)}), 40)

    def test_freed_ports_rest(self) -> None:
        """The others first; then, in need, the one that has rested longest."""
        held = [self.pool.take() or 0 for _ in range(10)]
        for port in held[:3]:
            self.pool.freed(port)
            self.clock.advance(1)
        self.assertEqual(self.pool.take(), held[0])
        self.clock.advance(40)
        self.pool.freed(held[5])
        self.assertIn(self.pool.take(), held[1:3])
        self.assertIn(self.pool.take(), held[1:3])
        self.assertEqual(self.pool.take(), held[5])

    def test_no_rest(self) -> None:
        """0 turns it off."""
        pool = PortPool(5, 5, 0.0, self.clock.seconds)
        for _ in range(3):
            self.assertEqual(pool.take(), 5)
            pool.freed(5)

    def test_even_ones(self) -> None:
        """While there are any, resting ones too."""
        found = [self.pool.take(even=True) for _ in range(5)]
        self.assertEqual({p and p & 1 for p in found}, {0})
        self.assertIsNone(self.pool.take(even=True))
        self.pool.freed(found[0] or 0)
        self.assertEqual(self.pool.take(even=True), found[0])

    def test_a_certain_one(self) -> None:
        """For pairs: only if nobody has it and it does not rest."""
        self.assertTrue(self.pool.take_this(50003))
        self.assertFalse(self.pool.take_this(50003))
        self.pool.freed(50003)
        self.assertFalse(self.pool.take_this(50003))
        self.assertFalse(self.pool.take_this(50010))
        self.assertFalse(self.pool.take_this(49999))
        self.clock.advance(30)
        self.assertTrue(self.pool.take_this(50003))

    @given(lists(tuples(integers(0, 4), integers(0, 15), integers(0, 20))))
    def test_no_port_is_ever_had_twice(self, steps: list[tuple[int, int, int]]) -> None:
        """Whatever the order of takes, ends and waits."""
        clock = Clock()
        pool, out = PortPool(50000, 50009, 30.0, clock.seconds), set[int]()
        for what, which, wait in steps:
            clock.advance(wait)
            port = None
            if what < 2:
                port = pool.take(even=what == 1)
                self.assertEqual(
                    port is None,
                    len(out) == 10
                    or (what == 1 and all(p in out for p in range(50000, 50010, 2))),
                )
            elif what == 2:
                port = 50000 + which if pool.take_this(50000 + which) else None
            elif out:
                gone = sorted(out)[which % len(out)]
                out.remove(gone)
                (pool.freed if what == 3 else pool.put_back)(gone)
            if port is not None:
                self.assertNotIn(port, out)
                self.assertLess(port, 50010)
                out.add(port)


class RelayPortsTests(SynchronousTestCase):
    """Sockets on them."""

    def setUp(self) -> None:
        self.errors: dict[int, int] = {}
        self.closed: list[int] = []
        self.ports = RelayPorts(
            (50000, 50003),
            opens=self.opens,
            closes=self.closed.append,
            rest_s=30.0,
            clock=Clock().seconds,
        )

    def opens(self, host: str, port: int) -> int:
        """A stand-in for a socket: its port."""
        if port in self.errors:
            raise OSError(self.errors[port], "no")
        return port

    def test_ports_of_others_are_passed_over(self) -> None:
        """Another program may have some of the range."""
        self.errors = {50000: EADDRINUSE, 50001: EADDRINUSE, 50002: EADDRINUSE}
        self.assertEqual(self.ports.open(HOST), (50003, 50003))
        with self.assertRaises(NoRelayPort):
            self.ports.open(HOST)
        self.errors.clear()
        self.assertIn(self.ports.open(HOST)[1], range(50000, 50003))

    def test_what_no_other_port_would_cure(self) -> None:
        """An absent address, and a lack of descriptors, end the search."""
        for error, raised in ((EADDRNOTAVAIL, HostUnavailable), (EMFILE, NoRelayPort)):
            self.errors = dict.fromkeys(range(50000, 50004), error)
            with self.assertRaises(raised):
                self.ports.open(HOST)
        self.errors = {}
        self.assertEqual(len({self.ports.open(HOST) for _ in range(4)}), 4)

    def test_hosts_have_ports_of_their_own(self) -> None:
        """The same number on another address is another port."""
        for host in (HOST, "2001:db8::1"):
            found = {self.ports.open(host)[1] for _ in range(4)}
            self.assertEqual(len(found), 4)

    def test_pairs(self) -> None:
        """The even one and the next; what has no neighbour is given back."""
        self.errors = {50001: EADDRINUSE}
        first, second, port = self.ports.open_pair(HOST)
        self.assertEqual((first, second, port), (50002, 50003, 50002))
        with self.assertRaises(NoRelayPort):
            self.ports.open_pair(HOST)
        self.assertEqual(set(self.closed), {50000})
        self.assertEqual(self.ports.open(HOST)[1], 50000)
