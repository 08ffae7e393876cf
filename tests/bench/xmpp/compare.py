#!/usr/bin/env python3
"""Compare two XMPP servers on loopback: stanzas (or logins) per server CPU-second.

    compare.py --a NAME=PID:HOST:PORT:DOMAIN:MUCDOMAIN[:USERPREFIX:PASSWORD] --b ... \\
        --cell idle,login,route,muc

PORT takes direct TLS.  The accounts USERPREFIX0 ... USERPREFIX1000 (default u0 ...) must
exist with that password (default pw), and nothing may limit their rates.
Memory (idle) is only right for servers that have just been started: run it first.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import benchlib as bl

CELLS = {
    "idle": (
        "1000 idle sessions",
        [bl.Metric("idle", "KiB of memory per session", lower_is_better=True)],
    ),
    "login": (
        "300 logins, 8 at a time",
        [bl.Metric("login", "logins (TLS, SCRAM, bind) per server CPU-second")],
    ),
    "route": (
        "chat between two users",
        [
            bl.Metric(
                "batch50", "stanzas routed per server CPU-second, sent in batches of 50"
            ),
            bl.Metric("single", "stanzas routed per server CPU-second, one in flight"),
        ],
    ),
    "muc": (
        "a room of 101",
        [
            bl.Metric(
                "muc_join", "presences delivered per server CPU-second while 101 join"
            ),
            bl.Metric(
                "muc_message", "messages delivered per server CPU-second, 1 to 101"
            ),
            bl.Metric(
                "muc_presence",
                "presence changes delivered per server CPU-second, 1 to 101",
            ),
        ],
    ),
}


class Server:
    """One side of the comparison."""

    def __init__(self, text):
        self.name, _, rest = text.partition("=")
        pid, self.host, self.port, self.domain, self.muc, *login = rest.split(":", 6)
        self.user, self.password = login or ("u", "pw")
        self.pid = int(pid)
        if self.host == "localhost":
            self.host = "127.0.0.1"
        bl.need_loopback(self.host)


def server(text):
    """Argument type: a Server, with one clear message for any mistake."""
    try:
        return Server(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "expected NAME=PID:HOST:PORT:DOMAIN:MUCDOMAIN[:USERPREFIX:PASSWORD]"
        ) from None


def measure(args, side, cell):
    """Run load.py once against one server."""
    if not pathlib.Path(f"/proc/{side.pid}").exists():
        raise RuntimeError(f"no process {side.pid}")
    pids = bl.pid_list(side.pid, args.children)
    with bl.pinned(pids, args.server_core):
        results = bl.run_generator(
            [
                sys.executable,
                HERE / "load.py",
                cell,
                "--pid",
                ",".join(map(str, pids)),
                "--host",
                side.host,
                "--port",
                side.port,
                "--domain",
                side.domain,
                "--muc",
                side.muc,
                "--user",
                side.user,
                "--password",
                side.password,
                "--core",
                args.server_core,
                "--messages",
                args.messages,
                "--repeats",
                args.repeats,
            ],
            args.gen_core,
            200,
        )
    metrics = {r["name"]: r.get("kb", r.get("per_cpu_s")) for r in results}
    core = min(r["avail"] for r in results if "avail" in r)
    notes = [
        f"{r['name']} used {100 * r['util']:.0f} % of the core"
        for r in results
        if cell != "idle" and r.get("util", 1) < 0.5
    ]
    valid = all(r.get("cpu", 1) > 0 for r in results)
    if not valid:
        notes = ["that PID used no CPU: wrong process?"]
    return bl.Sample(metrics, core, notes, valid, needs_core=cell != "idle")


def main():
    """Parse the command line and print the tables of every cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option in ("--a", "--b"):
        parser.add_argument(option, type=server, required=True, metavar="SPEC")
    parser.add_argument(
        "--cell",
        default="all",
        metavar="CELL[,CELL]",
        help=f"all (the default) or some of: {', '.join(CELLS)}",
    )
    parser.add_argument("--messages", type=int, default=16000, help="messages in route")
    parser.add_argument("--repeats", type=int, default=200, help="stanzas sent in muc")
    bl.common_arguments(parser, rounds=3)
    args = parser.parse_args()
    bl.check_arguments(args)
    names = list(CELLS) if args.cell == "all" else args.cell.split(",")
    if unknown := set(names) - set(CELLS):
        parser.error(f"unknown cell: {', '.join(sorted(unknown))}")
    sides = (args.a, args.b)
    wanted, most = args.rounds, args.max_rounds
    for cell in names:
        # memory that was used once is not given back: only the first round means something
        args.rounds, args.max_rounds = (1, 1) if cell == "idle" else (wanted, most)
        title, metrics = CELLS[cell]
        rounds = bl.run_rounds(
            args, [s.name for s in sides], lambda i, c=cell: measure(args, sides[i], c)
        )
        bl.print_table(f"{cell}: {title}", [s.name for s in sides], rounds, metrics)


if __name__ == "__main__":
    main()
