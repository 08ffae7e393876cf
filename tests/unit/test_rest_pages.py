"""The built client, health, and the websockets of other services."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from hypothesis import given, settings
from hypothesis.strategies import text
from twisted.internet.defer import Deferred, fail
from twisted.web.resource import Resource

from mosaic.config.settings import Http
from mosaic.services.rest.health import NotReady
from mosaic.services.rest.pages import accepted_encodings
from mosaic.store.interface import StoreFull
from tests.support.rest import RestCase

INDEX = b"<!doctype html><title>Mosaic</title>"


class PagesTests(RestCase):
    """A small built client beside a secret."""

    http = Http(requests_per_s=1e6, request_burst=1_000_000)

    def setUp(self) -> None:
        """Write the client's files before the service lists them."""
        super().setUp()
        (self.static / "assets").mkdir(parents=True)
        (self.static / "fonts").mkdir()
        for name, data in {
            "index.html": INDEX,
            "assets/index-B3xK9f_2.js": b"let x",
            "assets/index-B3xK9f_2.js.gz": b"gzipped",
            "assets/index-B3xK9f_2.js.br": b"brotlied",
            "fonts/quiet.woff2": b"font",
            ".env": b"secret",
        }.items():
            (self.static / name).write_bytes(data)
        (self.static.parent / "secret.txt").write_bytes(b"secret")
        (self.static / "link.txt").symlink_to(
            (self.static.parent / "secret.txt").absolute()
        )
        self.rest = self.build()

    def test_every_page_is_the_client(self) -> None:
        """Its router shows what the path says; join links included."""
        for path in (
            "/",
            "/index.html",
            "/present",
            "/hub",
            "/netcheck",
            "/admin",
            "/setup",
            "/?hub=123456782",
            "/join/123456782",
        ):
            got = self.ask("GET", path)
            self.assertEqual((got.status, got.body), (200, INDEX), path)
            self.assertEqual(got.header("Content-Type"), "text/html; charset=utf-8")
            self.assertEqual(got.header("Cache-Control"), "no-cache")

    def test_only_a_wall_may_speak_to_its_own_box(self) -> None:
        """A page that strangers open must not reach this machine's ports."""
        for path, may in (("/hub", True), ("/", False), ("/admin", False)):
            policy = self.ask("GET", path).header("Content-Security-Policy") or ""
            self.assertEqual("http://127.0.0.1:*" in policy, may, path)
            self.assertIn("default-src 'self'", policy)

    def test_hashed_assets_are_immutable(self) -> None:
        """The others are asked for again."""
        got = self.ask("GET", "/assets/index-B3xK9f_2.js")
        self.assertEqual(got.body, b"let x")
        self.assertEqual(got.header("Content-Type"), "text/javascript; charset=utf-8")
        self.assertIn("immutable", got.header("Cache-Control") or "")
        font = self.ask("GET", "/fonts/quiet.woff2")
        self.assertEqual(font.header("Content-Type"), "font/woff2")
        self.assertEqual(font.header("Cache-Control"), "no-cache")

    def test_compressed_twins(self) -> None:
        """What the client takes best; the type stays that of the file."""
        for accepts, body, encoding in (
            ("gzip, deflate, br", b"brotlied", "br"),
            ("gzip", b"gzipped", "gzip"),
            ("br;q=0, gzip;q=0.5", b"gzipped", "gzip"),
            ("identity", b"let x", None),
        ):
            headers = {"Accept-Encoding": accepts}
            got = self.ask("GET", "/assets/index-B3xK9f_2.js", headers=headers)
            self.assertEqual(
                (got.body, got.header("Content-Encoding")), (body, encoding)
            )
            self.assertEqual(got.header("Vary"), "Accept-Encoding")
            self.assertIn("javascript", got.header("Content-Type") or "")

    def test_accept_encoding(self) -> None:
        """RFC 9110 section 12.5.3."""
        self.assertEqual(accepted_encodings("GZIP;q=1.0, br; q=0.000"), {"gzip"})
        self.assertEqual(accepted_encodings("br;q=0.1"), {"br"})

    def test_unchanged_files_are_not_sent_again(self) -> None:
        """304 for the same tag."""
        tag = self.ask("GET", "/").header("ETag") or ""
        got = self.ask("GET", "/", headers={"If-None-Match": tag})
        self.assertEqual((got.status, got.body), (304, b""))

    def test_head_and_other_methods(self) -> None:
        """HEAD has the length; the rest is 405."""
        got = self.ask("HEAD", "/")
        self.assertEqual(
            (got.status, got.header("Content-Length")), (200, str(len(INDEX)))
        )
        got = self.ask("POST", "/")
        self.assertEqual((got.status, got.header("Allow")), (405, "GET, HEAD"))

    def test_nothing_else_is_served(self) -> None:
        """T16: no listing, no hidden file, no link, no way out."""
        for path in (
            "/assets",
            "/assets/",
            "/fonts/",
            "/.env",
            "/link.txt",
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/assets/../../secret.txt",
            "/assets/..%2f..%2fsecret.txt",
            "/..%5csecret.txt",
            "/%c0%ae%c0%ae/secret.txt",
            "/%ef%bc%8e%ef%bc%8e/secret.txt",
            "//etc/passwd",
            "/%2fetc%2fpasswd",
            "/index.html%00.js",
            "/index.html/",
            "/./index.html",
            "/assets/./index-B3xK9f_2.js",
            "/%ff",
            "/join/",
            "/join/1",
            "/join/abc",
            "/join/123456782/x",
            "/INDEX.HTML",
            "/C:/secret.txt",
            "/file:///etc/passwd",
            "/assets%2findex-B3xK9f_2.js%20",
            "/favicon.ico",
            "/metrics",
            "/.well-known/x",
        ):
            got = self.ask("GET", path)
            self.assertEqual(got.status, 404, path)
            self.assertNotIn(b"secret", got.body)

    @settings(max_examples=60)
    @given(text(max_size=30))
    def test_any_path_is_safe(self, path: str) -> None:
        """Whatever it says."""
        quoted = "".join(f"%{byte:02x}" for byte in path.encode("utf-8", "replace"))
        got = self.ask("GET", f"/assets/{quoted}")
        self.assertEqual(got.status, 404)


