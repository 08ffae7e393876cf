"""A process that writes as fast as it can and says what was acknowledged.

Run as a module: `python -m tests.interop.kill9_child DATABASE ROUND`. Each
line "ack N" is printed after the store said that update N is on disk.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet.defer import Deferred

from mosaic.store.interface import JournalEntry
from mosaic.store.sql import SqlStore
from tests.support.pumped import PumpedReactor

HUB_ID = "100000009"
IN_FLIGHT = 32


def main(database: str, round_name: str) -> None:
    """Keep IN_FLIGHT updates on their way until somebody kills us."""
    reactor = PumpedReactor()
    store = SqlStore(Path(database), reactor, commit_window_s=0.002)
    reactor.result(store.start())
    number = 0

    def send() -> None:
        nonlocal number
        number += 1
        text = f"{round_name}:{number}"
        entry = JournalEntry(update=text.encode(), author="child")
        kept: Deferred[int] = store.append_updates(HUB_ID, "board", [entry])
        kept.addCallback(acknowledge, text)

    def acknowledge(_seq: int, text: str) -> None:
        # one write system call: a kill cannot leave half a line
        os.write(sys.stdout.fileno(), f"ack {text}\n".encode())
        send()

    for _ in range(IN_FLIGHT):
        send()
    while True:
        reactor.turn()


if __name__ == "__main__":
    main(*sys.argv[1:])
