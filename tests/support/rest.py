"""The whole web side in memory: real door, memory store, no socket."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock, LoopingCall
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from twisted.web.resource import IResource
from zope.interface import implementer

from mosaic.auth.door import HouseDoor
from mosaic.bus.interface import Payload
from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Auth, Export, History, Http, Settings
from mosaic.services.rest.health import Check
from mosaic.services.rest.root import Rest, build_rest, join_url_at
from mosaic.services.rest.states import FindState
from mosaic.services.rest.workers import Worker
from mosaic.store.memory import MemoryStore
from tests.support.live import live_versions

T = TypeVar("T")
PASSWORD = "correct horse"


def at_once(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Deferred[T]:
    """deferToThread without the thread."""
    return maybeDeferred(function, *args, **kwargs)


class FixedCredentials:
    """TURN credentials that anybody could guess."""

    def mint(self, subject: str, *, now: float, ttl_s: int) -> tuple[str, str]:
        """The user name carries the end of life, as in the real one."""
        return f"{int(now) + ttl_s}:{subject}", "secret"


@implementer(IBodyProducer)
class Bytes:
    """A body of known (or, for chunked, unknown) length."""

    def __init__(self, data: bytes, *, chunked: bool = False) -> None:
        from twisted.web.iweb import UNKNOWN_LENGTH

        self._data = data
        self.length = UNKNOWN_LENGTH if chunked else len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """All at once."""
        consumer.write(self._data)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """It is over before anybody can pause it."""

    resumeProducing = stopProducing = pauseProducing


@dataclass
class Reply:
    """An answer with its body read."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json_module.loads(self.body)

    def header(self, name: str) -> str | None:
        """The last header of that name."""
        values = self.headers.getRawHeaders(name)
        return None if values is None else values[-1]


