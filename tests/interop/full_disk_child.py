"""A process whose files may not grow, for the test of a full disk.

Prints one JSON object: what happened before, while and after.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from mosaic.store.interface import JournalEntry, StoreFull
from mosaic.store.sql import SqlStore
from tests.interop.kill9_child import HUB_ID
from tests.support.pumped import PumpedReactor

BLOCK = b"x" * 20_000


def main(database: str) -> None:
    """Write until nothing fits, read, let it grow again, write."""
    path = Path(database)
    reactor = PumpedReactor()
    store = SqlStore(path, reactor)
    reactor.result(store.start())
    said: dict[str, object] = {}

    def append(number: int) -> int:
        entry = JournalEntry(update=b"%d:" % number + BLOCK, author="child")
        return reactor.result(store.append_updates(HUB_ID, "board", [entry]))

    kept = append(1)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        for _ in range(1000):
            kept = append(kept + 1)
    except StoreFull as error:
        said["refused"] = str(error)
    try:
        for _ in range(100):
            reactor.result(store.ping())  # small: a few still fit
    except StoreFull:
        said["ping"] = "refused"
    document = reactor.result(store.load_document(HUB_ID, "board"))
    said["while_full"] = [len(document.updates), document.last_seq, kept]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    said["after"] = append(kept + 1) - kept
    reactor.result(store.stop())
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
