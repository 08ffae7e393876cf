# mypy: disable-error-code="no-untyped-call"
"""Kerberos through squid, with a KDC of MIT's: the ticket, and each way it fails.

Needs the extra hub-kerberos, Debian's krb5-kdc, krb5-admin-server, krb5-user, squid
and faketime.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import TestCase

from mosaic.proxy.client import Dialler, http_client
from mosaic.proxy.endpoint import Patience
from mosaic.proxy.logins import Logins
from mosaic.proxy.routes import FixedRoutes, Proxy
from mosaic.wire.hops import (
    HopError,
    Login,
    LoginWanted,
    TicketFailed,
    TicketRefused,
)
from tests.support import proxies
from tests.support.hub_process import RunningHub
from tests.support.kdc import REALM, Realm, late
from tests.support.proxies import ProxyProcess
from tests.support.running import RunningMosaic
from tests.support.tls_target import TlsTarget

PASSWORD = "s3cret of alice"
HUB = f"hub-lisbon@{REALM}"


@cache
def realm() -> Realm:
    """One for all tests that break nothing."""
    made = Realm()
    atexit.register(made.stop)
    made.add("alice", PASSWORD)
    made.add("hub-lisbon")
    made.add("HTTP/localhost")
    return made


@cache
def proxy_keytab() -> Path:
    """Made once: each keytab makes a new key."""
    return realm().keytab("HTTP/localhost")


@cache
def squid() -> ProxyProcess:
    """With the keys of HTTP/localhost."""
    made = proxies.kerberos_squid(proxy_keytab(), realm().environment)
    atexit.register(made.stop)
    return made


@cache
def hub_keytab() -> str:
    """Of the box."""
    return str(realm().keytab("hub-lisbon"))


class KerberosCase(TestCase):
    """A target over TLS; the process's environment is the realm's."""

    timeout = 180

    def setUp(self) -> None:
        """Nobody has a ticket."""
        self.within(realm())
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.target = TlsTarget(reactor)
        self.addCleanup(self.target.stop)

    def within(self, kdc: Realm, **more: str) -> None:
        """libkrb5 looks at the environment each time."""
        for name, value in {**kdc.environment, **more}.items():
            if name in os.environ:
                self.addCleanup(os.environ.__setitem__, name, os.environ[name])
            else:
                self.addCleanup(os.environ.pop, name, None)
            os.environ[name] = value

    def get(
        self,
        proxy: ProxyProcess,
        login: Login | None = None,
        *,
        name: str = "localhost",
        tunnel_s: float = 20.0,
    ) -> Deferred[bytes]:
        """GET / of the target through the proxy."""
        way = Proxy("http", name, proxy.port)

        async def work() -> bytes:
            dialler = Dialler(
                reactor=self.reactor,
                routes=FixedRoutes([way], clock=self.reactor.seconds, source="test"),
                logins=Logins({name: login} if login else {}),
                trust=self.target.trust,
                patience=Patience(connect_s=5, tunnel_s=tunnel_s, tls_s=5),
            )
            client = http_client(dialler)
            answers = [
                await (
                    await client.get(f"https://localhost:{self.target.port}/")
                ).content()
                for _ in range(2)
            ]
            return bytes(answers[-1])

        return Deferred.fromCoroutine(work())

    async def refusal(
        self, kind: type[HopError], proxy: ProxyProcess, *more: Any, **named: Any
    ) -> HopError:
        """The error names the hop and what to do, and no password."""
        got: Any = self.get(proxy, *more, **named)
        error: HopError = await self.assertFailure(got, kind)
        self.assertIn(f":{proxy.port}", error.hop)
        self.assertEqual(error.stage, "proxy")
        self.assertTrue(error.advice)
        self.assertNotIn(PASSWORD, str(error) + error.advice)
        return error


class TicketTests(KerberosCase):
    """What works."""

    async def test_ticket_of_kinit(self) -> None:
        """Nothing is configured at all."""
        self.within(realm(), KRB5CCNAME=realm().ticket("alice", PASSWORD))
        self.assertEqual(await self.get(squid()), b"hello")

    async def test_keytab_of_the_environment(self) -> None:
        """KRB5_CLIENT_KTNAME: a box needs no person, and no kinit."""
        self.within(
            realm(),
            KRB5_CLIENT_KTNAME=f"FILE:{hub_keytab()}",
            KRB5CCNAME="MEMORY:test-environment",
        )
        self.assertEqual(await self.get(squid()), b"hello")

    async def test_keytab_of_the_login_file(self) -> None:
        """By its principal, or by the first in it; the default cache is not used."""
        for user in (HUB, "*"):
            login = Login(user, "", hub_keytab())
            self.assertEqual(await self.get(squid(), login), b"hello")

    async def test_password_of_the_login_file(self) -> None:
        """A principal and its password, where a proxy takes Negotiate alone."""
        login = Login(f"alice@{REALM}", PASSWORD)
        self.assertEqual(await self.get(squid(), login), b"hello")


class RefusalTests(KerberosCase):
    """What does not, each in its own words."""

    async def test_no_ticket(self) -> None:
        """kinit, a keytab, or user and password."""
        error = await self.refusal(LoginWanted, squid())
        self.assertIn("nor is there a Kerberos ticket", error.message)
        self.assertIn("kinit", error.advice)
        self.assertIn("--proxy-login", error.advice)

    async def test_expired_ticket(self) -> None:
        """kinit again."""
        cache = realm().ticket("alice", PASSWORD, life="1s")
        time.sleep(2.1)  # the ticket's own clock
        self.within(realm(), KRB5CCNAME=cache)
        error = await self.refusal(TicketFailed, squid())
        self.assertIn("expired", error.message)
        self.assertIn("kinit again", error.advice)

    async def test_proxy_by_another_name(self) -> None:
        """The realm knows HTTP/localhost and no address."""
        self.within(realm(), KRB5CCNAME=realm().ticket("alice", PASSWORD))
        error = await self.refusal(TicketFailed, squid(), name="127.0.0.1")
        self.assertIn(f"HTTP/127.0.0.1@{REALM}", error.message)
        self.assertIn("full host name", error.advice)

    async def test_proxy_with_another_key(self) -> None:
        """Its keytab is of another service: it cannot read our ticket."""
        realm().add("HTTP/elsewhere")
        other = proxies.kerberos_squid(
            realm().keytab("HTTP/elsewhere"), realm().environment
        )
        self.addCleanup(other.stop)
        self.within(realm(), KRB5CCNAME=realm().ticket("alice", PASSWORD))
        error = await self.refusal(TicketRefused, other)
        self.assertIn("HTTP/localhost", error.message)
        self.assertIn("keytab", error.advice)

    async def test_clock_of_the_proxy_is_wrong(self) -> None:
        """It refuses the ticket; the advice begins with the clocks."""
        wrong = proxies.kerberos_squid(
            proxy_keytab(), realm().environment, before=late("+1h")
        )
        self.addCleanup(wrong.stop)
        self.within(realm(), KRB5CCNAME=realm().ticket("alice", PASSWORD))
        error = await self.refusal(TicketRefused, wrong)
        self.assertIn("clock", error.advice)

    async def test_clock_of_the_kdc_is_wrong(self) -> None:
        """Ours, that is; said before any proxy sees a ticket."""
        kdc = Realm(skew="+1h", options="kdc_timesync = 0")
        self.addCleanup(kdc.stop)
        kdc.add("HTTP/localhost")
        kdc.add("hub-lisbon")
        self.within(kdc)
        login = Login("*", "", str(kdc.keytab("hub-lisbon")))
        error = await self.refusal(TicketFailed, squid(), login)
        self.assertIn("clock", error.message)
        self.assertIn("NTP", error.advice)

    async def test_wrong_password_and_wrong_keytab(self) -> None:
        """Of the login file."""
        wrong = Login(f"alice@{REALM}", "wrong")
        error = await self.refusal(HopError, squid(), wrong)
        self.assertIn("refused the user and password (Negotiate)", error.message)
        for login, words in (
            (Login("*", "", "/nonexistent/hub.keytab"), "No such file"),
            (Login(f"other@{REALM}", "", hub_keytab()), "no key for other"),
        ):
            error = await self.refusal(TicketFailed, squid(), login)
            self.assertIn(words, error.message)
            self.assertIn("--proxy-login", error.advice)

    def gone_kdc(self) -> tuple[Realm, Login]:
        """A KDC that has stopped, and a hub's login by the keytab that it made."""
        kdc = Realm()
        self.addCleanup(kdc.stop)
        kdc.add("hub-lisbon")
        login = Login("*", "", str(kdc.keytab("hub-lisbon")))
        kdc.away()
        self.within(kdc)
        return kdc, login

    async def test_kdc_is_away(self) -> None:
        """Nobody gives a ticket; and one that is silent holds up nothing else."""
        _, login = self.gone_kdc()
        error = await self.refusal(TicketFailed, squid(), login)
        self.assertIn("no KDC could be asked", error.message)
        self.assertIn("port 88", error.advice)

    async def test_silent_kdc_holds_up_nobody(self) -> None:
        """The library waits in a thread, and we for as long as we want."""
        kdc, login = self.gone_kdc()
        with socket.create_server(("127.0.0.1", kdc.port)):
            ticks: list[float] = []
            ticking = LoopingCall(lambda: ticks.append(self.reactor.seconds()))
            ticking.start(0.02)
            self.addCleanup(ticking.stop)
            error = await self.refusal(TicketFailed, squid(), login, tunnel_s=1.0)
            self.assertIn("no answer within 1 s", error.message)
            self.assertGreater(len(ticks), 20)


