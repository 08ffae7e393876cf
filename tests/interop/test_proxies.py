# mypy: disable-error-code="no-untyped-call"
"""The way through real proxies, and what each refusal says."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.trial.unittest import TestCase

from mosaic.proxy.client import Dialler, http_client
from mosaic.proxy.endpoint import Patience
from mosaic.proxy.logins import Logins
from mosaic.proxy.routes import DIRECT, FixedRoutes, Kind, Proxy, parse_proxy
from mosaic.proxy.spnego import is_installed
from mosaic.wire.hops import (
    HopError,
    Login,
    LoginRefused,
    LoginWanted,
    NameUnknown,
    NoAnswer,
    NoProxyProtocol,
    TargetRefused,
    TlsRefused,
    Unreachable,
)
from tests.support import proxies
from tests.support.certificate import self_signed_pem
from tests.support.proxies import PASSWORD, USER, ProxyProcess
from tests.support.running import free_port
from tests.support.tls_target import TlsTarget

reactor: Any = _reactor
RIGHT, WRONG = Login(USER, PASSWORD), Login(USER, "wrong")


class ProxyCase(TestCase):
    """A target over TLS, and a proxy that the test starts."""

    timeout = 180

    def setUp(self) -> None:
        """The target listens."""
        self.target = TlsTarget(reactor)
        self.addCleanup(self.target.stop)

    def started(self, proxy: ProxyProcess, kind: str = "http") -> Proxy:
        """The proxy's address; it ends with the test."""
        self.addCleanup(proxy.stop)
        return parse_proxy(f"{kind}://127.0.0.1:{proxy.port}")

    def get(
        self,
        *ways: Proxy,
        login: Login | None = None,
        logins: Logins | None = None,
        proxy_trust: Any = None,
        host: str = "localhost",
        port: int = 0,
        trust: Any = None,
    ) -> Deferred[bytes]:
        """GET / of the target through the first way that lives."""

        async def work() -> bytes:
            dialler = Dialler(
                reactor=reactor,
                routes=FixedRoutes(ways, clock=reactor.seconds, source="test"),
                logins=logins or Logins({"127.0.0.1": login} if login else {}),
                proxy_trust=proxy_trust,
                trust=trust or self.target.trust,
                patience=Patience(connect_s=5, tunnel_s=10, tls_s=5),
            )
            url = f"https://{host}:{port or self.target.port}/"
            answer = await http_client(dialler).get(url)
            return bytes(await answer.content())

        return Deferred.fromCoroutine(work())

    async def refusal(
        self, kind: type[HopError], *ways: Proxy, **more: Any
    ) -> HopError:
        """The error of a GET that must not work; it never shows a password."""
        got: Any = self.get(*ways, **more)
        error: HopError = await self.assertFailure(got, kind)
        self.assertNotIn(PASSWORD, str(error) + error.advice)
        self.assertTrue(error.advice)
        return error


