"""NTLM's legs against a server that checks the password (pyspnego's own)."""

from __future__ import annotations

import base64
import os
import struct

from twisted.trial.unittest import SynchronousTestCase

from mosaic.proxy.spnego import SpnegoScheme, is_installed
from mosaic.wire.connect import ConnectClient, Opened, Redial, Send
from mosaic.wire.hops import Login, LoginRefused
from mosaic.wire.httpauth import Challenge

HOP = "proxy http://p:3128"


class NtlmProxy:
    """Answers CONNECT as a proxy with NTLM does."""

    def __init__(self) -> None:
        import spnego

        self._server = spnego.server(protocol="ntlm", hostname="p", service="HTTP")

    def answer(self, request: bytes) -> bytes:
        """The next answer: a challenge, the tunnel, or the beginning again."""
        from spnego.exceptions import SpnegoError

        lines = request.split(b"\r\n")
        values = [x for x in lines if x.startswith(b"Proxy-Authorization: NTLM ")]
        token = b""
        if values:
            try:
                leg = base64.b64decode(values[0].split()[-1])
                token = base64.b64encode(self._server.step(leg) or b"")
            except SpnegoError:
                token = b""
            else:
                if self._server.complete:
                    return b"HTTP/1.1 200 OK\r\n\r\n"
        offered = b"NTLM " + token if token else b"NTLM"
        return (
            b"HTTP/1.1 407 No\r\nProxy-Authenticate: %b\r\n"
            b"Content-Length: 0\r\n\r\n" % offered
        )


class NtlmTests(SynchronousTestCase):
    """Both sides on one connection."""

    def setUp(self) -> None:
        """The server's users are in a file that the environment names."""
        if not is_installed():
            self.skipTest("pyspnego is not installed")
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("CORP:alice:s3cret\n")
        self.patch(os, "environ", {**os.environ, "NTLM_USER_FILE": path})

    def ends_with(self, password: str) -> object:
        """Talk until there is a tunnel or an error."""
        scheme = SpnegoScheme("NTLM", Login("CORP\\alice", password), host="p")
        client, proxy = ConnectClient("a:443", hop=HOP, schemes=[scheme]), NtlmProxy()
        events = client.begin()
        for _ in range(5):
            (event,) = events
            if not isinstance(event, Send):
                return event
            events = client.receive(proxy.answer(event.data))
        return events

    def test_right_password(self) -> None:
        """Three legs, then the tunnel."""
        self.assertEqual(self.ends_with("s3cret"), Opened(b""))

    def test_wrong_password(self) -> None:
        """The proxy begins anew, and that is its no."""
        with self.assertRaises(LoginRefused) as caught:
            self.ends_with("wrong")
        self.assertEqual(caught.exception.scheme, "NTLM")

    def test_answer_is_of_the_second_version(self) -> None:
        """NTLMv1's is 24 octets and broken in hours; it takes LM_COMPAT_LEVEL to get
        it. User and domain stand apart, or together in a principal's name."""
        for user, level, domain, longer in (
            ("CORP\\alice", None, "CORP", True),
            ("alice@corp.example", None, "", True),
            ("CORP\\alice", "1", "CORP", False),
        ):
            if level is not None:
                os.environ["LM_COMPAT_LEVEL"] = level
            scheme = SpnegoScheme("NTLM", Login(user, "s3cret"), host="p")
            first = scheme.respond(Challenge("ntlm")) or ""
            proxy = NtlmProxy()
            asked = proxy.answer(b"Proxy-Authorization: " + first.encode())
            token = asked.partition(b"NTLM ")[2].partition(b"\r\n")[0].decode()
            answer = scheme.respond(Challenge("ntlm", token)) or ""
            message = base64.b64decode(answer.partition(" ")[2])

            def at(offset: int, message: bytes = message) -> bytes:
                size, _, start = struct.unpack_from("<HHI", message, offset)
                return message[start : start + size]

            # MS-NLMP 2.2.1.3: NtChallengeResponse, DomainName, UserName.
            self.assertEqual(len(at(20)) > 24, longer)
            self.assertEqual(at(28).decode("utf-16-le"), domain)
            self.assertEqual(at(36).decode("utf-16-le"), user.rpartition("\\")[2])

    def test_noise_in_a_challenge_is_a_refusal(self) -> None:
        """Whatever the token is, nothing but a HopError comes of it."""
        scheme = SpnegoScheme("NTLM", Login("alice", "x"), host="p")
        client = ConnectClient("a:443", hop=HOP, schemes=[scheme])
        client.begin()
        head = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nProxy-Authenticate: "
        self.assertNotIn(Redial(), client.receive(head + b"NTLM\r\n\r\n"))
        with self.assertRaises(LoginRefused):
            client.receive(head + b"NTLM TlRMTVNTUAACAAAA\r\n\r\n")
