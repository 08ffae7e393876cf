# mypy: disable-error-code="no-untyped-call"
"""PAC scripts in their helper process, and where they come from."""

from __future__ import annotations

import datetime
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase
from twisted.web.guard import (
    BasicCredentialFactory,
    DigestCredentialFactory,
    HTTPAuthSessionWrapper,
)
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site
from twisted.web.static import Data
from twisted.web.util import Redirect
from zope.interface import implementer

from mosaic.proxy.client import direct_dialler, http_client
from mosaic.proxy.logins import Logins
from mosaic.proxy.pac import fetch
from mosaic.proxy.pac.evaluate import PacFailed, PacScript, parse_answer
from mosaic.proxy.pac.fetch import fetch_script
from mosaic.proxy.pac.routes import PacRoutes
from mosaic.proxy.routes import DIRECT, Proxy
from mosaic.wire.hops import HopError, Login, LoginRefused, LoginWanted

reactor: Any = _reactor
HOP = "proxy script test"
NAMES = {"intra.corp": ["10.1.2.3"], "both.corp": ["2001:db8::7", "192.0.2.7"]}


class ScriptCase(TestCase):
    """Scripts and their answers."""

    timeout = 180

    def setUp(self) -> None:
        """Nothing was asked for."""
        self.asked: list[str] = []

    async def resolve(self, name: str) -> list[str]:
        """From a table."""
        self.asked.append(name)
        return NAMES.get(name, [])

    def ask(
        self, script: str, host: str = "meet.example.org"
    ) -> Awaitable[list[Proxy]]:
        """FindProxyForURL of the script."""
        pac = PacScript(
            reactor,
            script,
            hop=HOP,
            resolve=self.resolve,
            my_address=lambda: "192.0.2.99",
        )
        return pac.find("https", host, 443)

    async def yes(self, condition: str, host: str = "meet.example.org") -> bool:
        """Whether a condition holds in a script."""
        found = await self.ask(
            "function FindProxyForURL(url, host) { return "
            f"({condition}) ? 'PROXY yes:1' : 'PROXY no:1'; }}",
            host,
        )
        return found == [Proxy("http", "yes", 1)]

    async def fails(self, script: str) -> str:
        """The message of a script that fails."""
        try:
            found = await self.ask(script)
        except PacFailed as error:
            return str(error)
        raise self.failureException(f"{found} came out")


class FunctionTests(ScriptCase):
    """Every function of a PAC script."""

    async def test_names_and_globs(self) -> None:
        """Without the name service."""
        for condition in (
            "url === 'https://meet.example.org/'",
            "!isPlainHostName(host) && isPlainHostName('meet')",
            "dnsDomainIs(host, '.example.org') && !dnsDomainIs(host, '.example.com')",
            "localHostOrDomainIs('meet', 'meet.example.org')",
            "dnsDomainLevels(host) === 2",
            "shExpMatch(host, '*.example.*') && !shExpMatch(host, '*.corp')",
            "shExpMatch('a.b', 'a?b') && !shExpMatch('aXb', 'a.b')",
            "myIpAddress() === '192.0.2.99'",
            "convert_addr('10.0.0.1') === 167772161",
            "sortIpAddressList('10.0.0.1;2001:db8::1') === '2001:db8::1;10.0.0.1'",
        ):
            self.assertTrue(await self.yes(condition), condition)
        self.assertEqual(self.asked, [])

    async def test_names_are_resolved_outside_and_the_script_runs_again(self) -> None:
        """Two passes: the helper has no network of its own."""
        for condition in (
            "isInNet('intra.corp', '10.0.0.0', '255.0.0.0')",
            "dnsResolve('intra.corp') === '10.1.2.3'",
            "isResolvable('intra.corp') && !isResolvable('nobody.corp')",
            "dnsResolveEx('both.corp') === '2001:db8::7;192.0.2.7'",
            "isInNetEx('both.corp', '2001:db8::/32') && isResolvableEx('both.corp')",
            "isInNet('10.9.9.9', '10.0.0.0', '255.0.0.0')",
        ):
            self.assertTrue(await self.yes(condition), condition)
        self.assertEqual(self.asked.count("nobody.corp"), 1)

    async def test_days_and_hours(self) -> None:
        """Ranges around now, and ranges that wrap."""
        now = datetime.datetime.now(datetime.UTC)
        day = now.strftime("%a").upper()
        month = now.strftime("%b").upper()
        for condition in (
            f"weekdayRange('{day}', 'GMT') && weekdayRange('SUN', 'SAT')",
            f"dateRange({now.day}, 'GMT') && dateRange('{month}', 'GMT')",
            f"dateRange({now.year}, {now.year + 1}, 'GMT')",
            "dateRange(1, 'JAN', 31, 'DEC')",
            "!dateRange(1, 'JAN', 1999, 2, 'JAN', 1999)",
            "timeRange(0, 24) && timeRange(0, 0, 0, 23, 59, 59)",
        ):
            self.assertTrue(await self.yes(condition), condition)

    async def test_script_that_swallows_the_missing_name_is_still_asked_again(
        self,
    ) -> None:
        """An answer that was made without an address is worthless."""
        self.assertTrue(
            await self.yes(
                "(function () { try { return dnsResolve('intra.corp').length > 0 }"
                " catch (e) { return false } })()"
            )
        )


