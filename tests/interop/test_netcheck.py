# mypy: disable-error-code="no-untyped-call"
"""The network check against a running Mosaic: direct, through proxies, inspected."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.proxy import ReverseProxyResource
from twisted.web.server import Site

from mosaic.netcheck import relays
from mosaic.netcheck.engine import check_network
from mosaic.netcheck.known import KnownServers
from mosaic.netcheck.result import Check, Report
from mosaic.proxy.client import Dialler
from mosaic.proxy.discover import routes_for
from mosaic.proxy.endpoint import Patience
from mosaic.proxy.logins import Logins
from mosaic.wire.hops import Login
from tests.support import proxies
from tests.support.certificate import self_signed_pem
from tests.support.delay import DelayedDatagrams
from tests.support.proxies import PASSWORD, USER
from tests.support.running import RunningMosaic, environment, free_port

reactor: Any = _reactor
SERVICES = ("tls", "rest", "drcp", "xmpp", "turn-tcp", "turn-tls")
CONFIG = """
region = "Lisbon"
[[regions]]
name = "Far"
urls = ["turn:127.0.0.1:{far}?transport=udp", "turns:localhost:{tls}?transport=tcp"]
[[regions]]
name = "Gone"
urls = ["turns:localhost:1?transport=tcp"]
[endpoints]
turn_dtls = ["dtls:{dtls}"]
"""
AWAY_S = 0.03
"""One way to a region that is far."""


class Inspector(Protocol):
    """One connection that a middle box ends and begins again on the other side."""

    transport: Any

    def __init__(self, port: int, trust: Any) -> None:
        self._port = port
        self._trust = trust
        self._far: _Far | None = None
        self.over = False

    def connectionMade(self) -> None:
        """Dial on; what comes meanwhile waits in the kernel."""
        self.transport.pauseProducing()
        options = optionsForClientTLS("localhost", trustRoot=self._trust)
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", self._port)
        far = _Far(self)
        dialled = connectProtocol(wrapClientTLS(options, endpoint), far)
        dialled.addCallbacks(self._joined, lambda _: self.transport.abortConnection())

    def _joined(self, far: Any) -> None:
        self._far = far
        self.transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """To the server."""
        if self._far is not None:
            self._far.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        """Both ends go together."""
        self.over = True
        if self._far is not None and not self._far.over:
            self._far.over = True
            self._far.transport.abortConnection()


class _Far(Protocol):
    transport: Any

    def __init__(self, near: Inspector) -> None:
        self._near = near
        self.over = False

    def dataReceived(self, data: bytes) -> None:
        """To the client."""
        self._near.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        """Both ends go together."""
        self.over = True
        if not self._near.over:
            self._near.over = True
            self._near.transport.loseConnection()


class NetcheckTests(TestCase):
    """One server for all."""

    timeout = 300
    _shared: RunningMosaic | None = None

    @property
    def mosaic(self) -> RunningMosaic:
        """Started by the first test that wants it, ended with the process."""
        if NetcheckTests._shared is None:
            server = RunningMosaic()
            far = DelayedDatagrams(("127.0.0.1", server.turn_port), delay_s=AWAY_S)
            config = Path(self.mktemp()).absolute()
            config.write_text(
                CONFIG.format(far=far.port, tls=server.port, dtls=free_port())
            )
            server.flags += ("--config", str(config))
            NetcheckTests._shared = server.start()
            # Not at the reactor's end: in a worker that is after each test.
            atexit.register(far.close)
            atexit.register(NetcheckTests._shared.stop)
        return NetcheckTests._shared

    @property
    def trust(self) -> Any:
        """The server's own CA."""
        return self.trusting(self.ca.read_bytes())

    @staticmethod
    def trusting(*pems: bytes) -> Any:
        """These CAs."""
        return trustRootFromCertificates([Certificate.loadPEM(pem) for pem in pems])

    @property
    def ca(self) -> Path:
        """Its file."""
        return self.mosaic.state / "tls" / "ca.pem"

    async def check(
        self,
        proxy: str = "direct",
        *,
        login: Login | None = None,
        url: str = "",
        trust: Any = None,
        long: bool = False,
        known: KnownServers | None = None,
    ) -> Report:
        """One run, quick."""
        trust = trust or self.trust
        logins = Logins({"127.0.0.1": login} if login else {})
        dialler = Dialler(
            reactor=reactor,
            routes=routes_for(proxy, reactor=reactor, logins=logins, trust=trust),
            logins=logins,
            trust=trust,
            patience=Patience(connect_s=3),
        )
        return await check_network(
            url or self.mosaic.tls_url, dialler, quick=True, long=long, known=known
        )

    def of(self, report: Report, name: str) -> Check:
        """One of its checks."""
        found = [check for check in report.checks if check.name == name]
        self.assertTrue(found, [check.name for check in report.checks])
        return found[0]

    def assert_ok(self, report: Report, *names: str) -> None:
        """These went well."""
        for name in names:
            check = self.of(report, name)
            self.assertEqual(check.outcome, "ok", f"{name}: {check.detail}")

    def test_command(self) -> None:
        """Everything is there on loopback: exit 0, and JSON as documented."""
        done = self.mosaic.command("netcheck", "--json")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, {"ok": 0, "degraded": 1}[report["outcome"]])
        self.assertEqual(report["format"], 1)
        by_name = {check["name"]: check for check in report["checks"]}
        for name in (*SERVICES, "turn-udp", "turn-dtls"):
            self.assertEqual(by_name[name]["outcome"], "ok", by_name[name])
        # A loaded machine may call its own round trips uneven.
        self.assertLess(by_name["quality"]["data"]["loss"], 0.5)
        self.assertGreater(by_name["quality"]["data"]["mos"], 1)
        self.assertLess(by_name["relay-speed"]["data"]["loss"], 0.5)
        self.assertEqual(by_name["relay-speed"]["data"]["way"], "udp")
        self.assert_regions(by_name)
        self.assertGreater(by_name["bandwidth"]["data"]["down_kbit_s"], 100)
        documented = (Path(__file__).parents[2] / "docs" / "netcheck.md").read_text()
        for name in by_name:
            self.assertIn(name.partition("-")[0], documented)

    def assert_regions(self, by_name: dict[str, Any]) -> None:
        """Near before far, and one that is not there."""
        self.assertEqual(by_name["nearest"]["data"]["order"], ["Lisbon", "Far"])
        far = by_name["region-Far"]
        self.assertGreater(far["data"]["rtt_ms"], 2 * AWAY_S * 1000 - 5)
        self.assertEqual(far["data"]["ways"], {"udp": "ok", "tls": "ok"})
        self.assertEqual(by_name["region-Gone"]["outcome"], "degraded")

    async def test_on_the_asyncio_reactor(self) -> None:
        """The hub awaits the same engine in a task, through its proxy."""
        squid = proxies.squid()
        self.addCleanup(squid.stop)
        words = [self.mosaic.tls_url, f"http://127.0.0.1:{squid.port}", str(self.ca)]
        done = await deferToThread(
            subprocess.run,
            [sys.executable, "-m", "tests.support.asyncio_netcheck", *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertTrue(done.stdout, done.stderr)
        report = json.loads(done.stdout)
        by_name = {check["name"]: check for check in report["checks"]}
        for name in ("proxy", *SERVICES, "turn-udp", "turn-dtls"):
            self.assertEqual(by_name[name]["outcome"], "ok", by_name[name])

    async def test_something_that_breaks_websockets(self) -> None:
        """REST passes a box that knows no Upgrade: said of the WebSocket alone."""
        box = ReverseProxyResource("127.0.0.1", self.mosaic.http_port, b"")
        port = reactor.listenTCP(0, Site(box), interface="127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        report = await self.check(url=f"http://127.0.0.1:{port.getHost().port}")
        self.assert_ok(report, "rest")
        self.assertIn("WebSockets", self.of(report, "drcp").advice)
        self.assertEqual(report.exit_code, 2)

    async def test_silence_through_a_proxy(self) -> None:
        """One that bears it, and one that cuts connections that say nothing."""
        self.patch(relays, "HOLD_S", 2.5)
        for line, outcome in (("", "ok"), ("read_timeout 1 second", "degraded")):
            squid = proxies.squid(extra=line)
            self.addCleanup(squid.stop)
            report = await self.check(f"http://127.0.0.1:{squid.port}", long=True)
            found = self.of(report, "idle")
            self.assertEqual(found.outcome, outcome, found)
            self.assertEqual(found.stage, "" if outcome == "ok" else "proxy")
            (quality,) = [v for v in report.verdicts if v.capability == "quality"]
            self.assertEqual(quality.outcome, outcome)

    async def test_another_name(self) -> None:
        """The address is right and the name is not."""
        report = await self.check(url=f"https://127.0.0.9:{self.mosaic.port}")
        found = self.of(report, "tls")
        self.assertEqual((found.outcome, found.stage), ("blocked", "tls"))
        self.assertIn("another name", found.detail)
        self.assertIn("check the name 127.0.0.9", found.advice)

    def test_command_says_what_it_cannot_use(self) -> None:
        """Usage and files: one line, exit 1, no password in it."""
        for words, text in (
            (["--server", "ftp://x"], "https"),
            (["--proxy", "http://u:secret@p:1"], "--proxy-login"),
            (["--proxy-login", "/nowhere"], "/nowhere"),
            (["--ca", "/nowhere"], "--ca"),
        ):
            done = self.mosaic.command("netcheck", *words)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(text, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertNotIn("secret", done.stderr)

    async def test_through_each_proxy(self) -> None:
        """REST, DRCP, XMPP, and TURN over TCP and TLS all go through it."""
        for proxy, kind, login in (
            (proxies.squid("Basic"), "http", Login(USER, PASSWORD)),
            (proxies.tinyproxy(login=False), "http", None),
            (proxies.microsocks(login=True), "socks5h", Login(USER, PASSWORD)),
        ):
            self.addCleanup(proxy.stop)
            text = f"{kind}://127.0.0.1:{proxy.port}"
            report = await self.check(text, login=login)
            self.assert_ok(report, "proxy", *SERVICES)
            self.assertEqual(self.of(report, "turn-tls").data["way"], text)
            self.assertEqual(report.exit_code, 0)

    async def test_wrong_login(self) -> None:
        """Blocked at the proxy, with what to set; nothing is tried twice."""
        proxy = proxies.squid("Basic")
        self.addCleanup(proxy.stop)
        text = f"http://127.0.0.1:{proxy.port}"
        report = await self.check(text, login=Login(USER, "wrong"))
        self.assertEqual(report.exit_code, 2)
        refused = self.of(report, "rest")
        self.assertEqual(refused.stage, "proxy")
        self.assertIn("refused the user and password (Basic)", refused.detail)
        (verdict,) = [v for v in report.verdicts if v.capability == "signalling"]
        self.assertIn("--proxy-login", verdict.advice)

    async def test_nothing_there(self) -> None:
        """A closed port and an unknown name, each at its stage."""
        report = await self.check(url="https://127.0.0.1:1")
        self.assertEqual(report.exit_code, 2)
        self.assertEqual(self.of(report, "rest").stage, "tcp")
        report = await self.check(url="https://nobody.invalid")
        self.assertEqual(self.of(report, "rest").stage, "dns")

    async def test_something_else_there(self) -> None:
        """A captive portal answers, but not as Mosaic does."""
        report = await self.check(url=self.mosaic.url)
        self.assert_ok(report, "rest")
        other = proxies.tinyproxy(login=False)
        self.addCleanup(other.stop)
        report = await self.check(url=f"http://127.0.0.1:{other.port}")
        self.assertEqual(self.of(report, "rest").stage, "application")

    async def test_inspected_tls(self) -> None:
        """A middle box with its own CA: refused while that is unknown, and told
        by the server's own keys where it is trusted."""
        pem = self_signed_pem().encode()
        factory: Any = Factory()
        factory.buildProtocol = lambda _: Inspector(self.mosaic.port, self.trust)
        listening = reactor.listenSSL(
            0, factory, PrivateCertificate.loadPEM(pem).options(), interface="127.0.0.1"
        )
        self.addCleanup(lambda: maybeDeferred(listening.stopListening))
        url = f"https://localhost:{listening.getHost().port}"
        report = await self.check(url=url)
        refused = self.of(report, "tls")
        self.assertEqual((refused.outcome, refused.stage), ("blocked", "tls"))
        self.assertIn("signed by CN=localhost", refused.detail)
        self.assertEqual(report.exit_code, 2)
        # It was there before without the box: its keys are known.
        known = KnownServers()
        direct = self.of(await self.check(known=known), "tls").data
        keys, port = [direct["spki_sha256"]], listening.getHost().port
        seen = known.get("localhost", self.mosaic.port)
        assert seen is not None
        self.assertIn(keys[0], seen.spki_sha256)
        known.learn("localhost", port, keys, seen.issuer)
        again = self.of(await self.check(url=url, known=known), "tls")
        self.assertEqual(again.outcome, "blocked")
        self.assertIn("inspected by CN=localhost (at an earlier", again.detail)
        self.assertTrue(again.data["intercepted"])
        both = self.trusting(pem, self.ca.read_bytes())
        report = await self.check(url=url, trust=both)
        inspected = self.of(report, "tls")
        self.assertEqual(inspected.outcome, "degraded", report.checks)
        self.assertIn("inspected by CN=localhost", inspected.detail)
        self.assertTrue(inspected.data["intercepted"])
        self.assertEqual(report.exit_code, 1)

    def test_json_is_one_document(self) -> None:
        """Also when nothing works."""
        done = self.mosaic.command(
            "netcheck", "--json", "--quick", "--server", "https://127.0.0.1:1"
        )
        self.assertEqual(done.returncode, 2)
        self.assertEqual(json.loads(done.stdout)["outcome"], "blocked")
