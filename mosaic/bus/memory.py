"""The bus of a single process: a queue that one reactor turn empties."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mosaic.bus.interface import Listener, Payload

_log = Logger()


class MemorySubscription:
    """One listener's place at one topic."""

    def __init__(self, bus: MemoryBus, topic: str, listener: Listener) -> None:
        self._bus = bus
        self._topic = topic
        self._listener = listener
        self.active = True

    def cancel(self) -> None:
        """Stop the delivery, also of what is already on its way."""
        if self.active:
            self.active = False
            self._bus.forget(self._topic, self)

    def deliver(self, topic: str, payload: Payload) -> None:
        """Call the listener unless it has left; its failure stays with it."""
        if not self.active:
            return
        try:
            self._listener(topic, payload)
        except Exception:
            _log.failure("a listener of {topic} failed", topic=topic)


class MemoryBus:
    """Publish and subscribe inside one process.

    A message goes to those who listen when it is published, on the next turn
    of the clock: publish() never calls a listener, so nobody is re-entered.
    Each listener has a dictionary of its own.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._listeners: dict[str, list[MemorySubscription]] = {}
        self._queue: deque[tuple[MemorySubscription, str, Payload]] = deque()
        self._due = False

    def publish(self, topic: str, payload: Payload) -> None:
        """Deliver to every listener of the topic, in order, on the next turn."""
        for pattern in _patterns(topic):
            for subscription in self._listeners.get(pattern, ()):
                self._queue.append((subscription, topic, dict(payload)))
        if self._queue and not self._due:
            self._due = True
            self._clock.callLater(0, self._flush)

    def subscribe(self, topic: str, listener: Listener) -> MemorySubscription:
        """Hear a topic, or with a last word "*" every topic below it."""
        subscription = MemorySubscription(self, topic, listener)
        self._listeners.setdefault(topic, []).append(subscription)
        return subscription

    def forget(self, topic: str, subscription: MemorySubscription) -> None:
        """Drop a cancelled subscription; an empty topic leaves nothing behind."""
        remaining = [s for s in self._listeners[topic] if s is not subscription]
        if remaining:
            self._listeners[topic] = remaining
        else:
            del self._listeners[topic]

    def _flush(self) -> None:
        """Deliver what waits now; what listeners publish waits for its turn."""
        self._due = False
        batch, self._queue = self._queue, deque()
        for subscription, topic, payload in batch:
            subscription.deliver(topic, payload)


def _patterns(topic: str) -> Iterator[str]:
    """The topic itself, then every prefix of it followed by a star."""
    yield topic
    words = topic.split(".")
    for count in range(len(words) - 1, 0, -1):
        yield ".".join((*words[:count], "*"))