class HubTests(KerberosCase):
    """A box behind such a proxy."""

    async def test_hub_with_a_keytab(self) -> None:
        """Enrolled, on XMPP and in a meeting, and nobody has typed anything."""
        server = RunningMosaic().start()
        self.addCleanup(server.stop)
        state = Path(tempfile.mkdtemp(prefix="mosaic-hub-test-"))
        self.addCleanup(shutil.rmtree, state, ignore_errors=True)
        code = server.command_json("hub", "enrol-code")["code"]
        logins = state / "logins"
        logins.write_text(f"localhost:{squid().port} {HUB} keytab:{hub_keytab()}\n")
        logins.chmod(0o600)
        flags = ("--proxy", f"http://localhost:{squid().port}")
        hub = RunningHub(server, state, *flags, "--proxy-login", str(logins))
        hub.start("--enrol-code", code)
        self.addCleanup(hub.stop)

        async def until(words: str) -> None:
            end = self.reactor.seconds() + 60
            while words not in hub.output():
                self.assertLess(self.reactor.seconds(), end, hub.output())
                await deferLater(self.reactor, 0.05)

        await until("XMPP: online")
        [one] = server.command_json("hub", "list")
        added = server.command(
            "user", "add", "ada", "--admin", "--password-stdin", text=PASSWORD
        )
        self.assertEqual(added.returncode, 0, added.stderr)
        ada = {"name": "ada", "password": PASSWORD}
        _, session = server.call("POST", "/sessions", ada)
        hub_id = one["hub_id"]
        wish = {"desired": {"room": hub_id}}
        server.call("PATCH", f"/hubs/{hub_id}", wish, token=session["token"])
        await until("-> meeting")
        self.assertEqual(hub.stop(), 0)
