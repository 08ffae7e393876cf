"""Sockets are read one by one while little comes, and in rounds when much does."""

from __future__ import annotations

import socket

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.drcp.rounds import (
    LITTLE,
    MUCH,
    ROUND_S,
    WINDOW_S,
    Rounds,
    rounds_for,
)
from tests.support.watching import WatchingClock


class Reactor(WatchingClock):
    """look() does what epoll would make a reactor do."""

    def look(self) -> None:
        """One turn, and what was put off until after it."""
        for reader in list(self.readers):
            reader.doRead()
        self.advance(0)


class End:
    """One end of a pair of sockets, and what it read."""

    def __init__(self, rounds: Rounds) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.heard: list[bytes] = []
        self.connected = True
        self.lost: Failure | None = None
        self.rounds = rounds
        rounds.addReader(self)

    def fileno(self) -> int:
        """The socket's."""
        return self.near.fileno()

    def doRead(self) -> Exception | None:
        """As a transport."""
        data = self.near.recv(100)
        if data == b"boom":
            raise RuntimeError("boom")
        self.heard.append(data)
        return None if data else CONNECTION_DONE

    def connectionLost(self, reason: Failure) -> None:
        """Twisted stops reading here, too."""
        self.rounds.removeReader(self)
        self.connected = False
        self.lost = reason
        self.close()

    def close(self) -> None:
        """Both."""
        self.near.close()
        self.far.close()


