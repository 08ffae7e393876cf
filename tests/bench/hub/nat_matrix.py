"""Time to media between two headless hubs, for each pair of NATs, as a table.

    python -m tests.bench.hub.nat_matrix [KIND,KIND... [KIND,KIND...]]

Each pair of the first and the second list (all with all by default) in network
namespaces (root, `ip`, `nft`). Time: from the moment at which both are in the room
until each has decoded the other's first picture, on one machine, so without any
distance. Three meetings a pair; the median and the worst.
"""

from __future__ import annotations

import signal
import statistics
import sys

from tests.support.natlab import Met, NatLab

KINDS = (
    "full-cone",
    "restricted",
    "symmetric",
    "udp-blocked",
    "mission-list",
    "web-only",
)
ROUNDS = 3


def main() -> None:
    lists = [tuple(words.split(",")) for words in sys.argv[1:]] or [KINDS]
    firsts, seconds = lists[0], lists[-1]
    pairs = [
        (first, second)
        for first in firsts
        for second in seconds
        if firsts != seconds or KINDS.index(first) <= KINDS.index(second)
    ]
    print("| first | second | path | median s | worst s | relay of each |")
    print("|---|---|---|---|---|---|")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with its namespaces
    lab = NatLab()
    try:
        for first, second in pairs:
            row([lab.meet(first, second) for _ in range(ROUNDS)])
    finally:
        lab.close()


def row(met: list[Met]) -> None:
    first, second = met[0].kinds
    paths = sorted({path for one in met for path in one.paths})
    times = [one.took_s for one in met]
    ways = " / ".join((relay or "none").split(":")[-1] for relay in met[-1].relays)
    second_steps = sum(one.generation > 0 for one in met)
    note = f" ({second_steps} by the second step)" if second_steps else ""
    print(
        f"| {first} | {second} | {', '.join(paths)}{note} | {statistics.median(times):.2f} "
        f"| {max(times):.2f} | {ways} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