class RestCase(SynchronousTestCase):
    """A house with one administrator "ada", one user "bob", and a room of ada's."""

    http = Http()
    history = History()
    allowed_origins: tuple[str, ...] = ()
    export = Export()
    worker: Worker | None = None

    def setUp(self) -> None:
        """Build the house."""
        self.clock = Clock()
        self.wall = 1_700_000_000.0
        self.state = Path(self.mktemp())
        self.static = Path(self.mktemp())
        self.bus = MemoryBus(self.clock)
        self.store = MemoryStore(wall=lambda: self.wall)
        self.heard: list[tuple[str, Payload]] = []
        for topic in ("room.*", "account.*"):
            self.bus.subscribe(
                topic, lambda topic, what: self.heard.append((topic, what))
            )
        self.door = HouseDoor(
            self.store,
            self.bus,
            clock=self.clock,
            wall=lambda: self.wall,
            settings=Auth(scram_iterations=1),
            server_key=b"k" * 32,
            run_in_thread=at_once,
            credentials=FixedCredentials(),
            credential_ttl_s=600,
            turn_urls=lambda host: (f"turn:{host}:3478?transport=udp",),
        )
        self.live = live_versions(
            self.clock, self.door, self.store, self.bus, lambda: self.wall
        )
        self.run_steps(self.door.hubs.start())
        self.rest = self.build()
        self.run_steps(self.door.add_account("ada", PASSWORD, admin=True))
        self.run_steps(self.door.add_account("bob", PASSWORD, admin=False))
        self.ada = self.log_in("ada")
        self.bob = self.log_in("bob")
        self.room = self.run_steps(self.door.create_room("Blue", owner="ada"))
        self.hub = f"/api/v1/rooms/{self.room.hub_id}"

    def build(
        self,
        *,
        readiness: Mapping[str, Check] | None = None,
        metrics_text: Callable[[], str] | None = None,
        children: Mapping[str, IResource] | None = None,
        find_state: FindState = lambda hub_id, sha256: None,
        xmpp_websocket: Callable[[], str | None] = lambda: None,
    ) -> Rest:
        """A REST service over this house."""
        rest = build_rest(
            settings=Settings(http=self.http, history=self.history, export=self.export),
            door=self.door,
            store=self.store,
            bus=self.bus,
            reactor=self.clock,
            now=lambda: self.wall,
            run_in_thread=at_once,
            state=self.state,
            static=self.static,
            join_url=join_url_at("https://meet.example.org"),
            live=self.live,
            readiness=readiness,
            metrics_text=metrics_text,
            children=children,
            worker=self.worker,
            find_state=find_state,
            xmpp_websocket=xmpp_websocket,
        )
        self.use(rest)
        return rest

    def use(self, rest: Rest, *, metrics: bool = False) -> None:
        """Send the following requests to this service."""
        site = rest.site(metrics=metrics)
        self.agent = RequestTraversalAgent(site.resource)
        self.agent._serverFactory = site

    def run_steps(self, steps: Any) -> Any:
        """The result of a coroutine or Deferred that waits for nothing."""
        if not isinstance(steps, Deferred):
            steps = Deferred.fromCoroutine(steps)
        return self.successResultOf(steps)

    def log_in(self, name: str) -> str:
        """A session token."""
        issued = self.run_steps(self.door.log_in(name, PASSWORD, address="192.0.2.1"))
        return str(issued.token)

    def timers(self) -> list[Any]:
        """Those that requests and connections left; the fleet of hubs has one of
        its own, which lasts."""
        calls: list[Any] = list(self.clock.getDelayedCalls())
        return [call for call in calls if not isinstance(call.func, LoopingCall)]

    def room_token(self, role: str, hub_id: str | None = None) -> str:
        """A room token with a role, made over the API."""
        path = self.hub if hub_id is None else f"/api/v1/rooms/{hub_id}"
        made = self.ask("POST", f"{path}/tokens", self.ada, json={"role": role})
        return str(made.json()["token"])

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        json: Any = None,
        data: bytes | None = None,
        chunked: bool = False,
        headers: Mapping[str, str] | None = None,
        scheme: str = "http",
    ) -> Reply:
        """One request through the whole stack, answered at once."""
        sent = Headers({name: [value] for name, value in (headers or {}).items()})
        if token is not None:
            sent.setRawHeaders("Authorization", [f"Bearer {token}"])
        if json is not None:
            data = json_module.dumps(json).encode()
            if not sent.hasHeader("Content-Type"):
                sent.setRawHeaders("Content-Type", ["application/json"])
        body = None if data is None else Bytes(data, chunked=chunked)
        url = f"{scheme}://meet.example.org{path}".encode("latin-1")
        asked = self.agent.request(method.encode(), url, sent, body)
        for _ in range(3):
            self.clock.advance(0)
            self.agent.flush()
        response = self.successResultOf(asked)
        reading = readBody(response)
        for _ in range(200):
            self.agent.flush()
        self.check_documented(method, path, response.code)
        return Reply(response.code, response.headers, self.successResultOf(reading))

    def check_documented(self, method: str, path: str, status: int) -> None:
        """Whatever a test asks of an operation, its description knows the answer."""
        bare = path.partition("?")[0].removeprefix("/api/v1")
        for one in self.rest.operations:
            pattern = re.sub(r"{(\w+)}", "[^/]+", one.path)
            if one.method == method and re.fullmatch(pattern, bare):
                self.assertIn(status, (*one.statuses, 500), f"{method} {path}")

    def problem(self, reply: Reply, status: int) -> Any:
        """Assert that the reply is a problem document with the status."""
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.header("Content-Type"), "application/problem+json")
        document = reply.json()
        self.assertEqual(document["status"], status)
        self.assertIn("title", document)
        return document

    def raw(self, *pieces: bytes) -> Any:
        """Bytes straight into a new connection; its transport."""
        channel: Any = self.rest.site().buildProtocol(None)
        transport: Any = StringTransport()
        transport.protocol = channel  # as a real one has; autobahn looks there
        channel.makeConnection(transport)
        for piece in pieces:
            channel.dataReceived(piece)
        self.channel = channel
        return transport
