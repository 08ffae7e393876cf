"""kill -9 at random moments under load: nothing acknowledged is lost.

25 kills, or as many as MOSAIC_KILLS says, of `twistd mosaic` as a process,
with six of our clients that write all the time. After each kill the database
is read as the next process would read it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from pycrdt import Doc
from twisted.internet import reactor as _reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from mosaic.drcpclient.client import DrcpClient
from tests.support.kills import Writer, faults, on_disk
from tests.support.running import RunningMosaic, free_port

# The reactor of the test run; mypy sees a module.
reactor: Any = _reactor
_log = Logger()

KILLS = int(os.environ.get("MOSAIC_KILLS", "25"))
BATCH = 25
"""Kills of one document; then another one is begun."""

WRITERS = 6
WAIT_S = 240.0 if KILLS <= BATCH else 300.0
"""A long run gives way to everything else on the machine."""
CONFIG = "[drcp]\nsnapshot_after_s = 0.5\n"
"""So that kills meet snapshots, and the shortening of the journal, too."""


class KillTests(TestCase):
    """The whole house, killed again and again."""

    timeout = 300 + 30 * KILLS

    async def test_no_acknowledged_edit_is_lost_and_none_invented(self) -> None:
        """Whatever the moment: at the start, while joining, in a commit."""
        state = Path(self.mktemp()).resolve()
        state.mkdir()
        config = state / "mosaic.toml"
        config.write_text(CONFIG)
        self.random = Random()
        self.database = state / "mosaic.db"
        self.mosaic = RunningMosaic("--config", str(config), state=state)
        for port in ("port", "http_port", "turn_port"):
            setattr(self.mosaic, port, free_port())
        self.addCleanup(self.mosaic.stop)
        await deferToThread(self.mosaic.start)
        self.room = await deferToThread(self.mosaic.command_json, "room", "create", "K")
        tokens = await deferToThread(self.tokens)
        done = acknowledged = written = 0
        began = time.monotonic()
        while done < KILLS:
            kills = min(BATCH, KILLS - done)
            saved, made = await self.batch(f"notes/kills-{done}", tokens, kills)
            done, acknowledged, written = (
                done + kills, acknowledged + saved, written + made,
            )  # fmt: skip
            _log.info(
                "{done} kills, {acknowledged} edits acknowledged of {written},"
                " {took:.0f} s",
                done=done, acknowledged=acknowledged, written=written,
                took=time.monotonic() - began,
            )  # fmt: skip
        self.assertGreater(acknowledged, 10 * KILLS, "there was hardly any load")

    def tokens(self) -> list[str]:
        """Tokens of the writers (blocks: call it in a thread)."""
        path = f"/rooms/{self.room['hub_id']}/tokens"
        made = []
        for number in range(WRITERS):
            body = {"role": "editor", "name": f"Writer {number}"}
            status, answer = self.mosaic.call(
                "POST", path, body, token=self.room["token"]
            )
            assert status == 201, answer
            made.append(answer["token"])
        return made

    async def batch(self, name: str, tokens: list[str], kills: int) -> tuple[int, int]:
        """Kills of one document; edits acknowledged before a kill, and made."""
        url = f"ws://127.0.0.1:{self.mosaic.http_port}/drcp"
        writers = []
        for number, token in enumerate(tokens):
            doc: Doc[Any] = Doc()
            client = DrcpClient(reactor, url, token, last_retry_s=0.3)
            shared = client.open(name, doc)
            writers.append(
                Writer(f"w{number}", client, shared, doc, self.random, reactor)
            )
            client.start()
        try:
            for writer in writers:
                writer.begin()
            for _ in range(kills):
                await self.kill(writers)
                self.assertEqual(await self.disk(name, writers, False), [])
                await deferToThread(self.mosaic.start, wait=False)
            saved = sum(writer.shared.saved_through for writer in writers)
            await self.settle(writers)
        finally:
            for writer in writers:
                writer.stop()
            await gatherResults([writer.client.stop() for writer in writers])
        self.assertEqual(await self.disk(name, writers, True), [])
        return saved, sum(writer.shared.last_edit for writer in writers)

    async def kill(self, writers: list[Writer]) -> None:
        """At some moment: now and then before anybody is back."""
        if self.random.random() < 0.8:
            saved = sum(writer.shared.saved_through for writer in writers)
            await self.until(
                lambda: sum(w.shared.saved_through for w in writers) > saved, "load"
            )
        await deferLater(reactor, self.random.uniform(0.0, 1.0))
        self.mosaic.signal(signal.SIGKILL)
        await deferToThread(self.mosaic.wait)
        # What it had written to the sockets still arrives.
        await self.until(
            lambda: not any(w.client.state == "live" for w in writers), "the end"
        )

    async def disk(self, name: str, writers: list[Writer], complete: bool) -> list[str]:
        """Faults of the document as it is in the database."""
        doc = await deferToThread(on_disk, self.database, self.room["hub_id"], name)
        return faults(doc, writers, complete=complete)

    async def settle(self, writers: list[Writer]) -> None:
        """No more edits: everybody comes to have everything."""
        for writer in writers:
            writer.stop()
        await self.until(
            lambda: all(w.shared.synced and not w.shared.unsaved for w in writers),
            "saving",
        )

        def same() -> bool:
            states = [sorted_state(writer.doc) for writer in writers]
            return all(state == states[0] for state in states)

        await self.until(same, "convergence")
        for writer in writers:
            self.assertEqual(faults(writer.doc, writers, complete=True), [])
            self.assertEqual(writer.shared.refused, [])

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait, but not for ever."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                process = self.mosaic.process
                ended = process and process.poll()
                said = self.mosaic.output()[-2000:]
                self.fail(f"no {what}; exit status {ended}:\n{said}")
            await deferLater(reactor, 0.01)


def sorted_state(doc: Doc[Any]) -> dict[int, int]:
    """The state vector, whatever its order."""
    from mosaic.workspace.documents import check_state_vector

    return check_state_vector(doc.get_state())