class _Late:
    """The reactor, with a clock that a name service moves on."""

    def __init__(self, now: list[float]) -> None:
        self._now = now

    def seconds(self) -> float:
        """Only names take time."""
        return self._now[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class HostileTests(ScriptCase):
    """What a bad script costs: at most two seconds, and an error that says so."""

    async def stopped(self, body: str) -> str:
        """The script is stopped in time."""
        before = time.monotonic()
        said = await self.fails(f"function FindProxyForURL(url, host) {{ {body} }}")
        self.assertLess(time.monotonic() - before, 4.0)  # with the start of Python
        self.assertIn(HOP, said)
        return said

    async def test_endless_loops(self) -> None:
        """In the function, and while the script is loaded."""
        await self.stopped("while (1) {}")
        await self.stopped("try { while (1) {} } catch (e) { while (1) {} }")
        await self.fails("while (1) {}")

    async def test_memory(self) -> None:
        """Strings and arrays that grow for ever."""
        await self.stopped("var s = 'x'; while (1) s += s;")
        await self.stopped("var a = []; while (1) a.push(new Array(1000).fill(7));")

    async def test_regular_expressions(self) -> None:
        """Catastrophic backtracking."""
        await self.stopped(
            "return /^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')"
            " ? 'DIRECT' : 'PROXY slow:1';"
        )

    async def test_stack(self) -> None:
        """Recursion without an end."""
        await self.stopped("return FindProxyForURL(url, host);")

    async def test_names_without_an_end(self) -> None:
        """A script that asks for another name each time is given up on."""
        said = await self.stopped(
            "var i = 0; while (isResolvable('n' + i) || i < 19) i++;"
            "dnsResolve('r' + Math.random()); return 'DIRECT';"
        )
        self.assertIn("rounds", said)
        self.assertLess(len(self.asked), 400)

    async def test_a_slow_script_has_one_budget_for_all_its_rounds(self) -> None:
        """Half a second in each of twenty rounds would be ten."""
        said = await self.stopped(
            "var end = Date.now() + 500; while (Date.now() < end) {}"
            "dnsResolve('r' + Math.random()); return 'DIRECT';"
        )
        self.assertIn("too long", said)
        self.assertLess(len(self.asked), 5)

    async def test_slow_names_have_one_budget(self) -> None:
        """A script that asks for more names than the name service can bear."""
        now = [0.0]

        async def slow(name: str) -> list[str]:
            now[0] += 2.0
            return []

        pac = PacScript(
            _Late(now),
            "function FindProxyForURL(u, h) { for (var i = 0; i < 99; i++)"
            " try { dnsResolve('n' + i) } catch (e) {} return 'DIRECT'; }",
            hop=HOP,
            resolve=slow,
            my_address=lambda: "192.0.2.99",
        )
        with self.assertRaises(PacFailed) as caught:
            await pac.find("https", "meet.example.org", 443)
        self.assertIn("resolve", str(caught.exception))

    async def test_nothing_of_the_machine_is_there(self) -> None:
        """No files, processes, modules or network objects."""
        names = "require process std os fetch XMLHttpRequest importScripts WebSocket"
        for name in names.split():
            self.assertTrue(await self.yes(f"typeof {name} === 'undefined'"), name)

    async def test_broken_scripts_say_what_is_wrong(self) -> None:
        """The engine's own words, in one line."""
        self.assertIn("SyntaxError", await self.fails("function {"))
        self.assertIn("FindProxyForURL", await self.fails("var x = 1;"))
        said = await self.fails("function FindProxyForURL() { nothing.here(); }")
        self.assertIn("nothing", said)


class AnswerTests(TestCase):
    """The answer's grammar."""

    def test_list_in_order(self) -> None:
        """Unknown kinds are passed over; nothing at all is direct."""
        self.assertEqual(
            parse_answer("PROXY a:1; SOCKS5 b:2 ;https c; BOGUS d:4; DIRECT"),
            [
                Proxy("http", "a", 1),
                Proxy("socks5h", "b", 2),
                Proxy("https", "c", 443),
                DIRECT,
            ],
        )
        self.assertEqual(parse_answer(""), [DIRECT])
        self.assertEqual(parse_answer("PROXY u:p@evil:1"), [DIRECT])


@implementer(IRealm)
class _Realm:
    def __init__(self, page: Resource) -> None:
        self._page = page

    def requestAvatar(self, name: Any, mind: Any, *interfaces: Any) -> Any:
        """The page, for whoever has passed."""
        return IResource, self._page, lambda: None


class FetchTests(TestCase):
    """Where a script comes from."""

    timeout = 180
    SCRIPT = b"function FindProxyForURL(u, h) { return 'PROXY p:8080; DIRECT'; }"

    def setUp(self) -> None:
        """A web server with the script at several doors."""
        page = Data(self.SCRIPT, "application/x-ns-proxy-autoconfig")
        checker = InMemoryUsernamePasswordDatabaseDontUse(alice=b"s3cret")
        root = Resource()
        root.putChild(b"open", page)
        root.putChild(b"moved", Redirect(b"/open"))
        root.putChild(b"large", Data(b" " * (fetch.MAX_SCRIPT_BYTES + 1), "text/plain"))
        ring = Redirect(b"/ring")
        root.putChild(b"ring", ring)
        for name, factory in (
            (b"basic", BasicCredentialFactory(b"test")),
            (b"digest", DigestCredentialFactory(b"MD5", b"test")),
        ):
            portal = Portal(_Realm(page), [checker])
            root.putChild(name, HTTPAuthSessionWrapper(portal, [factory]))
        port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        self.base = f"http://127.0.0.1:{port.getHost().port}"
        self.http = http_client(direct_dialler(reactor))

    async def fetched(self, path: str, password: str = "") -> str:
        """The script at a path."""
        logins = Logins({"127.0.0.1": Login("alice", password)} if password else {})
        return await fetch_script(self.base + path, http=self.http, logins=logins)

    async def refused(
        self, kind: type[HopError], path: str, password: str = ""
    ) -> HopError:
        """The error at a path."""
        try:
            await self.fetched(path, password)
        except kind as error:
            self.assertNotIn("s3cret", str(error))
            return error
        raise self.failureException("it was fetched")

    async def test_open_and_moved_and_from_a_file(self) -> None:
        """No login is needed."""
        for path in ("/open", "/moved"):
            self.assertEqual(await self.fetched(path), self.SCRIPT.decode())
        file = Path(self.mktemp()).absolute()
        file.write_bytes(self.SCRIPT)
        found = await fetch_script(f"file://{file}", http=self.http, logins=Logins())
        self.assertEqual(found, self.SCRIPT.decode())

    async def test_logins(self) -> None:
        """Right, wrong and missing, Basic and Digest."""
        for path in ("/basic", "/digest"):
            self.assertEqual(await self.fetched(path, "s3cret"), self.SCRIPT.decode())
            await self.refused(LoginRefused, path, "wrong")
            await self.refused(LoginWanted, path)

    async def test_what_cannot_be_had(self) -> None:
        """Too large, missing, in a circle, not there."""
        self.assertIn("larger", str(await self.refused(PacFailed, "/large")))
        self.assertIn("404", str(await self.refused(PacFailed, "/none")))
        self.assertIn("again", str(await self.refused(PacFailed, "/ring")))
        with self.assertRaises(PacFailed):
            await fetch_script("ftp://x/", http=self.http, logins=Logins())

    async def test_routes_keep_the_answer_and_know_the_dead(self) -> None:
        """One fetch and one process for many connections to one server."""
        routes = PacRoutes(
            reactor, self.base + "/open", http=self.http, logins=Logins()
        )
        proxy = Proxy("http", "p", 8080)
        found = await routes.proxies_for("https", "meet.example.org", 443)
        self.assertEqual(found, [proxy, DIRECT])
        before = time.process_time()
        for _ in range(100):
            await routes.proxies_for("https", "meet.example.org", 443)
        self.assertLess(time.process_time() - before, 1.0)
        routes.failed(proxy)
        found = await routes.proxies_for("https", "meet.example.org", 443)
        self.assertEqual(found, [DIRECT, proxy])
