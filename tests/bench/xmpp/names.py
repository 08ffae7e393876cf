#!/usr/bin/env python3
"""Can a stranger tell known names from unknown ones? By shape, or by time?

    python tests/bench/xmpp/names.py [--tries 300] [--seed 1]

Starts a throwaway Mosaic and tries wrong passwords for known and unknown names, in
a random order, each from an address of its own (so that no back-off stands in the
way), over TLS. Timed are the two answers: the challenge, and the refusal. For each it
prints the medians, a Mann-Whitney U test, and how often a random division of the same
times has medians as far apart (10,000 permutations). Exit status 1 if the answers
differ in shape, or if both tests say p < 0.01.
"""

import argparse
import base64
import collections
import math
import pathlib
import random
import re
import socket
import ssl
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from crumbs import HEADER, SASL, until
from servers import Mosaic

PERMUTATIONS = 10_000
AUTH = b"<auth xmlns='%b' mechanism='SCRAM-SHA-256'>%b</auth>"
RESPONSE = b"<response xmlns='%b'>%b</response>"


def attempt(port, context, name, source):
    """One wrong password: seconds and shape of both answers."""
    raw = socket.socket()
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.settimeout(10)
    raw.bind((source, 0))
    raw.connect(("127.0.0.1", port))
    with context.wrap_socket(raw, server_hostname="localhost") as line:
        line.sendall(HEADER)
        until(line, b"</stream:features>")
        first = base64.b64encode(f"n,,n={name},r=0123456789abcdef".encode())
        asked_at = time.perf_counter()
        line.sendall(AUTH % (SASL, first))
        challenge = until(line, b"</challenge>|</failure>")
        challenged_at = time.perf_counter()
        text = base64.b64decode(re.search(b">([^<]+)<", challenge)[1]).decode()
        nonce = text.partition(",")[0].removeprefix("r=")
        proof = base64.b64encode(random.randbytes(32)).decode()
        final = base64.b64encode(f"c=biws,r={nonce},p={proof}".encode())
        answered_at = time.perf_counter()
        line.sendall(RESPONSE % (SASL, final))
        refusal = until(line, b"</failure>")
        refused_at = time.perf_counter()
    shape = (re.sub(r"(r|s)=[^,]+", lambda m: f"{m[1]}={len(m[0])}", text), refusal)
    return shape, challenged_at - asked_at, refused_at - answered_at


def mann_whitney(a, b):
    """The two-sided p of the U test (normal approximation; times have no ties)."""
    ranked = sorted([(value, 0) for value in a] + [(value, 1) for value in b])
    ranks = sum(rank for rank, (_, side) in enumerate(ranked, 1) if side == 0)
    u = ranks - len(a) * (len(a) + 1) / 2
    mean = len(a) * len(b) / 2
    spread = math.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)
    return math.erfc(abs(u - mean) / spread / math.sqrt(2))


def permutation(a, b, chance):
    """How often chance divides these times with medians as far apart."""
    apart = abs(statistics.median(a) - statistics.median(b))
    both, found = [*a, *b], 0
    for _ in range(PERMUTATIONS):
        chance.shuffle(both)
        left, right = both[: len(a)], both[len(a) :]
        found += abs(statistics.median(left) - statistics.median(right)) >= apart
    return found / PERMUTATIONS


def main():
    """Try, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["xmpp-client"])
    # u100 and the like exist, u10a and the like do not, and stand between them.
    numbers = chance.sample(range(100, 1000), args.tries)
    order = [("u", f"u{number}") for number in numbers]
    order += [("v", f"u{n // 10}{'abcdefghij'[n % 10]}") for n in numbers]
    chance.shuffle(order)
    times = collections.defaultdict(list)
    shapes = {"u": set(), "v": set()}
    with Mosaic().running(0) as (_, port):
        for n in range(20):
            attempt(port, context, f"{'uv'[n % 2]}{n + 10}", f"127.1.0.{n + 1}")
        for n, (kind, name) in enumerate(order):
            source = f"127.2.{n // 250}.{n % 250 + 1}"
            shape, *took = attempt(port, context, name, source)
            shapes[kind].add(shape)
            for step, seconds in zip(("challenge", "refusal"), took, strict=True):
                times[step, kind].append(1e6 * seconds)
    alike = shapes["u"] == shapes["v"] and len(shapes["u"]) == 1
    print(f"shapes: {'alike' if alike else shapes}")
    told = not alike
    for step in ("challenge", "refusal"):
        known, unknown = times[step, "u"], times[step, "v"]
        u_test = mann_whitney(known, unknown)
        shuffled = permutation(known, unknown, chance)
        told |= u_test < 0.01 and shuffled < 0.01
        print(
            f"{step:10} {len(known)} + {len(unknown)} tries: medians "
            f"{statistics.median(known):.0f} us known, "
            f"{statistics.median(unknown):.0f} us unknown; "
            f"Mann-Whitney p = {u_test:.3f}, permutation of medians p = {shuffled:.3f}"
        )
    sys.exit(told)


if __name__ == "__main__":
    main()
