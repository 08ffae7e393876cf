"""HTTP CONNECT with its logins (RFC 9110, RFC 7617, RFC 7616)."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import binary, lists, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.connect import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    ConnectClient,
    Event,
    Opened,
    Redial,
    Send,
    authority,
)
from mosaic.wire.hops import (
    HopError,
    Login,
    LoginRefused,
    LoginWanted,
    NoAnswer,
    NoProxyProtocol,
    SchemeUnknown,
    TargetRefused,
)
from mosaic.wire.httpauth import (
    Basic,
    Challenge,
    Digest,
    Scheme,
    parse_challenges,
)

HOP = "proxy http://p:3128"
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
WANTS = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b"Proxy-Authenticate: %b\r\nContent-Length: 4\r\n\r\nsorr"
)


class Legs:
    """A scheme of several legs, as NTLM is."""

    name = "NTLM"
    bound = True
    ready = True

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def refused(self, hop: str) -> HopError:
        """As all others say it."""
        return LoginRefused(hop, self.name)

    def respond(self, challenge: Challenge) -> str | None:
        """One leg for each token; no more after the third."""
        self.tokens.append(challenge.token)
        return f"NTLM leg{len(self.tokens)}" if len(self.tokens) < 3 else None


def begun(*schemes: Scheme) -> ConnectClient:
    """A client that has asked."""
    client = ConnectClient("meet.example.org:443", hop=HOP, schemes=schemes)
    client.begin()
    return client


def sent(events: list[Event]) -> bytes:
    """What the events send."""
    return b"".join(event.data for event in events if isinstance(event, Send))


def digest(login: Login, method: str = "CONNECT", uri: str = "a:443") -> Digest:
    """With the client nonce of RFC 7616."""
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    return Digest(login, method=method, uri=uri, cnonce=lambda: cnonce)


class ConnectTests(SynchronousTestCase):
    """One tunnel, from the request to what the target says."""

    def test_request_names_the_target_twice(self) -> None:
        """RFC 9110 section 9.3.6: authority-form, and a Host that agrees."""
        asked = sent(ConnectClient("a:443", hop=HOP).begin())
        self.assertTrue(asked.startswith(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n"))
        self.assertEqual(authority("2001:db8::1", 443), "[2001:db8::1]:443")

    def test_bytes_behind_the_answer_are_the_targets(self) -> None:
        """A server that speaks first may be quicker than the next read."""
        self.assertEqual(begun().receive(OK + b"hello"), [Opened(b"hello")])
        ten = OK.replace(b"1.1", b"1.0")
        self.assertEqual(begun().receive(ten), [Opened(b"")])

    def test_password_waits_for_a_challenge(self) -> None:
        """Nothing is sent to a proxy that wants no login."""
        client = ConnectClient("a:1", hop=HOP, schemes=[Basic(Login("u", "p"))])
        self.assertNotIn(b"Proxy-Authorization", sent(client.begin()))
        answered = client.receive(WANTS % b'Basic realm="x"')
        self.assertIn(b"Proxy-Authorization: Basic dTpw\r\n", sent(answered))
        self.assertEqual(client.receive(OK), [Opened(b"")])

    def test_closing_proxy_is_dialled_again(self) -> None:
        """`Connection: close`, or no length at all (tinyproxy)."""
        for head in (
            b"HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\nhtml",
            WANTS.replace(b"Content", b"Connection: close\r\nContent") % b"Basic",
        ):
            client = begun(Basic(Login("u", "p")))
            events = client.receive(head) or client.receive(b"")
            self.assertEqual(events, [Redial()])
            self.assertIn(b"Basic dTpw", sent(client.begin()))

    def test_wrong_password_is_said_once(self) -> None:
        """A second try would lock the account."""
        client = begun(Basic(Login("u", "p")))
        client.receive(WANTS % b"Basic realm=x")
        with self.assertRaises(LoginRefused) as caught:
            client.receive(WANTS % b"Basic realm=x")
        self.assertIn("Basic", str(caught.exception))

    def test_unauthorized_is_a_wrong_password_too(self) -> None:
        """tinyproxy 1.11 answers a wrong password with 401."""
        client = begun(Basic(Login("u", "p")))
        client.receive(WANTS % b"Basic realm=x")
        with self.assertRaises(LoginRefused):
            client.receive(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
        with self.assertRaises(LoginWanted):
            begun().receive(b"HTTP/1.1 401 Unauthorized\r\n\r\n")

    def test_missing_login_names_the_schemes(self) -> None:
        """So that the person knows what to ask for."""
        with self.assertRaises(LoginWanted) as caught:
            begun().receive(WANTS % b'NTLM, Basic realm="a, b"')
        self.assertEqual(caught.exception.offered, ("NTLM", "Basic"))

    def test_unknown_scheme_is_told_from_a_wrong_password(self) -> None:
        """One is for the administrator, the other for the user."""
        with self.assertRaises(SchemeUnknown):
            begun(Basic(Login("u", "p"))).receive(WANTS % b"Negotiate")

    def test_missing_extra_is_named(self) -> None:
        """NTLM needs a package; the message says which."""
        client = ConnectClient(
            "a:1",
            hop=HOP,
            schemes=[Basic(Login("u", "p"))],
            missing={"NTLM": "pip install this"},
        )
        client.begin()
        with self.assertRaises(SchemeUnknown) as caught:
            client.receive(WANTS % b"NTLM")
        self.assertEqual(caught.exception.advice, "pip install this")

    def test_without_a_login_the_extra_for_kerberos_is_named(self) -> None:
        """With it, no login may be needed at all; but only where it would help."""
        for offered, named in ((b"Negotiate, Basic", True), (b"Basic", False)):
            client = ConnectClient("a:1", hop=HOP, missing={"Negotiate": "install it"})
            client.begin()
            with self.assertRaises(LoginWanted) as caught:
                client.receive(WANTS % offered)
            self.assertEqual("install it" in caught.exception.advice, named)

    def test_bound_scheme_keeps_its_connection(self) -> None:
        """NTLM authenticates the connection: three requests on one."""
        legs = Legs()
        client = begun(legs)
        self.assertIn(b"NTLM leg1", sent(client.receive(WANTS % b"NTLM")))
        self.assertIn(b"NTLM leg2", sent(client.receive(WANTS % b"NTLM TlRM")))
        self.assertEqual(client.receive(OK), [Opened(b"")])
        self.assertEqual(legs.tokens, ["", "TlRM"])

    def test_bound_scheme_cannot_go_on_elsewhere(self) -> None:
        """A proxy that closes between the legs lets nobody in."""
        client = begun(Legs())
        client.receive(WANTS % b"NTLM")
        with self.assertRaises(NoAnswer):
            client.receive(
                WANTS.replace(b"Content", b"Connection: close\r\nContent") % b"NTLM x="
            )

    def test_other_statuses_are_the_proxys_refusal(self) -> None:
        """With its words, and advice by status."""
        with self.assertRaises(TargetRefused) as caught:
            begun().receive(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        self.assertIn("403 Forbidden", str(caught.exception))
        self.assertIn("rule", caught.exception.advice)

    def test_limits_hold(self) -> None:
        """An endless head is refused, an endless page is cut."""
        with self.assertRaises(NoProxyProtocol):
            begun().receive(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1))
        client = begun(Basic(Login("u", "p")))
        head = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n"
        events = client.receive(head + b"x" * (MAX_BODY_BYTES + 1))
        self.assertEqual(events, [Redial()])

    def test_silence_and_noise_are_told_apart(self) -> None:
        """Nothing at all is no answer; something else is no HTTP."""
        with self.assertRaises(NoAnswer):
            begun().receive(b"")
        with self.assertRaises(NoProxyProtocol):
            begun().receive(b"SSH-2.0-OpenSSH\r\n\r\n")

    @given(lists(binary(max_size=60), max_size=6))
    def test_any_bytes_are_safe(self, pieces: list[bytes]) -> None:
        """Events or a HopError, whatever a proxy sends."""
        client = begun(Basic(Login("u", "p")), digest(Login("u", "p")))
        try:
            for piece in [*pieces, b""]:
                if Redial() in client.receive(piece):
                    client.begin()
        except HopError as error:
            self.assertEqual(error.hop, HOP)

    @given(text(max_size=200))
    def test_any_challenge_is_safe(self, value: str) -> None:
        """Header values are the proxy's text."""
        for challenge in parse_challenges([value]):
            digest(Login("u", "p")).respond(challenge)


