"""The cases of the Autobahn testsuite (sections 1-7, 9, 10) against our sockets.

The suite itself is Python 2 code; these are its cases by number, sent by a
client of ours to an echo on the very Socket class that serves DRCP.
"""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Drcp
from mosaic.services.drcp.native import NativeConnection
from mosaic.services.drcp.service import DrcpService
from mosaic.services.drcp.sockets import Socket, SocketFactory, SocketResource
from mosaic.store.memory import MemoryStore
from tests.support.drcp import TokenDoor
from tests.support.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Outcome,
    close,
    fragments,
    frame,
    talk,
)

# The reactor of the test run; mypy sees a module.
reactor: Any = _reactor

Messages = list[tuple[int, bytes]]
Case = tuple[list[bytes], Messages, int | None]
"""What is sent, what must come back, and the close code (0: none in it)."""

HELLO = "Hello-µ@ßöäüàá-UTF-8!!".encode()
LIMIT = 16 * 1024 * 1024 + 1


class EchoSocket(Socket):
    """Our socket, but for what it does with a message."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Say it again."""
        self.sendMessage(payload, isBinary)


class EchoFactory(SocketFactory):
    """A door that echoes. Large messages are let in."""

    protocol = EchoSocket

    def connect(self, socket: Socket, request: Any) -> Any:
        """A connection that echoes what comes the short way for small frames."""
        connection: Any = NativeConnection(self.service, socket)
        connection.frame_received = partial(socket.sendMessage, isBinary=True)
        connection._greeting.cancel()
        socket.limit_messages(LIMIT)
        return connection


def echoed(*messages: tuple[int, bytes]) -> Case:
    """Sent whole, and echoed; then a clean close."""
    sent = [frame(kind, payload) for kind, payload in messages]
    return [*sent, close()], list(messages), 1000


def refused(*sent: bytes, code: int = 1002, before: Messages | None = None) -> Case:
    """The server closes with the code (after echoing what came before)."""
    return list(sent), before or [], code


def sizes() -> dict[str, Case]:
    """Sections 1 and 9: lengths at the borders of the three forms, and large."""
    cases = {}
    for group, kind, byte in (("1.1", TEXT, b"*"), ("1.2", BINARY, b"\xfe")):
        for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            cases[f"{group}.{number}"] = echoed((kind, byte * size))
    for group, kind in (("9.1", TEXT), ("9.2", BINARY)):
        for number, size in enumerate((65536, 262144, 1048576, 4194304, 16777216), 1):
            if number < 5 or kind == BINARY:
                cases[f"{group}.{number}"] = echoed((kind, b"*" * size))
    for number, size in enumerate((64, 1024, 65536), 1):
        sent = fragments(TEXT, b"*" * 1048576, size)
        cases[f"9.3.{number}"] = [*sent, close()], [(TEXT, b"*" * 1048576)], 1000
    cases["10.1.1"] = (
        [*fragments(TEXT, b"*" * 65536, 1300), close()], [(TEXT, b"*" * 65536)], 1000,
    )  # fmt: skip
    return cases


def pings() -> dict[str, Case]:
    """Section 2."""
    cases: dict[str, Case] = {}
    for number, payload in enumerate(
        (b"", b"Hello, world!", b"\0\xff\xfe\xfd\xfc\xfb\0\xff", b"\xfe" * 125), 1
    ):
        cases[f"2.{number}"] = [frame(PING, payload), close()], [(PONG, payload)], 1000
    cases["2.5"] = refused(frame(PING, b"\xfe" * 126))
    cases["2.7"] = [frame(PONG), close()], [], 1000
    cases["2.8"] = [frame(PONG, b"unsolicited"), close()], [], 1000
    ping = [frame(PONG, b"x"), frame(PING, b"ping"), close()]
    cases["2.9"] = ping, [(PONG, b"ping")], 1000
    ten = [b"payload-%d" % number for number in range(10)]
    sent = [*(frame(PING, one) for one in ten), close()]
    cases["2.10"] = sent, [(PONG, one) for one in ten], 1000
    return cases


