# Twisted's web server is not annotated.
# mypy: allow-untyped-calls
"""The hub's page on 127.0.0.1: who may see it, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.local.page import Wall, enrol_form, proxy_form, state_page
from mosaic.hub.local.site import LocalPage, proxy_in
from mosaic.hub.netfound import Found
from mosaic.hub.netwatch import CheckFailed
from mosaic.hub.proxylogin import FILE, LoginTextError, ProxyLogins
from mosaic.netcheck.result import Check, Report, Verdict
from mosaic.proxy.routes import parse_proxy
from mosaic.wire.hops import LoginRefused

SERVER = "https://hub.example.org"
UDP = "UDP is blocked: video and voice use TLS."
FOUND = Found(
    server=SERVER,
    at=1790000000.0,
    reason="local",
    quick=False,
    report=Report(
        server=SERVER,
        via="direct",
        outcome="degraded",
        verdicts=(
            Verdict(capability="signalling", outcome="ok", advice="Good."),
            Verdict(capability="media", outcome="degraded", advice=UDP),
            Verdict(capability="direct", outcome="skipped", advice="not checked"),
        ),
        checks=(Check(name="udp-53", outcome="blocked", detail="<b>"),),
        took_s=1.0,
    ),
)


class FakeOwner:
    """An agent."""

    screens = 2

    def __init__(self) -> None:
        self.now = Wall(state="offline", server=SERVER, offline_id="9178260581")
        self.logins: list[tuple[str, str, str]] = []
        self.codes: list[str] = []
        self.shown: list[tuple[int, str]] = []
        self.refuses: str | None = None
        self.checked = 0

    def wall(self) -> Wall:
        return self.now

    def set_proxy_login(self, host: str, user: str, password: str) -> None:
        if self.refuses:
            raise LoginTextError(self.refuses)
        self.logins.append((host, user, password))

    async def check_network(self) -> Found:
        self.checked += 1
        if self.refuses:
            raise CheckFailed(self.refuses)
        return FOUND

    def enrol(self, code: str) -> None:
        self.codes.append(code)

    async def ticket(self) -> str:
        if self.refuses:
            raise RuntimeError(self.refuses)
        return "t/1"

    def screen_shows(self, screen: int, shown: str) -> None:
        self.shown.append((screen, shown))


class LocalPageTests(SynchronousTestCase):
    """Requests as bytes, over a StringTransport."""

    def setUp(self) -> None:
        self.owner = FakeOwner()
        self.page = LocalPage(self.owner, SERVER)
        reactor: Any = MemoryReactorClock()
        self.page.listen(reactor, 0)
        port, self.site, _, interface = reactor.tcpServers[0]
        self.assertEqual((port, interface), (0, "127.0.0.1"))
        self.page.port = 4711
        self.site.reactor = Clock()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        host: str = "127.0.0.1:4711",
        key: str | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers, body."""
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        lines = [f"{method} /{self.page.key if key is None else key}{path} HTTP/1.1"]
        lines += [f"Host: {host}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {v}" for name, v in headers.items()]
        channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)
        head, _, content = transport.value().decode().partition("\r\n\r\n")
        first, *rest = head.split("\r\n")
        pairs = dict(line.split(": ", 1) for line in rest)
        return int(first.split()[1]), {k.lower(): v for k, v in pairs.items()}, content

    def form(self, path: str, text: str, **headers: str) -> tuple[int, Any, str]:
        return self.ask(
            "POST",
            path,
            text.encode(),
            Content_Type="application/x-www-form-urlencoded",
            **headers,
        )

    def test_without_the_key_there_is_nothing(self) -> None:
        """Other people on this machine, and pages in other browsers on it."""
        for key in ("", "wrong", self.page.key[:-1]):
            self.assertEqual(self.ask("GET", "/", key=key)[0], 404)

    def test_another_hosts_name_is_refused(self) -> None:
        """DNS rebinding: a page elsewhere whose name now means 127.0.0.1."""
        for host in ("evil.example:4711", "localhost:4711", "127.0.0.1"):
            self.assertEqual(self.ask("GET", "/", host=host)[0], 404)

    def test_everything_else_is_not_found(self) -> None:
        """No listing, no files."""
        for path in ("/../etc", "/hub.json", "/state/x", "/0/"):
            self.assertEqual(self.ask("GET", path)[0], 404)
        self.assertEqual(self.ask("PUT", "/state")[0], 404)

    def test_a_check_of_the_network_is_begun_and_shown(self) -> None:
        """By a button; each capability in a word, and what to do in a line."""
        status, headers, _ = self.form("/check", "")
        self.assertEqual((status, self.owner.checked), (303, 1))
        self.assertEqual(headers["location"], f"/{self.page.key}/")
        self.owner.now = replace(self.owner.now, network=FOUND, checking=True)
        page = self.ask("GET", "/")[2]
        self.assertIn("<dt>Video and voice</dt><dd>limited: UDP is blocked", page)
        self.assertIn("<dt>Meetings</dt><dd>good</dd>", page)
        self.assertNotIn("Direct calls", page)
        self.assertIn("disabled>Checking the network", page)
        self.assertEqual(self.form("/check", "", Origin="https://evil.org")[0], 403)
        self.assertEqual(self.ask("GET", "/check")[0], 404)
        german = state_page(replace(self.owner.now, locale="de", network=FOUND))
        self.assertIn("Bild und Ton", german)

    def test_a_good_network_is_no_news_on_a_wall_that_works(self) -> None:
        """It says how to join, and gets out of the way."""
        good = msgspec.structs.replace(FOUND.report, outcome="ok", verdicts=())
        wall = replace(
            self.owner.now,
            reached=True,
            network=msgspec.structs.replace(FOUND, report=good),
        )
        self.assertNotIn("Network check", state_page(wall))
        self.assertIn("Network check", state_page(replace(wall, network=FOUND)))

    def test_what_was_found_without_a_server_is_over_with_one(self) -> None:
        """Whoever asked for it; without a server it is what there is."""
        cut = Verdict(capability="signalling", outcome="blocked", advice="443")
        report = msgspec.structs.replace(FOUND.report, verdicts=(cut,))
        for changes in ({"reason": "unreachable"}, {"report": report}):
            found = msgspec.structs.replace(FOUND, **changes)
            wall = replace(self.owner.now, network=found)
            self.assertIn("Network check", state_page(wall))
            self.assertNotIn("Network check", state_page(replace(wall, reached=True)))

    def test_a_program_waits_for_the_result(self) -> None:
        """`mosaic hub check`; what hindered it is said in one line."""
        status, _, content = self.ask("POST", "/check", Accept="application/json")
        self.assertEqual(status, 200)
        self.assertEqual(msgspec.json.decode(content, type=Found), FOUND)
        self.owner.refuses = "no"
        status, _, content = self.ask("POST", "/check", Accept="application/json")
        self.assertEqual((status, content), (503, "no\n"))

    def test_state_is_for_the_servers_origin_alone(self) -> None:
        """Other sites get no permission to read it."""
        status, headers, body = self.ask("GET", "/1/state", Origin=SERVER)
        self.assertEqual(status, 200)
        self.assertEqual(headers["access-control-allow-origin"], SERVER)
        self.assertEqual(json.loads(body)["offline_id"], "9178260581")
        _, headers, _ = self.ask("GET", "/state", Origin="https://evil.example")
        self.assertNotIn("access-control-allow-origin", headers)

    def test_screen_waits_here_and_goes_on_with_a_ticket(self) -> None:
        """One request of the page's own refresh, and no script."""
        status, headers, body = self.ask("GET", "/2/")
        self.assertEqual(status, 200)
        self.assertIn('http-equiv="refresh"', body)
        self.assertIn("default-src 'none'", headers["content-security-policy"])
        self.owner.now = Wall(state="idle", server=SERVER, reached=True)
        status, headers, _ = self.ask("GET", "/2/")
        self.assertEqual(status, 303)
        self.assertEqual(
            headers["location"],
            f"{SERVER}/hub#ticket=t/1&local={self.page.url}/2&screen=2&screens=2",
        )
        self.owner.refuses = "no"
        self.assertEqual(self.ask("GET", "/2/")[0], 200)
        self.assertEqual(self.ask("GET", "/2")[1]["location"], f"/{self.page.key}/2/")

    def test_screen_says_that_it_draws(self) -> None:
        """From the server's page: the browser asks first."""
        self.assertEqual(self.ask("OPTIONS", "/2/screen", Origin=SERVER)[0], 204)
        said = b'{"screen": 2, "shown": "meeting"}'
        status, _, _ = self.ask("POST", "/2/screen", said, Origin=SERVER)
        self.assertEqual(status, 204)
        self.assertEqual(self.owner.shown, [(2, "meeting")])
        for word in ("meeting", "idle"):
            said = b'{"shown": "%b", "presenting": true}' % word.encode()
            self.ask("POST", "/1/screen", said, Origin=SERVER)
        self.assertEqual(self.owner.shown[1:], [(1, "presenting"), (1, "idle")])
        foreign = self.ask("POST", "/screen", said, Origin="https://evil.example")
        self.assertEqual(foreign[0], 403)
        for bad in (b"", b"[]", b'{"shown": 1}', b"[" * 9000, b"x" * 20000):
            self.assertEqual(self.ask("POST", "/screen", bad, Origin=SERVER)[0], 400)

    def test_proxy_login_is_taken(self) -> None:
        """The form is filled in with the proxy that refused."""
        error = LoginRefused("proxy http://proxy.example.org:3128", "Basic")
        self.owner.now = Wall(state="offline", problem=str(error))
        self.assertIn("proxy.example.org:3128", self.ask("GET", "/1/proxy")[2])
        text = "host=proxy.example.org%3A3128&user=alice&password=correct+horse"
        status, headers, _ = self.form("/1/proxy", text, Origin="null")
        self.assertEqual((status, headers["location"]), (303, f"/{self.page.key}/1/"))
        self.assertEqual(
            self.owner.logins, [("proxy.example.org:3128", "alice", "correct horse")]
        )
        self.owner.refuses = "the user must be one word"
        status, _, body = self.form("/1/proxy", text)
        self.assertEqual(status, 422)
        self.assertIn("one word", body)
        self.assertNotIn("correct horse", body)
        self.assertEqual(self.form("/proxy", text, Origin="https://evil")[0], 403)

    def test_code_is_taken(self) -> None:
        """As people type it; a wrong form is said at once."""
        self.assertEqual(self.form("/enrol", "code=7kq2m-xw9rd")[0], 303)
        self.assertEqual(self.owner.codes, ["7KQ2MXW9RD"])
        self.assertEqual(self.form("/enrol", "code=abc")[0], 422)