class DigestTests(SynchronousTestCase):
    """RFC 7616 section 3.9.1."""

    NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"

    def vector(self, algorithm: str) -> str:
        """The answer to the RFC's challenge."""
        value = (
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", '
            f'algorithm={algorithm}, nonce="{self.NONCE}", opaque="{self.OPAQUE}"'
        )
        login = Login("Mufasa", "Circle of Life")
        answer = digest(login, "GET", "/dir/index.html").respond(
            parse_challenges([value])[0]
        )
        assert answer is not None
        return answer

    def test_vectors(self) -> None:
        """MD5 and SHA-256."""
        self.assertIn('response="8ca523f5e9506fed4657c9700eebdbec"', self.vector("MD5"))
        self.assertIn(
            'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"',
            self.vector("SHA-256"),
        )
        self.assertIn(f'opaque="{self.OPAQUE}"', self.vector("MD5"))

    def test_older_servers_without_qop(self) -> None:
        """RFC 2617 section 3.5's vector, as RFC 2069 would have it."""
        scheme = digest(Login("Mufasa", "CircleOfLife"), "GET", "/dir/index.html")
        nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
        challenge = Challenge(
            "digest", "", {"realm": "testrealm@host.com", "nonce": nonce}
        )
        answer = scheme.respond(challenge) or ""
        self.assertIn('response="1949323746fe6a43ef61f9606e7febea"', answer)

    def test_stronger_algorithm_is_taken(self) -> None:
        """A proxy may offer both (section 3.7)."""
        client = begun(digest(Login("u", "p")))
        offered = b'Digest realm="x", nonce="n", algorithm=%b, qop="auth"'
        both = offered % b"MD5" + b", " + offered % b"SHA-256"
        self.assertIn(b"algorithm=SHA-256", sent(client.receive(WANTS % both)))

    def test_stale_nonce_is_answered_and_a_wrong_password_is_not(self) -> None:
        """Section 3.3: stale=true means that the password was right."""
        offered = b'Digest realm="x", nonce="%b", qop="auth"%b'
        client = begun(digest(Login("u", "p")))
        client.receive(WANTS % (offered % (b"one", b"")))
        again = client.receive(WANTS % (offered % (b"two", b", stale=true")))
        self.assertIn(b'nonce="two"', sent(again))
        with self.assertRaises(LoginRefused):
            client.receive(WANTS % (offered % (b"three", b"")))

    def test_user_hash(self) -> None:
        """Section 3.4.4: the name is not sent where the proxy asks for that."""
        challenge = parse_challenges(
            ['Digest realm="r", nonce="n", qop="auth", userhash=true']
        )[0]
        answer = digest(Login("alice", "p")).respond(challenge) or ""
        self.assertNotIn("alice", answer)
        self.assertIn("userhash=true", answer)