class NotBuiltTests(RestCase):
    """A checkout without the built client."""

    def test_says_how_to_build_it(self) -> None:
        """A person at the first try reads this."""
        got = self.ask("GET", "/")
        self.assertEqual(got.status, 404)
        self.assertIn(b"npm run build", got.body)
        self.assertIn("text/plain", got.header("Content-Type") or "")


class HealthTests(RestCase):
    """For load balancers and monitoring."""

    def test_live_and_ready(self) -> None:
        """Both 200 while all is well."""
        self.assertEqual(self.ask("GET", "/livez").body, b"ok\n")
        got = self.ask("GET", "/readyz")
        self.assertEqual(
            (got.status, got.json()), (200, {"ready": True, "reasons": {}})
        )

    def test_reasons(self) -> None:
        """Each check that fails is named; what is not meant for strangers is not."""

        def draining() -> None:
            raise NotReady("the server is draining")

        def bug() -> Deferred[None]:
            return fail(RuntimeError("password=hunter2"))

        self.patch(self.store, "ping", lambda: fail(StoreFull("/var is full")))
        self.build(readiness={"drain": draining, "certificate": bug})
        got = self.ask("GET", "/readyz")
        self.assertEqual(got.status, 503)
        reasons = got.json()["reasons"]
        self.assertEqual(reasons["drain"], "the server is draining")
        self.assertEqual(
            (reasons["store"], reasons["certificate"]), ("StoreFull", "RuntimeError")
        )

    def test_a_check_that_hangs(self) -> None:
        """Two seconds, then it has failed."""
        self.patch(self.store, "ping", lambda: Deferred())
        self.rest = self.build()
        transport = self.raw(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        self.clock.advance(1.9)
        self.assertEqual(transport.value(), b"")
        self.clock.advance(0.2)
        self.assertIn(b" 503 ", transport.value())

    def test_metrics_only_where_they_belong(self) -> None:
        """The shared port has none."""
        rest = self.build(metrics_text=lambda: "up 1\n")
        self.assertEqual(self.ask("GET", "/metrics").status, 404)
        self.use(rest, metrics=True)
        got = self.ask("GET", "/metrics")
        self.assertEqual((got.status, got.body), (200, b"up 1\n"))
        self.assertIn("version=0.0.4", got.header("Content-Type") or "")


class Echo(WebSocketServerProtocol):
    """Says everything again."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Echo."""
        self.sendMessage(payload, isBinary)


class Recorder(Resource):
    """Notes who got through."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def render(self, request: Any) -> bytes:
        """Note the path below."""
        self.seen.append(request.postpath)
        return b""


class UpgradeTests(RestCase):
    """Websockets on the same site (T12)."""

    http = Http(allowed_origins=("https://intranet.example.org",))

    def setUp(self) -> None:
        """An echo at /drcp, and a recorder at /y."""
        super().setUp()
        factory = WebSocketServerFactory()
        factory.protocol = Echo
        self.recorder = Recorder()
        children = {"drcp": WebSocketResource(factory), "y": self.recorder}
        self.rest = self.build(children={**children, "xmpp-websocket": Recorder()})

    def upgrade(self, path: bytes, *headers: bytes) -> Any:
        """Ask for an upgrade; the transport."""
        lines = (
            b"GET " + path + b" HTTP/1.1",
            b"Host: meet.example.org",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *headers,
        )
        return self.raw(b"\r\n".join((*lines, b"", b"")))

    def test_upgrade_and_no_deadline_afterwards(self) -> None:
        """The service has the transport; our timers are gone, its producer fits."""
        transport = self.upgrade(b"/drcp", b"Origin: https://meet.example.org")
        self.assertIn(b"101 Switching Protocols", transport.value())
        self.assertEqual(self.timers(), [])
        self.assertIsNone(transport.producer)
        transport.registerProducer(object(), True)
        self.clock.advance(1000)
        self.assertFalse(transport.disconnecting)
        transport.clear()
        transport.protocol.dataReceived(b"\x81\x82\x00\x00\x00\x00hi")
        self.assertEqual(transport.value(), b"\x81\x02hi")

    def test_foreign_origins_are_refused(self) -> None:
        """Before the service hears of them."""
        for origin in (
            b"https://evil.example",
            b"null",
            b"https://a.meet.example.org",
            b"https://meet.example.org:8443",
            b"",
        ):
            for path in (b"/drcp", b"/y/123456782/board"):
                transport = self.upgrade(path, b"Origin: " + origin)
                self.assertIn(b"HTTP/1.1 403 ", transport.value(), origin)
        self.assertEqual(self.recorder.seen, [])

    def test_two_origins_are_none(self) -> None:
        """Nobody guesses which is meant."""
        both = (b"Origin: https://meet.example.org", b"Origin: https://evil.example")
        self.assertIn(b" 403 ", self.upgrade(b"/drcp", *both).value())

    def test_allowed_origins(self) -> None:
        """Our own, those that the operator named, and no browser at all."""
        for headers in (
            (b"Origin: https://meet.example.org",),
            (),
            (b"Origin: https://intranet.example.org",),
        ):
            transport = self.upgrade(b"/y/123456782/notes/minutes", *headers)
            self.assertNotIn(b" 403 ", transport.value())
        path = [b"123456782", b"notes", b"minutes"]
        self.assertEqual(self.recorder.seen, [path] * 3)

    def test_plain_requests_are_told_to_upgrade(self) -> None:
        """RFC 9110 section 15.5.22."""
        got = self.ask("GET", "/drcp")
        self.problem(got, 426)
        answer = self.raw(b"GET /drcp HTTP/1.1\r\nHost: a\r\n\r\n").value()
        self.assertIn(b"Upgrade: websocket\r\n", answer)

    def test_host_meta(self) -> None:
        """XEP-0156: where XMPP over websocket is, at the host that was asked."""
        got = self.ask("GET", "/.well-known/host-meta.json")
        [link] = got.json()["links"]
        self.assertEqual(link["href"], "ws://meet.example.org/xmpp-websocket")
        self.assertEqual(got.header("Access-Control-Allow-Origin"), "*")
        got = self.ask("GET", "/.well-known/host-meta", scheme="https")
        self.assertIn(b'href="wss://meet.example.org/xmpp-websocket"', got.body)
        self.assertEqual(got.header("Content-Type"), "application/xrd+xml")

    def test_host_meta_names_the_public_address(self) -> None:
        """Whatever host was asked; and where the clear is this machine's, that too."""
        public = "wss://meet.example.org:8443/xmpp-websocket"
        self.rest = self.build(
            children={"xmpp-websocket": Recorder()}, xmpp_websocket=lambda: public
        )
        got = self.ask("GET", "/.well-known/host-meta.json", scheme="https")
        self.assertEqual([link["href"] for link in got.json()["links"]], [public])
        got = self.ask("GET", "/.well-known/host-meta.json")
        self.assertEqual(
            [link["href"] for link in got.json()["links"]],
            [public, "ws://meet.example.org/xmpp-websocket"],
        )
