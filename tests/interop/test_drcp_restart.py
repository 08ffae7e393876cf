"""A server that goes and comes back: two hundred clients with unsent edits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pycrdt import Text
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from mosaic.drcpclient.client import DrcpClient
from mosaic.wire.drcp.shareddoc import SharedDocument
from tests.support.running import RunningMosaic, free_port

# The reactor of the test run; mypy sees a module.
reactor: Any = _reactor

CLIENTS = int(os.environ.get("MOSAIC_RESTART_CLIENTS", "200"))
BOUND_S = 60.0
"""What the test waits for; the figure goes to the log, and is not asserted."""

_log = Logger()


class RestartTests(TestCase):
    """`twistd mosaic` as a process, and our own client."""

    timeout = 300

    async def prepare(self) -> None:
        """Start the server, make a room."""
        # It starts twice: the folder must outlive the first run.
        state = Path(self.mktemp()).resolve()
        state.mkdir()
        self.mosaic = RunningMosaic(state=state)
        for port in ("port", "http_port", "turn_port"):
            setattr(self.mosaic, port, free_port())
        self.clients: list[DrcpClient] = []
        self.addCleanup(self.mosaic.stop)
        self.addCleanup(
            lambda: gatherResults([client.stop() for client in self.clients])
        )
        await deferToThread(self.mosaic.start)
        self.room = await deferToThread(
            self.mosaic.command_json, "room", "create", "Restart"
        )

    def tokens(self, count: int, role: str = "editor") -> list[str]:
        """Tokens of so many participants (blocks: call it in a thread)."""
        path = f"/rooms/{self.room['hub_id']}/tokens"
        made = []
        for number in range(count):
            body = {"role": role, "name": f"Person {number}"}
            status, answer = self.mosaic.call(
                "POST", path, body, token=self.room["token"]
            )
            assert status == 201, answer
            made.append(answer["token"])
        return made

    def enter(self, token: str, **options: Any) -> tuple[DrcpClient, SharedDocument]:
        """A client with the board open."""
        url = f"ws://127.0.0.1:{self.mosaic.http_port}/drcp"
        client = DrcpClient(reactor, url, token, last_retry_s=1.0, **options)
        self.clients.append(client)
        board = client.open("board")
        client.start()
        return client, board

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait, but not for ever."""
        deadline = time.monotonic() + BOUND_S
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"no {what}")
            await deferLater(reactor, 0.02)

    async def test_everybody_comes_back_with_their_edits(self) -> None:
        """Edits made while the server was away are there, each once."""
        await self.prepare()
        tokens = await deferToThread(self.tokens, CLIENTS)
        entered = [self.enter(token) for token in tokens]
        boards = [board for _, board in entered]
        await self.until(lambda: all(b.synced for b in boards), "opening")
        marks = [f"[{number}]" for number in range(2 * CLIENTS)]
        for number, board in enumerate(boards):
            write(board, marks[number])
        await self.until(lambda: not any(b.unsaved for b in boards), "saving")
        self.mosaic.signal(signal.SIGTERM)
        await deferToThread(self.mosaic.wait)
        await self.until(lambda: not any(b.synced for b in boards), "end")
        for number, board in enumerate(boards):
            write(board, marks[CLIENTS + number])
        self.assertEqual(sum(b.unsaved for b in boards), CLIENTS)
        started = time.monotonic()
        await deferToThread(self.mosaic.start)
        ready = time.monotonic()
        wanted = sum(len(mark) for mark in marks)

        def converged() -> bool:
            return all(b.synced and not b.unsaved for b in boards) and all(
                len(text(b)) >= wanted for b in boards
            )

        await self.until(converged, "convergence")
        took_s = time.monotonic() - ready
        _log.info(
            "{clients} clients converged {took:.2f} s after the server was ready,"
            " which took {start:.2f} s",
            clients=CLIENTS, took=took_s, start=ready - started,
        )  # fmt: skip
        (only,) = {text(board) for board in boards}
        self.assertEqual(len(only), wanted, "nothing is doubled")
        for mark in marks:
            self.assertEqual(only.count(mark), 1, mark)
        self.assertEqual([b.refused for b in boards], [[]] * CLIENTS)

    async def test_a_cut_is_survived_and_a_refusal_is_final(self) -> None:
        """Round trips are measured, bad tokens end it."""
        await self.prepare()
        one, two = await deferToThread(self.tokens, 2)
        client, board = self.enter(one)
        other, copy = self.enter(two)
        await client.until(lambda: board.synced and client.rtt_s is not None)
        for number in range(5):
            write(board, f"<{number}>")
            client.drop()
            write(board, f"({number})")
            await client.until(lambda: board.synced and not board.unsaved)
        await other.until(lambda: text(copy) == text(board))
        self.assertEqual(text(copy), "".join(f"<{n}>({n})" for n in range(5)))
        bad, _ = self.enter("no token")
        await bad.until(lambda: bad.state == "ended")
        self.assertEqual(bad.ended and bad.ended[0], 4401)

    async def test_a_large_document_comes_by_http(self) -> None:
        """Through the real REST service, once it is above the limit."""
        await self.prepare()
        one, two = await deferToThread(self.tokens, 2)
        client, board = self.enter(one)
        await client.until(lambda: board.synced)
        lines = "".join(f"{number:>9}\n" for number in range(60_000))
        write(board, lines)
        await client.until(lambda: not board.unsaved)
        fetched: Deferred[int] = Deferred()

        def heard(message: Any) -> None:
            reference = getattr(message.value, "reference", None)
            if reference is not None:
                fetched.callback(reference["size"])

        other, copy = self.enter(two, heard=heard)
        await other.until(lambda: copy.synced)
        self.assertEqual(text(copy), lines)
        self.assertGreater(await fetched, len(lines))
        write(copy, "end")
        await client.until(lambda: text(board).endswith("end"))


def write(board: SharedDocument, words: str) -> None:
    """Append to the board's text."""
    target = board.crdt.doc.get("t", type=Text)  # type: ignore[attr-defined]  # ClientReplica has it
    target += words


def text(board: SharedDocument) -> str:
    """The board's text."""
    return str(board.crdt.doc.get("t", type=Text))  # type: ignore[attr-defined]  # ClientReplica has it