class PageTests(SynchronousTestCase):
    """HTML."""

    @given(st.text(max_size=60), st.sampled_from(["de", "de-AT", "en", "xx", ""]))
    def test_any_text_is_shown_as_text(self, text: str, locale: str) -> None:
        """Problems quote what proxies say."""
        hostile = f"<script>{text}"
        wall = Wall(
            state="offline",
            problem=hostile,
            advice=hostile,
            name=hostile,
            locale=locale,
        )
        for page in (
            state_page(wall),
            proxy_form(wall, host=hostile, said=hostile),
            enrol_form(wall, said=hostile),
        ):
            self.assertNotIn("<script", page)

    def test_speaks_german(self) -> None:
        """Both languages have every word."""
        page = state_page(Wall(state="removed", locale="de-AT"))
        self.assertIn('lang="de"', page)
        self.assertIn("Dieser Hub wurde entfernt", page)

    def test_numbers_are_read_aloud(self) -> None:
        """Grouped; the offline one only while it is needed."""
        wall = Wall(state="offline", hub_id="412907338", offline_id="9178260581")
        self.assertIn("412 907 338", state_page(wall))
        self.assertIn("917 826 0581", state_page(wall))

    @given(st.text(max_size=80))
    def test_any_problem_names_a_proxy_or_none(self, text: str) -> None:
        """What stands in the form."""
        proxy_in(text)
        self.assertEqual(proxy_in("server x:443: refused"), "")
        self.assertEqual(proxy_in("proxy http://[::1]:3128: wants"), "::1:3128")


