"""Names of proxies, who is dead, and the file with logins."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import text
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.proxy.logins import LoginFileError, Logins, read_logins
from mosaic.proxy.refusals import Refusals
from mosaic.proxy.routes import (
    DEAD_S,
    DIRECT,
    DeadProxies,
    Proxy,
    ProxyTextError,
    parse_proxy,
)
from mosaic.wire.hops import Login, LoginRefused


class ProxyTextTests(SynchronousTestCase):
    """The grammar of --proxy and of the environment."""

    def test_each_form(self) -> None:
        """With and without scheme, port and login."""
        for text_, proxy in (
            ("direct", DIRECT),
            ("proxy.corp:8080", Proxy("http", "proxy.corp", 8080)),
            ("proxy.corp", Proxy("http", "proxy.corp", 3128)),
            ("https://p:8443/", Proxy("https", "p", 8443)),
            ("socks5://p", Proxy("socks5h", "p", 1080)),
            ("http://[2001:db8::1]:3128", Proxy("http", "2001:db8::1", 3128)),
        ):
            self.assertEqual(parse_proxy(text_), proxy)
            self.assertEqual(parse_proxy(str(proxy)), proxy)

    def test_login_is_taken_apart_and_never_shown(self) -> None:
        """The environment often has one; logs must not."""
        proxy = parse_proxy("http://al%40ice:p%3Ass@p:1")
        self.assertEqual(proxy.login, Login("al@ice", "p:ss"))
        self.assertNotIn("ss", str(proxy) + repr(proxy) + proxy.hop)

    def test_errors_say_what_a_proxy_looks_like_without_the_password(self) -> None:
        """A person will copy the message into a ticket."""
        for wrong in ("ftp://u:secret@p:1", "http://", "http://u:secret@p:x", "p:0"):
            with self.assertRaises(ProxyTextError) as caught:
                parse_proxy(wrong)
            self.assertNotIn("secret", str(caught.exception))

    @given(text(max_size=60))
    def test_any_text_is_a_proxy_or_an_error(self, wanted: str) -> None:
        """Nothing else is raised."""
        try:
            parse_proxy(wanted)
        except ProxyTextError:
            pass


class DeadTests(SynchronousTestCase):
    """RFC has none; what browsers do: five minutes at the end of the list."""

    def test_dead_proxies_come_back(self) -> None:
        """The first one may be up again."""
        clock = Clock()
        dead = DeadProxies(clock.seconds)
        one, two = Proxy("http", "a", 1), Proxy("http", "b", 1)
        dead.add(one)
        self.assertEqual(dead.sort([one, two]), [two, one])
        clock.advance(DEAD_S)
        self.assertEqual(dead.sort([one, two]), [one, two])


class LoginFileTests(SynchronousTestCase):
    """A password that others can read is no secret."""

    def file(self, text_: str, mode: int = 0o600) -> Path:
        """A file of that mode."""
        path = Path(self.mktemp())
        path.write_text(text_)
        os.chmod(path, mode)
        return path

    def test_the_most_exact_line_wins(self) -> None:
        """Host and port, host, any."""
        logins = read_logins(
            self.file("# ours\n\np.corp:1 a one\nP.corp b two words\n* c three\n")
        )
        self.assertEqual(
            logins.for_proxy(Proxy("http", "p.corp", 1)), Login("a", "one")
        )
        self.assertEqual(
            logins.for_proxy(Proxy("http", "p.corp", 2)), Login("b", "two words")
        )
        self.assertEqual(logins.for_proxy(Proxy("http", "x", 1)), Login("c", "three"))

    def test_keytab_in_place_of_a_password(self) -> None:
        """A box that no person looks after; its path is whole, or nobody finds it."""
        logins = read_logins(self.file("p:3128 hub@CORP keytab:/etc/my hub.keytab"))
        login = logins.for_proxy(Proxy("http", "p", 3128))
        self.assertEqual(login, Login("hub@CORP", "", "/etc/my hub.keytab"))
        with self.assertRaises(LoginFileError) as caught:
            read_logins(self.file("p hub@CORP keytab:hub.keytab"))
        self.assertIn("line 1", str(caught.exception))

    def test_without_a_line_the_source_of_the_proxy_decides(self) -> None:
        """http_proxy=http://user:password@host."""
        known = Proxy("http", "p", 1, Login("u", "p"))
        self.assertEqual(Logins().for_proxy(known), Login("u", "p"))

    def test_others_must_not_read_it(self) -> None:
        """0600 is enforced, and the message says how to get there."""
        with self.assertRaises(LoginFileError) as caught:
            read_logins(self.file("* a secret\n", 0o640))
        self.assertIn("chmod 600", str(caught.exception))

    def test_broken_files_are_told_without_the_password(self) -> None:
        """Missing, short line, not text."""
        with self.assertRaises(LoginFileError):
            read_logins(Path(self.mktemp()))
        with self.assertRaises(LoginFileError) as caught:
            read_logins(self.file("p.corp secret\n"))
        self.assertIn("line 1", str(caught.exception))
        self.assertNotIn("secret", str(caught.exception))
        path = self.file("")
        path.write_bytes(b"\xff\xfe")
        with self.assertRaises(LoginFileError):
            read_logins(path)


class RefusalTests(SynchronousTestCase):
    """A login that a proxy has refused."""

    def test_is_not_said_again_at_once_and_ever_less_often(self) -> None:
        """Four times in half an hour: domains lock an account after five."""
        refusals, proxy = Refusals(), Proxy("http", "p", 3128)
        login, error = Login("alice", "wrong"), LoginRefused("proxy p", "NTLM")
        tries, now = 0, 0.0
        while now < 1800:
            try:
                refusals.check(proxy, login, now)
            except LoginRefused as said:
                self.assertIs(said, error)
            else:
                tries += 1
                refusals.add(proxy, login, error, now)
            now += 15
        self.assertEqual(tries, 4)

    def test_concerns_no_other_login_or_proxy(self) -> None:
        """Also not the same one, read or typed anew: a person does not wait."""
        refusals, proxy = Refusals(), Proxy("http", "p", 3128)
        login, error = Login("alice", "x"), LoginRefused("proxy p", "NTLM")
        refusals.add(proxy, login, error, 0)
        refusals.check(proxy, Login("alice", "x"), 0)
        refusals.check(Proxy("http", "other", 3128), login, 0)
        self.assertRaises(LoginRefused, refusals.check, proxy, login, 0)
        refusals.remove(proxy)
        refusals.check(proxy, login, 0)
