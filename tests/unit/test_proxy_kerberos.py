"""Kerberos without a library: when a ticket is asked for, and what is said of it."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.proxy.endpoint import schemes_for
from mosaic.proxy.kerberos import Context, KerberosScheme, Trouble
from mosaic.proxy.routes import Proxy
from mosaic.proxy.tickets import AGAIN_S, Tickets
from mosaic.wire.connect import ConnectClient, Opened, Prepare, Redial, Send
from mosaic.wire.hops import (
    HopError,
    Login,
    LoginWanted,
    TicketFailed,
    TicketRefused,
)
from mosaic.wire.httpauth import Challenge

HOP = "proxy http://p:3128"
WANTS = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nProxy-Authenticate: %b\r\n\r\n"
OK = b"HTTP/1.1 200 Go\r\n\r\n"
KEYTAB = Login("*", "", "/etc/hub.keytab")


class Library:
    """Gives a context of `legs` tokens, or trouble."""

    def __init__(self, legs: int = 1, trouble: Trouble | None = None) -> None:
        self.legs = legs
        self.trouble = trouble
        self.asked: list[tuple[str, Login | None]] = []

    def __call__(self, host: str, login: Login | None) -> tuple[Context, bytes]:
        """As the library's wrapper does."""
        self.asked.append((host, login))
        if self.trouble is not None:
            raise self.trouble
        self.legs -= 1
        return self, b"ticket"

    @property
    def complete(self) -> bool:
        """After its last leg."""
        return self.legs == 0

    def step(self, token: bytes | None = None) -> bytes | None:
        """One more."""
        self.legs -= 1
        return b"more for " + (token or b"")


def scheme(library: Library, login: Login | None = None) -> KerberosScheme:
    return KerberosScheme("p", login, hop=HOP, ask=library)


def client(one: KerberosScheme, *, unasked: bool = False) -> ConnectClient:
    made = ConnectClient("a:1", hop=HOP, schemes=[one], unasked=unasked)
    made.begin()
    return made


def negotiate(token: bytes) -> bytes:
    return b"Proxy-Authorization: Negotiate " + base64.b64encode(token) + b"\r\n"


class SchemeTests(SynchronousTestCase):
    """Under CONNECT."""

    def test_ticket_is_asked_for_when_the_proxy_wants_one(self) -> None:
        """Not before, and not while bytes are read: then the proxy is dialled anew."""
        library = Library()
        one = scheme(library)
        asking = client(one)
        self.assertEqual(asking.receive(WANTS % b"Negotiate, Basic"), [Prepare(one)])
        self.assertEqual(library.asked, [])
        one.prepare()
        asking.begin()
        (said,) = asking.receive(WANTS % b"Negotiate, Basic")
        assert isinstance(said, Send)
        self.assertIn(negotiate(b"ticket"), said.data)
        self.assertEqual(asking.receive(OK), [Opened(b"")])
        self.assertEqual(library.asked, [("p", None)])

    def test_proxy_that_closes_after_each_challenge(self) -> None:
        """The ticket goes on the next connection: it is bound to none yet."""
        one = scheme(Library())
        asking = client(one)
        asking.receive(WANTS % b"Negotiate")
        one.prepare()
        asking.begin()
        closing = WANTS.replace(b"Content", b"Connection: close\r\nContent")
        self.assertEqual(asking.receive(closing % b"Negotiate"), [Redial()])
        (said,) = asking.begin()
        assert isinstance(said, Send)
        self.assertIn(negotiate(b"ticket"), said.data)

    def test_second_leg(self) -> None:
        """Where the proxy has a token of its own, the context answers it."""
        one = scheme(Library(legs=2))
        one.prepare()
        asking = client(one)
        asking.receive(WANTS % b"Negotiate")
        (said,) = asking.receive(WANTS % b"Negotiate YQ==")
        assert isinstance(said, Send)
        self.assertIn(negotiate(b"more for a"), said.data)

    def test_refused_ticket(self) -> None:
        """In words of its own: no password was wrong."""
        for answer in (b"Negotiate", b"Negotiate YQ==", b"Negotiate !"):
            one = scheme(Library())
            one.prepare()
            asking = client(one)
            asking.receive(WANTS % b"Negotiate")
            with self.assertRaises(TicketRefused) as caught:
                asking.receive(WANTS % answer)
            self.assertIn("HTTP/p", caught.exception.message)

    def test_without_a_login_and_a_ticket(self) -> None:
        """Either would do, and the advice has both."""
        one = scheme(Library(trouble=Trouble("none", "no credentials")))
        one.prepare()
        with self.assertRaises(LoginWanted) as caught:
            client(one, unasked=True).receive(WANTS % b"Negotiate, Basic")
        self.assertIn("(Negotiate, Basic)", caught.exception.message)
        self.assertIn("kinit", caught.exception.advice)

    def test_proxy_without_negotiate_is_not_offered_a_ticket(self) -> None:
        """And what it wants is a login."""
        library = Library()
        with self.assertRaises(LoginWanted) as caught:
            client(scheme(library), unasked=True).receive(WANTS % b"Basic")
        self.assertNotIn("kinit", caught.exception.advice)
        self.assertEqual(library.asked, [])

    def test_order_of_schemes(self) -> None:
        """A keytab is for Kerberos alone; a domain's name and backslash are NTLM's."""
        proxy = Proxy("http", "p", 3128)
        for login, kerberos in (
            (KEYTAB, True),
            (None, True),
            (Login("alice@CORP.EXAMPLE", "x"), True),
            (Login("CORP\\alice", "x"), False),
        ):
            self.patch_installed()
            kinds = [type(each) for each in schemes_for(login, proxy, "a:1")]
            self.assertEqual(KerberosScheme in kinds, kerberos)
            if login is None or login.keytab:
                self.assertEqual(kinds, [KerberosScheme])

    def patch_installed(self) -> None:
        """As if the extra were there."""
        from mosaic.proxy import kerberos

        self.patch(kerberos, "is_installed", lambda: True)