class RoundsTests(SynchronousTestCase):
    """An epoll inside the reactor's."""

    def setUp(self) -> None:
        """Three connections."""
        self.reactor = Reactor()
        self.rounds = Rounds(self.reactor)
        self.ends = [End(self.rounds) for _ in range(3)]
        self.addCleanup(self.rounds.stop)
        for end in self.ends:
            self.addCleanup(end.close)

    def say(self, *ends: End, text: bytes = b"x") -> None:
        """Something comes, and the reactor looks."""
        for end in ends:
            end.far.send(text)
        self.reactor.look()

    def rush(self) -> None:
        """So many messages that rounds begin."""
        self.reactor.advance(1)
        self.say(self.ends[0])
        for _ in range(MUCH + 1):
            self.assertEqual(self.reactor.readers, {self.rounds})
            self.reactor.advance(WINDOW_S / (MUCH + 1) * 1.001)
            self.say(self.ends[0])

    def test_little_is_read_at_once(self) -> None:
        """As without us, and without a timer."""
        for _ in range(3 * MUCH):
            self.reactor.advance(WINDOW_S / (MUCH - 1))
            self.say(self.ends[1])
        self.assertEqual(self.ends[1].heard, [b"x"] * 3 * MUCH)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_much_is_read_in_rounds(self) -> None:
        """The reactor looks away, and everything comes a round later."""
        self.rush()
        self.assertEqual(self.reactor.readers, set())
        a, b, c = self.ends
        for end in self.ends:
            end.heard.clear()
        self.say(a, b, c)
        self.assertEqual([e.heard for e in self.ends], [[], [], []])
        self.reactor.advance(ROUND_S)
        self.assertEqual([e.heard for e in self.ends], [[b"x"], [b"x"], [b"x"]])

    def test_a_flush_takes_what_has_come(self) -> None:
        """It goes with the batch, not with the next one; and what was read now
        need not be looked for so soon."""
        self.rush()
        (a, *_) = self.ends
        a.heard.clear()
        self.reactor.advance(ROUND_S / 2)
        self.say(a)
        self.rounds.gather()
        self.assertEqual(a.heard, [b"x"])
        self.say(a)
        self.reactor.advance(ROUND_S * 0.75)
        self.assertEqual(a.heard, [b"x"])
        self.reactor.advance(ROUND_S * 0.25)
        self.assertEqual(a.heard, [b"x", b"x"])

    def test_a_flush_while_little_comes(self) -> None:
        """The reactor tells of everything then."""
        self.ends[0].far.send(b"x")
        self.rounds.gather()
        self.assertEqual(self.ends[0].heard, [])

    def windows(self, messages: int) -> None:
        """Four windows, in each of which so many messages come."""
        for n in range(4 * messages):
            self.ends[n % 3].far.send(b"x")
            for _ in range(4):
                self.reactor.advance(WINDOW_S / messages / 4)

    def test_who_is_read_again_during_a_round(self) -> None:
        """It joins the rounds; the reactor does not look, and there is one timer."""
        self.rush()
        a, b, _ = self.ends
        self.rounds.removeReader(b)
        true = a.doRead

        def and_b() -> Exception | None:
            self.rounds.addReader(b)
            return true()

        a.doRead = and_b  # type: ignore[method-assign]  # b waited for something of a
        self.say(a)
        self.reactor.advance(ROUND_S)
        self.assertEqual(self.reactor.readers, set())
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)

    def test_rounds_go_on(self) -> None:
        """While they find enough."""
        self.rush()
        self.windows(LITTLE + 2)
        self.assertEqual(self.reactor.readers, set())

    def test_rounds_end(self) -> None:
        """When they find next to nothing, the reactor looks again."""
        self.rush()
        self.windows(LITTLE - 1)
        self.assertEqual(self.reactor.readers, {self.rounds})
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.reactor.look()
        self.ends[2].heard.clear()
        self.say(self.ends[2])
        self.assertEqual(self.ends[2].heard, [b"x"])

    def test_flushes_do_not_keep_rounds_alive(self) -> None:
        """Those of edits that came from elsewhere."""
        self.rush()
        for _ in range(round(4 * WINDOW_S / ROUND_S)):
            self.reactor.advance(ROUND_S / 2)
            self.rounds.gather()
        self.assertEqual(self.reactor.readers, {self.rounds})

    def test_nobody_is_left_in_the_rounds(self) -> None:
        """No timer stays."""
        self.rush()
        for end in self.ends:
            self.rounds.removeReader(end)
        self.reactor.advance(ROUND_S)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.readers, set())

    def test_whoever_pauses_is_not_read(self) -> None:
        """removeReader, and addReader during a round."""
        self.rounds.removeReader(self.ends[0])
        self.rounds.removeReader(self.ends[0])
        self.say(self.ends[0])
        self.assertEqual(self.ends[0].heard, [])
        self.rounds.addReader(self.ends[0])
        self.reactor.look()
        self.assertEqual(self.ends[0].heard, [b"x"])
        self.rush()
        self.rounds.removeReader(self.ends[1])
        self.rounds.addReader(self.ends[1])
        self.assertEqual(self.reactor.readers, set())

    def test_an_end_and_a_fault(self) -> None:
        """As Twisted's reactors tell them; the others go on."""
        a, b, c = self.ends
        a.far.close()
        b.far.send(b"boom")
        self.say(c)
        assert a.lost is not None
        assert b.lost is not None
        self.assertIsInstance(a.lost.value, ConnectionDone)
        self.assertIsInstance(b.lost.value, RuntimeError)
        self.assertEqual(c.heard, [b"x"])
        self.flushLoggedErrors(RuntimeError)

    def test_a_broken_connection(self) -> None:
        """ConnectionLost, and nobody writes to it any more."""
        (a, *_) = self.ends
        a.doRead = lambda: CONNECTION_LOST  # type: ignore[method-assign]  # a transport in trouble
        self.reactor.addWriter(a)
        self.say(a)
        assert a.lost is not None
        self.assertIsInstance(a.lost.value, ConnectionLost)
        self.assertEqual(self.reactor.writers, set())

    def test_the_descriptor_outlives_the_turn(self) -> None:
        """The reactor may hold another event of it, which would be taken for
        one of a connection that was accepted in between."""
        (a, *_) = self.ends
        a.far.close()
        self.rounds.doRead()
        self.assertIsNone(a.lost)
        self.assertNotEqual(a.fileno(), -1)
        self.reactor.advance(0)
        assert a.lost is not None

    def test_one_that_the_reactor_has_ended_meanwhile(self) -> None:
        """It is told once."""
        (a, *_) = self.ends
        a.far.close()
        self.rounds.doRead()
        a.connectionLost(Failure(CONNECTION_LOST))
        self.reactor.advance(0)
        assert a.lost is not None
        self.assertIsInstance(a.lost.value, ConnectionLost)

    def test_rounds_in_rounds(self) -> None:
        """A room has a pace of its own, and is read at once while it is quiet."""
        (a, *_) = self.ends
        room = self.rounds.within(lambda: 0.05)
        in_room = [End(room) for _ in range(2)]
        for end in in_room:
            self.addCleanup(end.close)
        self.addCleanup(room.stop)
        self.say(in_room[0], a)
        self.assertEqual([in_room[0].heard, a.heard], [[b"x"], [b"x"]])
        for _ in range(MUCH + 1):
            self.reactor.advance(WINDOW_S / (MUCH + 1) * 1.001)
            self.say(*in_room)
        for end in (a, *in_room):
            end.heard.clear()
        self.say(*in_room)
        self.assertEqual(in_room[0].heard, [])
        self.reactor.advance(0.05)
        self.assertEqual([end.heard for end in in_room], [[b"x"], [b"x"]])

    def test_a_room_that_ends(self) -> None:
        """Who is still in it is watched as if there had been no room."""
        room = self.rounds.within(lambda: 0.05)
        stays, pauses = End(room), End(room)
        for end in (stays, pauses):
            self.addCleanup(end.close)
        room.removeReader(pauses)
        room.stop()
        room.stop()
        room.addReader(pauses)
        self.say(stays, pauses)
        self.assertEqual([stays.heard, pauses.heard], [[b"x"], [b"x"]])
        room.removeReader(stays)
        self.say(stays)
        self.assertEqual(stays.heard, [b"x"])

    def test_nobody_is_left(self) -> None:
        """Then the reactor need not look."""
        for end in self.ends:
            self.rounds.removeReader(end)
        self.assertEqual(self.reactor.readers, set())

    def test_reactors_that_cannot(self) -> None:
        """Are left as they are."""
        self.assertIsNone(rounds_for(Clock()))
        rounds = rounds_for(self.reactor)
        assert rounds is not None
        rounds.stop()
