# mypy: disable-error-code="no-untyped-call"
"""The network check against a running Mosaic: direct, through proxies, inspected."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import (
    PrivateCertificate,
    optionsForClientTLS,
)

from mosaic.netcheck.known import KnownServers
from mosaic.wire.hops import Login
from tests.support import proxies
from tests.support.certificate import self_signed_pem
from tests.support.netcheck_case import SERVICES, NetcheckCase
from tests.support.proxies import PASSWORD, USER

reactor: Any = _reactor


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


class NetcheckTests(NetcheckCase):
    """The way, and who stands in it."""

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
