"""When the hub dials XMPP again, and what it hears there."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.presence import LOGIN_S, HubPresence, tls_exporter
from mosaic.hub.server import XmppLogin
from mosaic.wire.hops import Unreachable

LOGIN = XmppLogin(jid="hub-1@example.org", password="p", domain="example.org")


class FakeStream:
    """What HubPresence needs of slixmpp's client."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        self.sent: list[str] = []
        self.present = 0
        self.loop = None
        self.transport: Any = None

    def __getitem__(self, name: str) -> Any:
        class Mechanisms:
            class mech:  # noqa: N801 - as slixmpp names it
                name = "SCRAM-SHA-256-PLUS"

        return Mechanisms

    def add_event_handler(self, name: str, handler: Any) -> None:
        self.handlers[name] = handler

    def send_presence(self) -> None:
        self.present += 1

    def send_raw(self, text: str) -> None:
        self.sent.append(text)


class FakeWire:
    """A connection that stands; the protocol itself is shown by interop tests."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = self

    def loseConnection(self) -> None:
        self.protocol._gone()

    abortConnection = loseConnection


class FakeDialler:
    """Connects, or does not."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[tuple[str, int, bytes]] = []

    def endpoint(self, host: str, port: int, *, tls: bool, alpn: bytes) -> Any:
        self.asked.append((host, port, alpn))
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        if self.error is not None:
            return fail(self.error)
        return succeed(FakeWire(factory.buildProtocol(None)))


class PresenceTests(SynchronousTestCase):
    """Time is a Clock's."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialler = FakeDialler()
        self.streams: list[FakeStream] = []
        self.logins: list[bool] = []
        self.pokes: list[None] = []

        async def login(refused: bool) -> XmppLogin:
            self.logins.append(refused)
            return LOGIN

        def make(login: XmppLogin) -> FakeStream:
            self.streams.append(FakeStream())
            return self.streams[-1]

        dialler: Any = self.dialler
        self.presence = HubPresence(
            self.clock,
            dialler,
            "https://hub.example.org:8443",
            login,
            poked=lambda: self.pokes.append(None),
            random=lambda: 1.0,
            make=make,
        )
        self.presence.start()

    def test_direct_tls_on_the_servers_port(self) -> None:
        """The same name and port as all else, told apart by ALPN."""
        self.assertEqual(
            self.dialler.asked, [("hub.example.org", 8443, b"xmpp-client")]
        )

    def test_online_it_looks_once_and_then_when_poked(self) -> None:
        """What was said while nobody listened is not lost."""
        stream = self.streams[0]
        stream.handlers["session_start"](None)
        self.assertTrue(self.presence.online)
        self.assertEqual((stream.present, len(self.pokes)), (1, 1))
        for kind, inside, pokes in (
            ("headline", '<look xmlns="urn:mosaic:hub:1"/>', 2),
            ("headline", "<body>hello</body>", 2),
            ("chat", '<look xmlns="urn:mosaic:hub:1"/>', 2),
        ):
            stream.handlers["message"](Message(kind, inside))
            self.assertEqual(len(self.pokes), pokes)

    def test_refused_password_is_replaced(self) -> None:
        """A server that was restarted knows no passwords."""
        self.streams[0].handlers["failed_all_auth"](None)
        self.clock.advance(1)
        self.assertEqual(self.logins, [False, True])
        self.streams[1].handlers["session_start"](None)
        self.assertTrue(self.presence.online)

    def test_lost_stream_comes_back_later_and_later(self) -> None:
        """At most a minute."""
        self.dialler.error = Unreachable("server x", "refused", host="x", port=1)
        self.presence._wire.loseConnection()
        times = []
        for _ in range(1200):
            before = len(self.logins)
            self.clock.advance(0.5)
            if len(self.logins) > before:
                times.append(self.clock.seconds())
        gaps = [b - a for a, b in zip(times, times[1:], strict=False)]  # noqa: RUF007
        self.assertEqual(gaps[:4], [2, 4, 8, 16])
        self.assertEqual(max(gaps), 60)

    def test_stream_that_never_logs_in_is_cut(self) -> None:
        """A middle box may swallow it."""
        self.clock.advance(LOGIN_S)
        self.clock.advance(1)
        self.assertEqual(len(self.streams), 2)

    def test_stopped_it_stays_away(self) -> None:
        """A hub that was removed does not knock."""
        self.presence.stop()
        self.clock.advance(300)
        self.assertEqual(len(self.streams), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.presence.start()
        self.assertEqual(len(self.streams), 2)
        self.presence.stop()

    def test_no_binding_without_tls(self) -> None:
        """It is TLS 1.3's alone (RFC 9266)."""
        self.assertIsNone(tls_exporter(StringTransport()))


class Message:
    """As slixmpp gives it."""

    def __init__(self, kind: str, inside: str) -> None:
        self.kind = kind
        self.xml = ElementTree.fromstring(f"<message>{inside}</message>")

    def __getitem__(self, name: str) -> str:
        return {"type": self.kind}[name]
