"""XMPP in memory over a real door and a store that forgets."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.door import HouseDoor
from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Auth
from mosaic.services.xmpp.extras.surroundings import Surroundings
from mosaic.store.memory import MemoryStore
from mosaic.wire.xmpp.xml import Node
from tests.support.rest import FixedCredentials, at_once
from tests.support.xmpp import ACCOUNTS, MemoryClient, MemoryXmpp

WALL = 1_700_000_000.0


class XmppCase(SynchronousTestCase):
    """A house with the accounts ann (an administrator), bob and eve."""

    xmpp: dict[str, Any] = {}

    def endpoints(self) -> dict[str, Any]:
        """How endpoint strings become endpoints, where that matters."""
        return {}

    def setUp(self) -> None:
        """Build it, and let ann and bob in."""
        self.wall = WALL
        clock = Clock()
        self.store = MemoryStore(wall=lambda: self.wall)
        self.bus = MemoryBus(clock)
        self.door = HouseDoor(
            self.store,
            self.bus,
            clock=clock,
            wall=lambda: self.wall,
            settings=Auth(scram_iterations=4096),
            server_key=b"k" * 32,
            run_in_thread=at_once,
            credentials=FixedCredentials(),
            credential_ttl_s=600,
            turn_urls=lambda host: (
                f"stun:{host}:3478",
                f"turn:{host}:3478?transport=udp",
                f"turn:{host}:3478?transport=tcp",
                f"turns:{host}:8443?transport=tcp",
            ),
        )
        for name, password in ACCOUNTS.items():
            self.run_steps(self.door.add_account(name, password, admin=name == "ann"))
        self.house = MemoryXmpp(
            store=self.store,
            door=self.door,
            bus=self.bus,
            clock=clock,
            around=Surroundings(
                wall=lambda: self.wall,
                public_host="meet.example.org",
                web=lambda: "https://meet.example.org",
                **self.endpoints(),
            ),
            **self.xmpp,
        )
        self.ann = self.client("ann", "a")
        self.bob = self.client("bob", "b")
        self.ann.receive()

    def client(self, name: str, resource: str = "r") -> MemoryClient:
        """Somebody who has logged in, with nothing waiting."""
        client = self.house.client(name, resource)
        client.receive()
        return client

    def run_steps(self, steps: Any) -> Any:
        """The result of a coroutine or Deferred that waits for nothing."""
        if not isinstance(steps, Deferred):
            steps = Deferred.fromCoroutine(steps)
        return self.successResultOf(steps)

    def ask(
        self, client: MemoryClient, inner: str, to: str = "", kind: str = "get"
    ) -> Node:
        """The answer to an IQ; presence that comes between is left out."""
        addressed = f" to='{to}'" if to else ""
        answers = client.send(f"<iq id='q' type='{kind}'{addressed}>{inner}</iq>")
        [answer] = [node for node in answers if node.name == "iq"]
        self.assertEqual(answer.attributes["id"], "q")
        return answer

    def result(
        self, client: MemoryClient, inner: str, to: str = "", kind: str = "get"
    ) -> Node:
        """The child of a result."""
        answer = self.ask(client, inner, to, kind)
        self.assertEqual(answer.attributes["type"], "result", answer)
        return answer.children[0]
