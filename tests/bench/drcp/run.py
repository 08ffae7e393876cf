#!/usr/bin/env python3
"""Mosaic's collaboration beside Hocuspocus and y-websocket, in one run.

    python tests/bench/drcp/run.py [--cell all] [--rounds 3] [--seconds 5]
                                   [--doors y,y+tls] [--peers hocuspocus,y-websocket]

For every measurement a throwaway `twistd mosaic` (SQLite journal, tokens and
limits on) or a throwaway peer is started, loaded and stopped, all in turn, so
that a round holds every server once. A door is y, hocuspocus or drcp, with
+tls for the TLS port (+bio: with Twisted's memory BIO); the peers speak plain
WebSocket (--peer-tls: TLS too).
Needs what tests/bench/README.md names; installs the peers with npm.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import benchlib as bl
import compare
from throwaway import Mosaic

FLOODS = ("board", "trace")


def sides_of(args, cell):
    """Mosaic's doors, then the peers."""
    options = compare.CELLS[cell][1]
    peers = options[options.index("-n") + 1] if "-n" in options else 100 + 20
    ours = []
    for door in args.doors.split(","):
        name, _, tls = door.partition("+")
        transport = {"": "", "tls": "socket", "bio": "memory"}[tls]
        side = Mosaic(name, tls=transport, flood=cell in FLOODS, peers=peers)
        ours.append(side)
    named = args.peers.split(",") if args.peers else []
    return ours, [compare.Server(f"{name}=start:{name}") for name in named]


def sample(args, side, cell, certificate):
    """One measurement; a failure is a Sample without metrics."""
    taken = _sample(args, side, compare.CELLS[cell][1], certificate)
    if args.json:
        with open(args.json, "a", encoding="utf-8") as file:
            row = {"cell": cell, "server": side.name, **vars(taken)}
            print(json.dumps(row), file=file)
    return taken


def _sample(args, side, options, certificate):
    try:
        taken = compare.measure(args, side, options, certificate)
    except (RuntimeError, subprocess.SubprocessError) as error:
        return bl.Sample({}, 0.0, [str(error)], valid=False)
    if taken.valid and taken.needs_core and taken.core < args.min_core:
        taken.valid = False
        taken.notes.append(f"had {100 * taken.core:.0f} % of its core")
    return taken


def run_cell(args, cell, certificate):
    """Rounds of every server, and one table for each pair."""
    title = compare.CELLS[cell][0]
    ours, peers = sides_of(args, cell)
    sides = [*ours, *peers]
    rounds, good = [], 0
    while good < args.rounds and len(rounds) < args.max_rounds:
        taken = []
        for side in sides:
            taken.append(sample(args, side, cell, certificate))
            time.sleep(0.2)
        rounds.append(taken)
        # A peer that cannot do a cell at all does not keep the others from it.
        good += all(s.valid for s in taken if s.metrics) and any(
            s.metrics for s in taken
        )
    for a, side in enumerate(ours):
        for b, peer in enumerate(peers, len(ours)):
            pairs = [[taken[a], taken[b]] for taken in rounds]
            heading = f"{cell}: {title} ({side.name} / {peer.name})"
            bl.print_table(heading, [side.name, peer.name], pairs, compare.METRICS)
        if not peers:
            pairs = [[taken[a], taken[a]] for taken in rounds]
            bl.print_table(f"{cell}: {title}", [side.name] * 2, pairs, compare.METRICS)


def run_stall(args, certificate):
    """What ten members who stop reading cost the others: Mosaic beside itself."""
    for side in sides_of(args, "stall10")[0]:
        pairs = []
        while len(pairs) < args.rounds:
            cells = ("stall10", "stall0")
            pairs.append([sample(args, side, cell, certificate) for cell in cells])
        heading = f"stall: ten of 200 stop reading ({side.name})"
        bl.print_table(heading, ["ten stopped", "none"], pairs, compare.METRICS)


def main():
    """Build, install, run every cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cell", default="all", metavar="CELL[,CELL]")
    parser.add_argument("--doors", default="y,y+tls")
    parser.add_argument("--peers", default="hocuspocus,y-websocket")
    parser.add_argument("--peer-tls", action="store_true", dest="tls")
    parser.add_argument("--seconds", type=float, default=5)
    bl.common_arguments(parser, rounds=3)
    args = parser.parse_args()
    bl.check_arguments(args)
    every = [*(name for name in compare.CELLS if name != "stall0"), "stall"]
    names = every if args.cell == "all" else args.cell.split(",")
    if unknown := set(names) - set(compare.CELLS) - {"stall"}:
        parser.error(f"unknown cell: {', '.join(sorted(unknown))}")
    subprocess.run(["make", "-s", "-C", HERE], check=True)
    if not (HERE / "peers" / "node_modules").exists():
        npm = ["npm", "install", "--no-fund", "--no-audit"]
        subprocess.run(npm, cwd=HERE / "peers", check=True)
    compare.make_loads(names)
    with tempfile.TemporaryDirectory(prefix="bench-drcp.") as folder:
        certificate = [str(x) for x in bl.self_signed(folder)] if args.tls else []
        for cell in names:
            if cell == "stall":
                run_stall(args, certificate)
            else:
                run_cell(args, cell, certificate)


if __name__ == "__main__":
    main()
