"""What every bus does."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.bus.interface import Bus, Payload
from mosaic.bus.memory import MemoryBus


class BusContract:
    """One suite; a subclass makes the bus and lets it deliver."""

    bus: Bus

    def settle(self) -> None:
        """Let everything that was published arrive."""
        raise NotImplementedError

    def listen(self, topic: str) -> list[tuple[str, Payload]]:
        """A list that fills with what the topic brings."""
        heard: list[tuple[str, Payload]] = []
        self.bus.subscribe(topic, lambda name, payload: heard.append((name, payload)))
        return heard

    def test_order_is_kept(self) -> None:
        """Also between topics: what was published first arrives first."""
        heard = self.listen("room.*")
        for number in range(50):
            self.bus.publish(f"room.{number % 3}", {"n": number})
        self.settle()
        assert [payload["n"] for _, payload in heard] == list(range(50))

    def test_publish_never_calls_a_listener(self) -> None:
        """So whoever publishes is not surprised in the middle of its work."""
        heard = self.listen("a.b")
        self.bus.publish("a.b", {})
        assert heard == []
        self.settle()
        assert heard == [("a.b", {})]

    def test_prefix_hears_all_below_and_nothing_beside(self) -> None:
        """ "room.*" hears room.1 and room.1.people, not room or roommate.1."""
        heard = self.listen("room.*")
        for topic in ("room.1", "room.1.people", "room", "roommate.1", "account.room"):
            self.bus.publish(topic, {})
        self.settle()
        assert [topic for topic, _ in heard] == ["room.1", "room.1.people"]

    def test_a_failing_listener_harms_no_other(self) -> None:
        """Its failure is logged and stays with it."""

        def fail(topic: str, payload: Payload) -> None:
            raise RuntimeError("a listener of the test")

        self.bus.subscribe("a.b", fail)
        heard = self.listen("a.b")
        self.bus.publish("a.b", {"n": 1})
        self.bus.publish("a.b", {"n": 2})
        self.settle()
        assert [payload["n"] for _, payload in heard] == [1, 2]
        self.check_failures(2)

    def check_failures(self, count: int) -> None:
        """That many RuntimeErrors were logged."""
        raise NotImplementedError

    def test_cancel_stops_what_is_on_its_way(self) -> None:
        """A listener that has left is not called, and may leave twice."""
        heard: list[str] = []
        place = self.bus.subscribe("a.b", lambda topic, payload: heard.append(topic))
        self.bus.publish("a.b", {})
        place.cancel()
        place.cancel()
        self.settle()
        self.bus.publish("a.b", {})
        self.settle()
        assert heard == []

    def test_listeners_may_publish_and_subscribe(self) -> None:
        """Delivery is safe against what listeners do."""
        heard = self.listen("second")
        late: list[str] = []

        def answer(topic: str, payload: Payload) -> None:
            self.bus.subscribe("first", lambda name, _: late.append(name))
            self.bus.publish("second", {"after": topic})

        self.bus.subscribe("first", answer)
        self.bus.publish("first", {})
        self.settle()
        assert heard == [("second", {"after": "first"})]
        assert late == []

    def test_each_listener_has_its_own_payload(self) -> None:
        """One that changes the dictionary does not change it for the next."""

        def spoil(topic: str, payload: Payload) -> None:
            payload.clear()

        self.bus.subscribe("a.b", spoil)
        heard = self.listen("a.b")
        self.bus.publish("a.b", {"n": 1})
        self.settle()
        assert heard == [("a.b", {"n": 1})]


class MemoryBusTests(BusContract, SynchronousTestCase):
    """The bus of one process."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.memory = MemoryBus(self.clock)
        self.bus = self.memory

    def settle(self) -> None:
        """Turn until nothing is due."""
        while self.clock.getDelayedCalls():
            self.clock.advance(0)

    def check_failures(self, count: int) -> None:
        """Trial keeps logged failures."""
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), count)

    def test_nothing_stays_behind_an_empty_topic(self) -> None:
        """A server that runs for a year sees many rooms."""
        self.memory.subscribe("room.1", lambda topic, payload: None).cancel()
        self.assertEqual(self.memory._listeners, {})
