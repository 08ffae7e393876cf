"""A door over a memory store, with every clock in the test's hand."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from mosaic.auth.door import HouseDoor
from mosaic.bus.interface import Payload
from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Auth
from mosaic.store.memory import MemoryStore

P = ParamSpec("P")
T = TypeVar("T")

NOON = 1_000_000.0
FAST = Auth(scram_iterations=50)


class FakeMinter:
    """Credentials that say for whom they were made and when they end."""

    def mint(self, subject: str, *, now: float, ttl_s: int) -> tuple[str, str]:
        """User name and credential."""
        return f"{int(now) + ttl_s}:{subject}", "hmac"


class Threads:
    """Runs at once, or keeps the work until the test lets it go."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] | None = None
        self.calls = 0

    def __call__(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """In place of deferToThread."""
        self.calls += 1
        if self.held is None:
            return maybeDeferred(function, *args, **kwargs)
        done: Deferred[T] = Deferred()
        self.held.append(lambda: done.callback(function(*args, **kwargs)))
        return done


class House:
    """Store, bus, clock and door of one test."""

    def __init__(self, settings: Auth = FAST, *, scram_sha_1: bool = False) -> None:
        self.clock = Clock()
        self.store = MemoryStore(wall=self.wall)
        self.bus = MemoryBus(self.clock)
        self.threads = Threads()
        self.heard: list[tuple[str, Payload]] = []
        for topic in ("room.*", "account.*"):
            self.bus.subscribe(
                topic, lambda name, load: self.heard.append((name, load))
            )
        self.door = HouseDoor(
            self.store,
            self.bus,
            clock=self.clock,
            wall=self.wall,
            settings=settings,
            server_key=b"secret of the server",
            run_in_thread=self.threads,
            credentials=FakeMinter(),
            credential_ttl_s=3600,
            turn_urls=lambda host: (f"turn:{host}:3478?transport=udp",),
            scram_sha_1=scram_sha_1,
        )

    def wall(self) -> float:
        """Noon, and what the clock has advanced."""
        return NOON + self.clock.seconds()

    def run(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a coroutine that needs nothing but the house."""
        outcomes: list[T] = []
        failures: list[BaseException] = []
        Deferred.fromCoroutine(coroutine).addCallbacks(
            outcomes.append, lambda failure: failures.append(failure.value)
        )
        for error in failures:
            raise error
        return outcomes[0]

    def news(self) -> list[tuple[str, Payload]]:
        """What the bus brought since the last time."""
        self.clock.advance(0)
        heard, self.heard[:] = list(self.heard), []
        return heard