class ProxyLoginTests(SynchronousTestCase):
    """What was typed is kept like a file that somebody wrote."""

    def test_kept_for_its_owner_and_used_at_once(self) -> None:
        """A second login of the same proxy replaces the first."""
        folder = Path(self.mktemp())
        folder.mkdir()
        logins = ProxyLogins(folder, None)
        proxy = parse_proxy("http://proxy.example.org:3128")
        self.assertIsNone(logins.for_proxy(proxy))
        logins.set("proxy.example.org:3128", "alice", "old")
        logins.set("Proxy.example.org:3128", "alice", "correct horse")
        logins.set("other", "bob", "x")
        login = ProxyLogins(folder, None).for_proxy(proxy)
        assert login is not None
        self.assertEqual((login.username, login.password), ("alice", "correct horse"))
        self.assertEqual((folder / FILE).stat().st_mode & 0o777, 0o600)
        self.assertEqual(len((folder / FILE).read_text().splitlines()), 2)

    @given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
    def test_any_text_is_kept_as_it_is_or_refused(
        self, host: str, user: str, password: str
    ) -> None:
        """No text breaks out of its line."""
        folder = Path(self.mktemp())
        folder.mkdir()
        logins = ProxyLogins(folder, None)
        try:
            logins.set(host, user, password)
        except LoginTextError:
            return
        self.assertEqual(len((folder / FILE).read_text().split("\n")), 2)
        found = ProxyLogins(folder, None)._typed._rows[host.lower()]
        self.assertEqual((found.username, found.password), (user, password))
