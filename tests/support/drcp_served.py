"""DRCP on a real port of this process, over the memory store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Drcp
from mosaic.services.drcp.service import DrcpService
from mosaic.store.memory import MemoryStore
from mosaic.workspace.model import Principal, Role, Room
from tests.support.drcp import HUB, TokenDoor

# The reactor of the test run; mypy sees a module.
reactor: Any = _reactor


class ServedCase(TestCase):
    """A server whose inside a test sees, and may break."""

    timeout = 120
    settings = Drcp(unload_after_s=1.0)

    def setUp(self) -> None:
        """Listen on a free port of the loopback interface."""
        self.door = TokenDoor()
        self.store = MemoryStore(wall=reactor.seconds)
        self.store.add_room(Room(hub_id=HUB, name="Room", pin="1", created_at=0.0))
        self.service = DrcpService(
            reactor,
            self.settings,
            door=self.door,  # type: ignore[arg-type]  # it knows tokens alone
            store=self.store,
            bus=MemoryBus(reactor),
            origin_allowed=lambda origin, host: origin == f"http://{host}",
            wall_clock=reactor.seconds,
        )
        self.service.startService()
        root = Resource()
        for name, resource in self.service.resources().items():
            root.putChild(name.encode(), resource)
        self.listen(root)
        self.addCleanup(lambda: Deferred.fromCoroutine(self._stop()))

    def listen(self, root: Resource) -> None:
        """Serve this."""
        self.port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        self.number = self.port.getHost().port

    async def _stop(self) -> None:
        """Drain, and wait for every socket and timer."""
        await self.service.stopService()
        await self.port.stopListening()
        await self.until(lambda: not self.service.connections, "goodbyes")
        # Autobahn's timers for dropped handshakes run out within seconds.
        await self.until(lambda: not _batched_timers(), "end of timers")

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait, at most 20 s."""
        for _ in range(1000):
            if condition():
                return
            await deferLater(reactor, 0.02)
        self.fail(f"no {what}")

    def token(self, who: str, role: Role = Role.EDITOR) -> str:
        """A room token, as long as a true one."""
        token = f"{who:0>43}"
        self.door.principals[token] = Principal(
            name=who.title(),
            account=None,
            admin=False,
            hub_id=HUB,
            role=role,
            participant_id=f"{who:0>16}",
            expires_at=reactor.seconds() + 600,
        )
        return token


def _batched_timers() -> list[str]:
    calls = [repr(call) for call in reactor.getDelayedCalls()]
    return [call for call in calls if "_BatchedTimer" in call]
