"""Unauthenticated Allocates against the whole service, and what they cost.

    python -m tests.support.allocate_flood COUNT

Prints one JSON line: how many were answered and dropped, and by how many
KiB the process has grown after the first tenth. A process of its own, so
that nothing else is measured. The sources are random, as spoofed ones are.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from mosaic.auth.turn_credentials import TurnSecrets
from mosaic.config.settings import Turn
from mosaic.services.turn.service import TurnService
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.message import Class, Method, encode
from mosaic.wire.turn import attributes as turn
from tests.unit.test_turn_service import RecordingPlane

SERVER = Address("198.18.0.1", 3478)


class CountingPlane(RecordingPlane):
    """Keeps no answer."""

    answers = 0
    answer_bytes = 0

    def send(self, to: FiveTuple, data: bytes) -> None:
        """Count."""
        self.answers += 1
        self.answer_bytes += len(data)

    def settled(self, done: Any) -> None:
        """At once."""
        done()


def rss_kib() -> int:
    """Of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise OSError("no VmRSS in /proc/self/status")


def questions(dice: random.Random) -> list[bytes]:
    """Bare, and with credentials that somebody made up."""
    rows: list[Any] = [(turn.REQUESTED_TRANSPORT, 17)]
    made_up: list[Any] = [
        *rows,
        (stun.USERNAME, "1999999999:nobody"),
        (stun.REALM, "mosaic"),
        (stun.NONCE, "0" * 24),
    ]
    key = dice.randbytes(16)
    return [
        encode(Method.ALLOCATE, Class.REQUEST, bytes(12), rows),
        encode(Method.ALLOCATE, Class.REQUEST, bytes(12), made_up, key=key),
    ]


def main() -> None:
    """Flood, and tell."""
    count = int(sys.argv[1])
    dice, clock, plane = random.Random(1), Clock(), CountingPlane()
    service = TurnService(
        clock,
        Turn(),
        credentials=TurnSecrets([b"flood"], ttl_s=600),
        plane=plane,
        clock=clock.seconds,
    )
    service.startService()
    asked, asked_bytes, before = questions(dice), 0, 0
    for at in range(count):
        if at == count // 10:
            before = rss_kib()
        host = "%d.%d.%d.%d" % tuple(dice.randbytes(4))  # noqa: UP031 - many
        data = asked[at & 1]
        data = data[:8] + dice.randbytes(12) + data[20:] if not at & 1 else data
        asked_bytes += len(data)
        client = Address(host, dice.randrange(1, 65536))
        plane.control(data, FiveTuple("udp", client, SERVER))
        if not at % 1000:
            clock.advance(0.01)
    told = {
        "asked": count,
        "answered": plane.answers,
        "answer_bytes_per_asked": plane.answer_bytes / asked_bytes,
        "grown_kib": rss_kib() - before,
        "allocations": service.counters.allocations,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
