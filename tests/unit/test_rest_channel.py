"""Connections: deadlines, framing, and refusals while a request arrives."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import binary, lists
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mosaic.config.settings import Http
from mosaic.services.rest.channel import LINGER_BYTES
from tests.support.rest import RestCase

HEAD = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
GET = HEAD + b"\r\n"


def post(*headers: bytes, body: bytes = b"") -> bytes:
    """A log-in request with these headers."""
    lines = (b"POST /api/v1/sessions HTTP/1.1", b"Host: a", *headers, b"", body)
    return b"\r\n".join(lines)


JSON = b"Content-Type: application/json"


class ChannelCase(RestCase):
    """A raw connection."""

    def status(self, transport: StringTransport) -> int:
        """The status of the first answer, 0 if there is none."""
        value = transport.value()
        return int(value.split(b" ", 2)[1]) if value else 0

    def drip(self, data: bytes, every_s: float) -> float:
        """Send a byte at a time until it is sent or the connection ends; the
        seconds that took."""
        for place in range(len(data)):
            if self.gone():
                break
            self.channel.dataReceived(data[place : place + 1])
            self.clock.advance(every_s)
        return float(self.clock.seconds())

    def gone(self) -> bool:
        """Whether the server has dropped the connection."""
        transport: Any = self.channel.transport
        return bool(transport.disconnecting or transport.disconnected)


class DeadlineTests(ChannelCase):
    """F8, T5: every phase ends, whatever trickles in."""

    def test_silence(self) -> None:
        """Nothing at all for ten seconds."""
        self.raw()
        self.clock.advance(9.9)
        self.assertFalse(self.gone())
        self.clock.advance(0.2)
        self.assertTrue(self.gone())

    def test_one_header_a_second(self) -> None:
        """Twisted's own timer would start again at each of them."""
        self.raw(HEAD)
        for number in range(20):
            if self.gone():
                break
            self.clock.advance(1)
            self.channel.dataReceived(b"X-%d: y\r\n" % number)
        self.assertTrue(self.gone())
        self.assertLess(self.clock.seconds(), 11)

    def test_one_byte_a_second(self) -> None:
        """The same within one line."""
        self.raw()
        self.assertLess(self.drip(HEAD * 3, 1.0), 11)
        self.assertTrue(self.gone())

    def test_slow_body(self) -> None:
        """Less than 1 KB/s is not worth a socket."""
        self.raw(post(JSON, b"Content-Length: 1000"))
        self.assertLess(self.drip(b"x" * 1000, 0.5), 21)
        self.assertTrue(self.gone())

    def test_body_that_keeps_the_pace_but_never_ends(self) -> None:
        """A minute in all, however diligent."""
        self.raw(post(JSON, b"Content-Length: 500000"))
        for _ in range(100):
            if self.gone():
                break
            self.channel.dataReceived(b"x" * 2000)
            self.clock.advance(1)
        self.assertTrue(self.gone())
        self.assertAlmostEqual(self.clock.seconds(), 60, delta=1)

    def test_silence_between_requests(self) -> None:
        """Kept alive for a minute; the next head has its own ten seconds."""
        transport = self.raw(GET)
        self.assertEqual(self.status(transport), 200)
        self.clock.advance(59)
        self.assertFalse(self.gone())
        self.channel.dataReceived(b"G")
        self.clock.advance(9)
        self.assertFalse(self.gone())
        self.channel.dataReceived(GET[1:])
        self.assertEqual(transport.value().count(b"200 OK"), 2)
        self.clock.advance(61)
        self.assertTrue(self.gone())

    def test_answer_that_nobody_reads(self) -> None:
        """A full buffer for a minute ends it."""
        self.raw(GET)
        self.channel.pauseProducing()
        self.clock.advance(30)
        self.channel.resumeProducing()
        self.channel.dataReceived(GET)
        self.channel.pauseProducing()
        self.clock.advance(59)
        self.assertFalse(self.gone())
        self.clock.advance(2)
        self.assertTrue(self.gone())

    def test_no_timer_survives_the_connection(self) -> None:
        """Or they would keep the memory of every peer."""
        for data in (b"", HEAD, GET, post(JSON, b"Content-Length: 9"), b"bad\r\n\r\n"):
            self.raw(data)
            self.channel.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(self.timers(), [], data)

    def test_work_has_no_deadline(self) -> None:
        """The server's own slowness is not the client's fault."""
        asked: list[Any] = []

        class Slow(Resource):
            isLeaf = True

            def render(self, request: Any) -> int:
                asked.append(request)
                return NOT_DONE_YET

        site = self.rest.site()
        site.resource = Slow()
        channel = site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(GET)
        self.clock.pump([10] * 100)
        self.assertFalse(transport.disconnecting)
        asked[0].finish()
        self.assertIn(b"200 OK", transport.value())