class HttpProxyTests(ProxyCase):
    """CONNECT with each login that Debian's proxies know."""

    async def test_squid_without_login(self) -> None:
        """A tunnel, and the certificate is checked inside it."""
        squid = self.started(proxies.squid())
        self.assertEqual(await self.get(squid), b"hello")
        other = TlsTarget(reactor)
        self.addCleanup(other.stop)
        error = await self.refusal(TlsRefused, squid, trust=other.trust)
        self.assertEqual(error.stage, "tls")
        self.assertIn("server localhost", error.hop)

    async def test_squid_says_that_the_target_is_closed(self) -> None:
        """The fault is behind the proxy, and the error says so."""
        squid = self.started(proxies.squid())
        error = await self.refusal(TargetRefused, squid, port=free_port())
        self.assertIn("503", error.message)
        self.assertEqual(error.stage, "proxy")

    async def test_certificate_for_another_name(self) -> None:
        """The name in the URL decides, not the proxy's."""
        squid = self.started(proxies.squid())
        error = await self.refusal(TlsRefused, squid, host="127.0.0.1")
        self.assertIn("127.0.0.1", error.hop)

    async def test_squid_basic(self) -> None:
        """Right, wrong and missing."""
        await self._login_cases(self.started(proxies.squid("Basic")), "Basic")

    async def test_squid_digest(self) -> None:
        """Right, wrong and missing."""
        await self._login_cases(self.started(proxies.squid("Digest")), "Digest")

    async def test_squid_ntlm(self) -> None:
        """Three legs on one connection, with squid's own helper, which takes any
        password."""
        squid = self.started(proxies.squid("NTLM"))
        error = await self.refusal(LoginWanted, squid)
        self.assertIn("NTLM", error.message)
        self.assertTrue(is_installed())
        self.assertEqual(await self.get(squid, login=RIGHT), b"hello")

    async def test_squid_ntlm_with_a_helper_that_checks(self) -> None:
        """Right, wrong and missing."""
        await self._domain_cases("NTLM-checked", "NTLM")

    async def test_squid_negotiate(self) -> None:
        """NTLM in SPNEGO; Kerberos wants a domain."""
        await self._domain_cases("Negotiate", "Negotiate")

    async def _domain_cases(self, helper: str, scheme: str) -> None:
        squid = self.started(proxies.squid(helper))
        right = Login(f"CORP\\{USER}", PASSWORD)
        self.assertEqual(await self.get(squid, login=right), b"hello")
        wrong = Login(f"CORP\\{USER}", "wrong")
        error = await self.refusal(LoginRefused, squid, login=wrong)
        self.assertIn(scheme, error.message)
        error = await self.refusal(LoginWanted, squid)
        self.assertIn(scheme, error.message)

    async def test_users_as_domains_write_them(self) -> None:
        """Samba's server, which is not our library's: each way to write a user, each
        level of compatibility (0 to 2 answer with NTLMv1), and a wrong password."""
        path = Path(self.mktemp())
        path.write_text("[libdefaults]\ndns_lookup_kdc = false\n")
        self.addCleanup(os.environ.pop, "KRB5_CONFIG", None)
        os.environ["KRB5_CONFIG"] = str(path.absolute())  # a principal has no KDC
        for scheme in ("NTLM", "Negotiate"):
            squid = self.started(proxies.samba_squid(scheme))
            for user in (f"CORP\\{USER}", f"{USER}@corp.example", USER, f".\\{USER}"):
                login = Login(user, PASSWORD)
                self.assertEqual(await self.get(squid, login=login), b"hello")
            for level in ("0", "1", "2", "3", "4", "5"):
                self.patch(os, "environ", {**os.environ, "LM_COMPAT_LEVEL": level})
                login = Login(f"CORP\\{USER}", PASSWORD)
                self.assertEqual(await self.get(squid, login=login), b"hello")
            for user in (f"CORP\\{USER}", f"{USER}@corp.example", USER):
                error = await self.refusal(
                    LoginRefused, squid, login=Login(user, "wrong")
                )
                self.assertIn(scheme, error.message)
            await self.refusal(LoginWanted, squid)

    async def test_squid_over_tls(self) -> None:
        """An https:// proxy: TLS to it, then CONNECT with a login, then TLS in the
        tunnel; each of the two certificates is the right one's."""
        pem = self_signed_pem()
        ours = trustRootFromCertificates([Certificate.loadPEM(pem.encode())])
        proxy = proxies.squid("Basic", tls_pem=pem)
        self.started(proxy, "https")
        named = Proxy("https", "localhost", proxy.port)
        login = Logins({"localhost": RIGHT})
        got = await self.get(named, logins=login, proxy_trust=ours)
        self.assertEqual(got, b"hello")
        more: dict[str, Any] = {"proxy_trust": ours}
        wrong = Logins({"localhost": WRONG})
        await self.refusal(LoginRefused, named, logins=wrong, **more)
        await self.refusal(LoginWanted, named, **more)
        # The target's authority is not the proxy's.
        error = await self.refusal(TlsRefused, named, proxy_trust=self.target.trust)
        self.assertEqual((error.stage, error.hop), ("tls", named.hop))
        other = Proxy("https", "127.0.0.1", proxy.port)
        error = await self.refusal(TlsRefused, other, **more)
        self.assertIn("another name", error.message)
        # And a plain proxy where TLS is expected.
        plain = proxies.squid()
        self.started(plain)
        error = await self.refusal(TlsRefused, Proxy("https", "localhost", plain.port))
        self.assertIn("does not speak TLS", error.message)

    async def test_tinyproxy(self) -> None:
        """HTTP/1.0 answers, and challenges without a length."""
        self.assertEqual(
            await self.get(self.started(proxies.tinyproxy(login=False))), b"hello"
        )
        await self._login_cases(self.started(proxies.tinyproxy(login=True)), "Basic")

    async def _login_cases(self, proxy: Proxy, scheme: str) -> None:
        self.assertEqual(await self.get(proxy, login=RIGHT), b"hello")
        wrong = await self.refusal(LoginRefused, proxy, login=WRONG)
        self.assertIn(scheme, wrong.message)
        self.assertIn(str(proxy), wrong.hop)
        missing = await self.refusal(LoginWanted, proxy)
        self.assertIn(scheme, missing.message)


