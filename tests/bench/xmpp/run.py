#!/usr/bin/env python3
"""Mosaic's XMPP beside Prosody and ejabberd, in one run: work per CPU-second.

    python tests/bench/xmpp/run.py [--cell all] [--rounds 3] [--seconds 2]
                                   [--peers prosody,ejabberd] [--window 1]

For every measurement a throwaway server is started, loaded and stopped, all in
turn, so that a round holds every server once; the server has one core and the
generator the other. Peers: prosody and ejabberd, and the same without archive
(prosody-noarchive, ejabberd-noarchive). Needs what tests/bench/README.md names.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import benchlib as bl
from servers import Ejabberd, Mosaic, Prosody

CELLS = {
    "login": (
        "300 logins, 8 at a time",
        [bl.Metric("login", "logins (TLS, SCRAM, bind) per CPU-second")],
    ),
    "route": (
        "chat between two users, in batches of 50",
        [bl.Metric("batch", "stanzas routed per CPU-second")],
    ),
    "single": (
        "chat between two users, one in flight",
        [bl.Metric("single", "stanzas routed per CPU-second")],
    ),
    "muc": (
        "a room of 101",
        [
            bl.Metric("muc_join", "presences delivered per CPU-second, 101 join"),
            bl.Metric("muc_message", "messages delivered per CPU-second, 1 to 101"),
            bl.Metric("muc_presence", "presences delivered per CPU-second, 1 to 101"),
        ],
    ),
    "idle": (
        "1000 idle sessions",
        [
            bl.Metric("idle", "KiB of memory per session", lower_is_better=True),
            bl.Metric("base_mb", "MiB before them", lower_is_better=True),
            bl.Metric("idle_login", "logins per CPU-second"),
        ],
    ),
}
PEERS = {
    "prosody": Prosody,
    "ejabberd": Ejabberd,
    "prosody-noarchive": lambda: Prosody(archive=False),
    "ejabberd-noarchive": lambda: Ejabberd(archive=False),
}


def measure(args, side, cell):
    """Start one server, load it, stop it."""
    with side.running(args.server_core) as (pid, port):
        pids = bl.pid_list(pid, args.children)
        argv = [HERE / "xmppload", "-p", port, "-P", ",".join(map(str, pids))]
        argv += ["-d", side.domain, "-m", side.muc, "-c", args.server_core]
        argv += ["-s", args.seconds, "-W", args.window, *(["-x"] * args.plain), cell]
        results = bl.run_generator(argv, args.gen_core, 200)
    metrics = {}
    for result in results:
        metrics[result["name"]] = result.get("kb", result.get("per_cpu_s"))
        if "base_mb" in result:
            metrics["base_mb"] = result["base_mb"]
    measured = [r for r in results if "avail" in r]
    core = min(r["avail"] for r in measured)
    notes = [f"{r['name']} used {100 * r['util']:.0f} %" for r in measured]
    return bl.Sample(metrics, core, notes, needs_core=cell != "idle")


def sample(args, side, cell):
    """One measurement; a failure is a Sample without metrics."""
    try:
        taken = measure(args, side, cell)
    except (RuntimeError, subprocess.SubprocessError) as error:
        taken = bl.Sample({}, 0.0, [str(error)], valid=False)
    if taken.valid and taken.needs_core and taken.core < args.min_core:
        taken.valid = False
        taken.notes.append(f"had {100 * taken.core:.0f} % of its core")
    if args.json:
        with open(args.json, "a", encoding="utf-8") as file:
            row = {"cell": cell, "server": side.name, **vars(taken)}
            print(json.dumps(row), file=file)
    return taken


def run_cell(args, cell, sides):
    """Rounds of every server, and one table for each pair."""
    title, metrics = CELLS[cell]
    rounds, good = [], 0
    while good < args.rounds and len(rounds) < args.max_rounds:
        taken = []
        for side in sides:
            taken.append(sample(args, side, cell))
            time.sleep(0.2)
        rounds.append(taken)
        # A server that cannot do a cell at all does not keep the others from it.
        good += all(s.valid for s in taken if s.metrics) and any(
            s.metrics for s in taken
        )
    for b, peer in enumerate(sides[1:] or sides, min(1, len(sides) - 1)):
        pairs = [[taken[0], taken[b]] for taken in rounds]
        names = [sides[0].name, peer.name]
        bl.print_table(f"{cell}: {title} ({' / '.join(names)})", names, pairs, metrics)


def main():
    """Build the generator, run every cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cell", default="all", metavar="CELL[,CELL]")
    parser.add_argument("--peers", default="prosody,ejabberd")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument(
        "--window", type=int, default=1, help="stanzas under way to a room"
    )
    parser.add_argument(
        "--plain", action="store_true", help="neither acknowledgements nor carbons"
    )
    parser.add_argument(
        "--mosaic-config", metavar="TOML", default="", help="settings for Mosaic"
    )
    parser.add_argument("--no-mosaic", action="store_true", help="the first peer is A")
    bl.common_arguments(parser, rounds=3)
    args = parser.parse_args()
    bl.check_arguments(args)
    names = list(CELLS) if args.cell == "all" else args.cell.split(",")
    peers = args.peers.split(",") if args.peers else []
    if unknown := (set(names) - set(CELLS)) | (set(peers) - set(PEERS)):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    subprocess.run(["make", "-s", "-C", HERE], check=True)
    sides = [PEERS[name]() for name in peers]
    if not args.no_mosaic:
        sides.insert(0, Mosaic(args.mosaic_config))
    for cell in names:
        run_cell(args, cell, sides)


if __name__ == "__main__":
    main()