class DrainTests(ChannelCase):
    """A server that goes down does not cut answers in half."""

    def start(self, data: bytes) -> tuple[Any, StringTransport]:
        """A site, and one connection that has sent the data."""
        site = self.rest.site()
        self.channel = site.buildProtocol(None)
        transport = StringTransport()
        self.channel.makeConnection(transport)
        self.channel.dataReceived(data)
        return site, transport

    def test_idle_connections_are_closed(self) -> None:
        """Between requests, and before the first."""
        for data in (b"", GET):
            site, _ = self.start(data)
            site.drain()
            self.assertTrue(self.gone())

    def test_requests_under_way_are_answered(self) -> None:
        """Then the connection closes, although the client wanted to keep it."""
        body = b'{"name":"ada","password":"wrong!"}'
        site, transport = self.start(post(JSON, b"Content-Length: 34", body=body[:9]))
        site.drain()
        self.assertFalse(self.gone())
        self.channel.dataReceived(body[9:])
        self.assertIn(b" 401 ", transport.value())
        self.assertTrue(self.gone())

    def test_the_site_knows_when_all_are_gone(self) -> None:
        """So that stopping can wait for it."""
        site, _ = self.start(GET)
        self.assertEqual(len(site.live), 1)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(site.live, set())


class FramingTests(ChannelCase):
    """T14: two readers of one stream must never differ."""

    def test_ambiguous_requests_are_refused_and_closed(self) -> None:
        """400, and not a byte of what follows is taken for a request."""
        chunked = b"Transfer-Encoding: chunked"
        for head in (
            post(b"Content-Length: 5", chunked),
            post(chunked, b"Content-Length: 5"),
            post(b"Content-Length: 5", b"Content-Length: 6"),
            post(b"Content-Length: 5", b"Content-Length: 5"),
            post(b"Content-Length: +5"),
            post(b"Content-Length: -5"),
            post(b"Content-Length: 5, 5"),
            post(b"Content-Length: 0x5"),
            post(b"Content-Length: 5_0"),
            post(b"Content-Length: \xd9\xa5"),
            post(b"Content-Length:"),
            post(b"Transfer-Encoding: identity", b"Content-Length: 5"),
            post(b"Transfer-Encoding: gzip, chunked"),
            post(b"Transfer-Encoding: chunked, identity"),
            post(b"Transfer-Encoding: xchunked"),
            post(b"Transfer-Encoding: \x0bchunked"),
            post(chunked, chunked),
            post(b"Transfer-Encoding : chunked"),
            post(b" Content-Length: 5"),
            post(b"X: a\nContent-Length: 5"),
            post(b"X: a\rb"),
            post(b"X: a\x00b"),
            post(b"no colon"),
            post(b": empty name"),
            post(b"X\x01: y"),
            b"GET /livez HTTP/1.1\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: \xff\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a@b\r\n\r\n",
            b"GET /livez\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /live z HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /livez HTTP/9.9 x\r\nHost: a\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        ):
            transport = self.raw(head + b"hello" + GET)
            self.assertEqual(self.status(transport), 400, head)
            self.assertNotIn(b"200 OK", transport.value(), head)
            self.assertIn(b"Connection: close", transport.value(), head)
            self.clock.advance(3)
            self.assertTrue(self.gone(), head)

    def test_malformed_chunks(self) -> None:
        """The same within a chunked body."""
        start = post(b"Transfer-Encoding: chunked", JSON)
        for chunk in (
            b"-1\r\n",
            b"0x5\r\nhello\r\n",
            b"5\r\nhelloX",
            b"zz\r\n",
            b"\r\n",
            b"5;" + b"e" * 9000,
            b"1" * 5000,
        ):
            transport = self.raw(start + chunk + GET)
            self.assertEqual(self.status(transport), 400, chunk[:9])
            self.assertNotIn(b"200 OK", transport.value(), chunk[:9])

    def test_endless_heads(self) -> None:
        """Line, count and size of headers are bounded."""
        for head in (
            b"GET /" + b"x" * 20_000,
            HEAD + b"X: " + b"y" * 20_000,
            HEAD + b"X: y\r\n" * 600 + b"\r\n",
            HEAD + (b"X: " + b"y" * 4000 + b"\r\n") * 5 + b"\r\n",
        ):
            transport = self.raw(head)
            self.assertIn(self.status(transport), {400, 431})
            self.assertTrue(self.gone())

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        """RFC 9112 section 9.3.2."""
        missing = GET.replace(b"livez", b"nothing")
        transport = self.raw(GET + missing + GET)
        statuses = re.findall(rb"HTTP/1.1 (\d+)", transport.value())
        self.assertEqual(statuses, [b"200", b"404", b"200"])

    def test_expect_continue(self) -> None:
        """Only for what will be read."""
        expect = b"Expect: 100-continue"
        transport = self.raw(post(JSON, expect, b"Content-Length: 9"))
        self.assertIn(b"100 Continue", transport.value())
        transport = self.raw(post(JSON, expect, b"Content-Length: 99999999"))
        self.assertEqual(self.status(transport), 413)
        self.assertNotIn(b"100 Continue", transport.value())

    @settings(max_examples=150)
    @given(lists(binary(max_size=80), max_size=6))
    def test_any_bytes_are_safe(self, pieces: list[bytes]) -> None:
        """Whatever arrives: an answer or silence, no exception, no success."""
        transport = self.raw(*pieces)
        self.assertNotIn(b" 500 ", transport.value())
        self.clock.advance(700)
        self.assertTrue(self.gone())


class BodyLimitTests(ChannelCase):
    """Bodies are bounded while they arrive (section 8 of the design)."""

    http = Http(max_body_bytes=1000, max_upload_bytes=5000)

    def test_declared_too_long(self) -> None:
        """Refused by the head alone."""
        transport = self.raw(post(JSON, b"Content-Length: 1001"))
        self.assertEqual(self.status(transport), 413)

    def test_chunked_too_long(self) -> None:
        """Refused at the chunk that passes the limit; nothing is kept."""
        start = post(b"Transfer-Encoding: chunked", JSON)
        transport = self.raw(start, b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        self.assertEqual(self.status(transport), 0)
        self.channel.dataReceived(b"1\r\nx\r\n")
        self.assertEqual(self.status(transport), 413)
        self.assertTrue(self.channel.requests[0].content.closed)

    def test_exactly_the_limit(self) -> None:
        """It is what the limit says."""
        body = b" " * 998 + b"{}"
        transport = self.raw(post(JSON, b"Content-Length: 1000", body=body))
        self.assertEqual(self.status(transport), 422)

    def test_the_rest_is_dropped_for_a_while(self) -> None:
        """So that the answer is read; but a gigabyte is not swallowed."""
        transport = self.raw(post(JSON, b"Content-Length: 1073741824"))
        sent = 0
        while not self.gone() and sent < 4 * LINGER_BYTES:
            self.channel.dataReceived(b"x" * 65536)
            sent += 65536
        self.assertLess(sent, 2 * LINGER_BYTES)
        self.assertEqual(transport.value().count(b"HTTP/1.1"), 1)

    def test_other_methods_and_paths_have_the_same_limit(self) -> None:
        """Also where no body is expected."""
        for line in (b"GET /", b"PUT /nothing", b"POST /drcp", b"DELETE /api/v1/me"):
            head = line + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"
            self.assertEqual(self.status(self.raw(head)), 413)