class SocksTests(ProxyCase):
    """SOCKS5, names resolved by the proxy."""

    async def test_microsocks(self) -> None:
        """With and without user and password, and each refusal."""
        open_door = self.started(proxies.microsocks(login=False), "socks5h")
        self.assertEqual(await self.get(open_door), b"hello")
        closed = await self.refusal(TargetRefused, open_door, port=free_port())
        self.assertIn("refused", closed.message)
        guarded = self.started(proxies.microsocks(login=True), "socks5h")
        self.assertEqual(await self.get(guarded, login=RIGHT), b"hello")
        await self.refusal(LoginRefused, guarded, login=WRONG)
        await self.refusal(LoginWanted, guarded)

    async def test_dante(self) -> None:
        """The other implementation."""
        self.assertEqual(
            await self.get(self.started(proxies.dante(), "socks5h")), b"hello"
        )


class WayTests(ProxyCase):
    """Fail-over, and things that are no proxy."""

    async def test_dead_proxy_is_passed_over_and_comes_last_then(self) -> None:
        """The second way of a PAC list is for this."""
        dead = Proxy("http", "127.0.0.1", free_port())
        self.assertEqual(await self.get(dead, DIRECT), b"hello")
        routes = FixedRoutes([dead, DIRECT], clock=reactor.seconds, source="test")
        routes.failed(dead)
        self.assertEqual(await routes.proxies_for("https", "a", 1), [DIRECT, dead])
        error = await self.refusal(Unreachable, dead)
        self.assertIn("refused", error.message)
        self.assertIn(f"port {dead.port}", error.advice)

    async def test_refusal_is_no_reason_for_another_way(self) -> None:
        """Going round a proxy that says no would break the site's rules."""
        guarded = self.started(proxies.microsocks(login=True), "socks5h")
        await self.refusal(LoginWanted, guarded, DIRECT)

    async def test_refused_password_is_not_said_again_at_once(self) -> None:
        """A hub dials every few seconds, and a domain locks its account: the proxy,
        which is gone by then, is not even asked."""
        proxy = proxies.tinyproxy(login=True)
        way = self.started(proxy)
        dialler = Dialler(
            reactor=reactor,
            routes=FixedRoutes([way], clock=reactor.seconds, source="test"),
            logins=Logins({"127.0.0.1": WRONG}),
        )
        for _ in range(2):
            got: Any = dialler.socket("localhost", self.target.port)
            await self.assertFailure(got, LoginRefused)
            proxy.stop()

    async def test_unknown_name(self) -> None:
        """Of the server when direct, of the proxy otherwise."""
        error = await self.refusal(NameUnknown, DIRECT, host="nobody.invalid")
        self.assertEqual(error.stage, "dns")
        error = await self.refusal(NameUnknown, Proxy("http", "nobody.invalid", 3128))
        self.assertIn("proxy http://nobody.invalid:3128", error.hop)

    async def test_web_server_is_no_proxy(self) -> None:
        """A wrong port is the commonest mistake."""
        answers: list[tuple[Kind, bytes, type[HopError]]] = [
            ("http", b"", NoAnswer),
            ("socks5h", b"", NoAnswer),
            ("http", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", NoProxyProtocol),
            ("socks5h", b"HTTP/1.1 400 Bad Request\r\n\r\n", NoProxyProtocol),
        ]
        for kind, said, error in answers:
            server = socket.create_server(("127.0.0.1", 0))
            reactor.callInThread(_say, server, said)
            await self.refusal(error, Proxy(kind, "127.0.0.1", server.getsockname()[1]))


def _say(server: socket.socket, said: bytes) -> None:
    """Answer one connection and close it."""
    connection, _ = server.accept()
    connection.recv(100)
    connection.sendall(said)
    connection.close()
    server.close()
