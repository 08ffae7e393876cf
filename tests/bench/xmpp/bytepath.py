"""The byte path in memory: what a stanza costs from dataReceived to write.

    python -m tests.bench.xmpp.bytepath [--profile] [--managed]

No sockets and no TLS: CPU microseconds for each message between two people, in
batches of 50 (one read, one write) and one at a time (a read and a write each).
--managed: both sides with acknowledgements (XEP-0198), asked for and given.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
import time
from typing import Any

from tests.support.xmpp import MemoryXmpp

BODY = "The quick brown fox jumps over the lazy dog and then some more text."
BATCH = 50


class Sink:
    """In place of a transport: counts."""

    def __init__(self) -> None:
        self.writes = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Forget it."""
        self.writes += 1
        self.size += len(data)

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


class Path:
    """Two people in one house."""

    def __init__(self, managed: bool) -> None:
        self.house = MemoryXmpp(unacked_stanzas=10**9, unacked_bytes=10**12)
        self.bob = self.house.client("bob")
        self.ann = self.house.client("ann")
        self.managed = managed
        self.sent = 0
        if managed:
            for client in (self.ann, self.bob):
                client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        self.sink = Sink()
        self.bob.protocol._outbox._transport = self.sink  # type: ignore[assignment]
        self.ann.protocol._outbox._transport = Sink()  # type: ignore[assignment]

    def message(self, number: int) -> bytes:
        """As a client writes it."""
        return (
            f"<message to='bob@localhost/r' type='chat' id='m{number}'>"
            f"<body>{BODY}</body></message>"
        ).encode()

    def run(self, rounds: int, batch: int) -> float:
        """Microseconds a message."""
        data = [
            b"".join(self.message(n * batch + m) for m in range(batch))
            for n in range(rounds)
        ]
        receive, clock = self.ann.protocol.dataReceived, self.house.clock
        acknowledge = self.bob.protocol.dataReceived
        before = time.process_time()
        for part in data:
            receive(part)
            clock.advance(0)
            if self.managed:
                self.sent += batch
                if self.sent % BATCH == 0:
                    receive(b"<r xmlns='urn:xmpp:sm:3'/>")
                    acknowledge(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % self.sent)
                    clock.advance(0)
        return (time.process_time() - before) / (rounds * batch) * 1e6


def main(arguments: list[str]) -> None:
    """Measure and print."""
    path = Path("--managed" in arguments)
    path.run(40, BATCH)
    if "--profile" in arguments:
        profile = cProfile.Profile()
        profile.enable()
        path.run(400, BATCH)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(28)
        return
    batched = min(path.run(100, BATCH) for _ in range(5))
    single = min(path.run(5000, 1) for _ in range(5))
    report = {"batched_us": round(batched, 2), "single_us": round(single, 2)}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