def broken_frames() -> dict[str, Case]:
    """Sections 3 and 4: reserved bits and opcodes."""
    cases = {}
    hello = (TEXT, b"Hello, world!")
    for rsv in range(1, 8):
        cases[f"3.{rsv}"] = refused(
            frame(*hello), frame(TEXT, b"x", rsv=rsv), before=[hello]
        )
    for number, opcode in enumerate((3, 4, 5, 6, 7), 1):
        cases[f"4.1.{number}"] = refused(frame(*hello), frame(opcode), before=[hello])
    for number, opcode in enumerate((11, 12, 13, 14, 15), 1):
        cases[f"4.2.{number}"] = refused(frame(*hello), frame(opcode), before=[hello])
    return cases


def fragmented() -> dict[str, Case]:
    """Section 5."""
    first = frame(TEXT, b"fragment1", fin=False)
    last = frame(CONTINUATION, b"fragment2")
    whole = (TEXT, b"fragment1fragment2")
    lone = frame(CONTINUATION, b"non-continuation payload")
    open_lone = frame(CONTINUATION, b"non-continuation payload", fin=False)
    ping = frame(PING, b"ping payload")
    pong = (PONG, b"ping payload")
    middle = frame(CONTINUATION, b"fragment2", fin=False)
    end = frame(CONTINUATION, b"fragment3")
    three = (TEXT, b"fragment1fragment2fragment3")
    return {
        "5.1": refused(frame(PING, b"a", fin=False), frame(CONTINUATION, b"b")),
        "5.2": refused(frame(PONG, b"a", fin=False), frame(CONTINUATION, b"b")),
        "5.3": ([first, last, close()], [whole], 1000),
        "5.6": ([first, ping, last, close()], [pong, whole], 1000),
        "5.9": refused(lone, frame(TEXT, b"Hello, world!")),
        "5.12": refused(open_lone, frame(TEXT, b"Hello, world!")),
        "5.15": refused(first, last, open_lone, before=[whole]),
        "5.18": refused(first, frame(TEXT, b"fragment2")),
        "5.19": (
            [first, middle, ping, middle, ping, end, close()],
            [pong, pong, (TEXT, b"fragment1fragment2fragment2fragment3")],
            1000,
        ),
        "5.20": ([first, middle, ping, end, close()], [pong, three], 1000),
    }


VALID = [
    "", "κόσμε", "\x00", "\x80", "ࠀ", "𐀀", "\x7f", "߿", "\uffff", "\U0010ffff",
    "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\U0001fffe", "\U0010fffe",
]  # fmt: skip
INVALID = [
    "ce", "cebae1", "f4908080", "f8888080", "fc8480808080", "80", "bf", "8080bf",
    "c0", "e0", "f0", "c3", "dfdf", "e28281ff", "fe", "ff", "fefeffff", "c0af",
    "e080af", "f08080af", "f8808080af", "c1bf", "e09fbf", "f08fbfbf", "c080", "e08080",
    "eda080", "edadbf", "edae80", "edbfbf", "eda080edb080",
    "cebae1bdb9cf83cebcceb5eda080656469746564",
]  # fmt: skip


def texts() -> dict[str, Case]:
    """Section 6: what is UTF-8 and what is not, whole and in fragments."""
    cases: dict[str, Case] = {
        "6.1.1": echoed((TEXT, b"")),
        "6.1.2": (
            [*(frame(TEXT, fin=False), frame(CONTINUATION), close())],
            [(TEXT, b"")],
            1000,
        ),
        "6.2.1": echoed((TEXT, HELLO)),
        "6.2.2": ([*fragments(TEXT, HELLO, 12), close()], [(TEXT, HELLO)], 1000),
        "6.2.3": ([*fragments(TEXT, HELLO, 1), close()], [(TEXT, HELLO)], 1000),
        # Fail fast: the message is not over yet.
        "6.4.1": refused(
            frame(TEXT, "κόσμε".encode(), fin=False),
            frame(CONTINUATION, bytes.fromhex("f4908080"), fin=False),
            code=1007,
        ),
    }
    for number, text in enumerate(VALID):
        data = text.encode()
        cases[f"6.5+.{number} valid"] = echoed((TEXT, data))
        sent = [*fragments(TEXT, data, 1), close()]
        cases[f"6.5+.{number} valid, byte by byte"] = sent, [(TEXT, data)], 1000
    for number, digits in enumerate(INVALID):
        data = bytes.fromhex(digits)
        if number > 1:  # the first two only end too early
            cases[f"6.3+.{number} begun"] = refused(
                frame(TEXT, data + b"....", fin=False), code=1007
            )
        cases[f"6.3+.{number} invalid"] = refused(frame(TEXT, data), code=1007)
    return cases