class TicketsTests(SynchronousTestCase):
    """The desk, on a Clock; threads are Deferreds that the test fires."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.threads: list[tuple[Any, Deferred[None]]] = []

        def in_thread(reactor: Any, work: Any) -> Deferred[None]:
            self.threads.append((work, Deferred()))
            return self.threads[-1][1]

        self.tickets = Tickets(in_thread)

    def get(self, one: KerberosScheme) -> Deferred[None]:
        return Deferred.fromCoroutine(self.tickets.get(one, self.clock, 20.0))

    def finish(self) -> None:
        """The oldest thread comes to its end."""
        work, done = self.threads.pop(0)
        work()
        done.callback(None)

    def test_one_after_the_other(self) -> None:
        """A KDC that is away must not take all threads."""
        first, second = self.get(scheme(Library())), self.get(scheme(Library()))
        self.assertEqual(len(self.threads), 1)
        self.finish()
        self.successResultOf(first)
        self.assertEqual(len(self.threads), 1)
        self.finish()
        self.successResultOf(second)

    def test_failure_is_told_to_all_who_ask_soon_after(self) -> None:
        """Then the KDC is asked again."""
        library = Library(trouble=Trouble("kdc", "away"))
        waiting = [self.get(scheme(library, KEYTAB)) for _ in range(3)]
        self.finish()
        for each in waiting:
            self.failureResultOf(each, TicketFailed)
        self.assertEqual((len(library.asked), self.threads), (1, []))
        self.clock.advance(AGAIN_S)
        self.get(scheme(library, KEYTAB))
        self.assertEqual(len(self.threads), 1)

    def test_thread_that_takes_too_long_is_left_alone(self) -> None:
        """The next one waits behind it, and is not prepared if it has gone too."""
        one, two = Library(), Library()
        first, second = self.get(scheme(one)), self.get(scheme(two))
        self.clock.advance(20)
        for each in (first, second):
            error: HopError = self.failureResultOf(each).value
            self.assertIn("no answer within 20 s", error.message)
        self.assertEqual(len(self.threads), 1)
        self.finish()
        self.assertEqual((self.threads, two.asked), ([], []))

    def test_what_else_there_is_to_try_is_tried(self) -> None:
        """With a password, and with no login where only a ticket is missing."""
        for login, trouble in (
            (Login("alice@CORP", "x"), Trouble("kdc", "away")),
            (None, Trouble("none", "no credentials")),
        ):
            one = scheme(Library(trouble=trouble), login)
            got = self.get(one)
            self.finish()
            self.successResultOf(got)
            self.assertIsNone(one.respond(Challenge("negotiate")))
        expired = scheme(Library(trouble=Trouble("expired", "Ticket expired")))
        self.clock.advance(AGAIN_S)
        got = self.get(expired)
        self.finish()
        error: HopError = self.failureResultOf(got, TicketFailed).value
        self.assertIn("has expired (Ticket expired)", error.message)
        self.assertIn("kinit", error.advice)