GOOD_CODES = [
    *(1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011),
    *(3000, 3999, 4000, 4999),
]
BAD_CODES = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]


def closes() -> dict[str, Case]:
    """Section 7. A good close frame is answered by 1000, whatever its code; a
    bad one by the end of the connection, which the suite allows too."""
    cases: dict[str, Case] = {
        "7.1.1": echoed((TEXT, b"Hello World!")),
        "7.1.2": ([close(), close()], [], 1000),
        "7.1.3": ([close(), frame(PING)], [], 1000),
        "7.1.4": ([close(), frame(TEXT, b"x")], [], 1000),
        "7.3.1": ([close(None)], [], 1000),
        "7.3.2": ([frame(CLOSE, b"a")], [], None),
        "7.3.3": ([close(1000)], [], 1000),
        "7.3.4": ([close(1000, b"Hello World!")], [], 1000),
        "7.3.5": ([close(1000, b"*" * 123)], [], 1000),
        "7.3.6": ([close(1000, b"*" * 124)], [], None),
        "7.5.1": ([close(1000, bytes.fromhex("cebaf4908080"))], [], None),
    }
    for code in GOOD_CODES:
        cases[f"7.7.{code}"] = [close(code)], [], 1000
    for code in BAD_CODES:
        cases[f"7.9.{code}"] = [close(code)], [], None
    return cases


class WebSocketCases(TestCase):
    maxDiff = None
    """Each case by its number; a failure names it."""

    timeout = 300

    def setUp(self) -> None:
        """An echo on a free port of the loopback interface."""
        self.service = DrcpService(
            reactor,
            Drcp(),
            door=TokenDoor(),  # type: ignore[arg-type]  # nobody asks it
            store=MemoryStore(wall=reactor.seconds),
            bus=MemoryBus(reactor),
            origin_allowed=lambda origin, host: True,
            wall_clock=reactor.seconds,
        )
        self.service.startService()
        factory = EchoFactory(self.service)
        factory.startFactory()
        root = Resource()
        root.putChild(b"echo", SocketResource(factory))
        self.port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        self.addCleanup(lambda: Deferred.fromCoroutine(self._stop()))

    async def _stop(self) -> None:
        """Wait for every socket and timer."""
        await self.service.stopService()
        await self.port.stopListening()
        for _ in range(1500):
            calls = map(repr, reactor.getDelayedCalls())
            if not any("_BatchedTimer" in call for call in calls):
                return
            await deferLater(reactor, 0.02)

    async def check(self, cases: dict[str, Case], *, chop: int = 0) -> None:
        """All of them; what is wrong is told at the end."""
        number = self.port.getHost().port
        wrong = {}
        for name, (sent, messages, code) in cases.items():
            got: Outcome = await deferToThread(talk, number, "/echo", sent, chop=chop)
            if got != Outcome(messages, code):
                shown = [(kind, data[:40]) for kind, data in got.messages]
                wrong[name] = (shown, got.closed)
        self.assertEqual(wrong, {}, f"{len(wrong)} of {len(cases)}")

    async def test_framing_and_sizes(self) -> None:
        """Sections 1, 9, 10."""
        await self.check(sizes())

    async def test_framing_in_pieces(self) -> None:
        """1.1.8, 1.2.8, 2.6, 9.5: the same in pieces of 997 bytes, and of one."""
        cases = sizes()
        small = {name: cases[name] for name in cases if name.startswith("1.")}
        await self.check(small, chop=997)
        await self.check({**pings(), **fragmented()}, chop=1)

    async def test_pings(self) -> None:
        """Section 2."""
        await self.check(pings())

    async def test_reserved_bits_and_opcodes(self) -> None:
        """Sections 3 and 4."""
        await self.check(broken_frames())

    async def test_fragmentation(self) -> None:
        """Section 5."""
        await self.check(fragmented())

    async def test_utf8(self) -> None:
        """Section 6."""
        await self.check(texts())

    async def test_closing(self) -> None:
        """Section 7."""
        await self.check(closes())
