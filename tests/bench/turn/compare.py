#!/usr/bin/env python3
"""Compare two TURN servers on loopback: packets (or allocations) per server CPU-second.

    compare.py --a NAME=PID:HOST:PORT[/TLSPORT]:USER:PASS --b ... --cell voice100[,hot,...]

Both servers must be running, allow relaying to 127.0.0.1 and have no quota for the user.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import benchlib as bl

# cell -> list of (what it is, saturating?, turnload options)
VOICE = ["-s", 160, "-b", 1]
HOT = ["-s", 160, "-b", 32]
CELLS = {
    "voice100": [
        ("160 B, 100 calls, client to peer", True, ["-n", 100, *VOICE, "-d", "c"]),
        ("160 B, 100 calls, peer to client", True, ["-n", 100, *VOICE, "-d", "p"]),
    ],
    "voice500": [
        ("160 B, 500 calls, client to peer", True, ["-n", 500, *VOICE, "-d", "c"]),
        ("160 B, 500 calls, peer to client", True, ["-n", 500, *VOICE, "-d", "p"]),
    ],
    "video": [
        (
            "1200 B in bursts of 8, 100 calls, client to peer",
            True,
            ["-n", 100, "-s", 1200, "-b", 8, "-d", "c"],
        ),
        (
            "1200 B in bursts of 8, 100 calls, peer to client",
            True,
            ["-n", 100, "-s", 1200, "-b", 8, "-d", "p"],
        ),
    ],
    "hot": [
        ("160 B, one flow, client to peer", True, ["-n", 1, *HOT, "-d", "c"]),
        ("160 B, one flow, peer to client", True, ["-n", 1, *HOT, "-d", "p"]),
    ],
    "relay-relay": [
        ("160 B, 100 clients, relay to relay", True, ["-n", 100, *VOICE, "-r"]),
        (
            "1200 B in bursts of 8, 100 clients, relay to relay",
            True,
            ["-n", 100, "-s", 1200, "-b", 8, "-r"],
        ),
    ],
    "moderate": [
        (
            "160 B both ways, 100 calls, 20 000 packets/s",
            False,
            ["-n", 100, *VOICE, "-d", "b", "-R", 20000],
        )
    ],
    "meeting": [
        (
            f"{people} people, voice and 1 Mbit/s of video between each two, {how}",
            False,
            ["-n", flows, "-s", 160, "-M", 1000, *way],
        )
        for people in (4, 10, 20)
        for how, flows, way in (
            ("one of the two relayed", people * (people - 1) // 2, ["-d", "b"]),
            ("both relayed", people * (people - 1), ["-r"]),
        )
    ],
    "alloc": [
        ("1500 authenticated allocations, 32 in flight", False, ["-a", 1500, "-W", 32])
    ],
    "tcp": [
        (
            "160 B, 50 TCP clients, 25 000 packets/s, client to peer",
            False,
            ["-x", "tcp", "-n", 50, *VOICE, "-d", "c", "-R", 25000],
        ),
        (
            "160 B, 50 TCP clients, 25 000 packets/s, peer to client",
            False,
            ["-x", "tcp", "-n", 50, *VOICE, "-d", "p", "-R", 25000],
        ),
    ],
    "tls": [
        (
            "160 B, 50 TLS clients, 25 000 packets/s, client to peer",
            False,
            ["-x", "tls", "-n", 50, *VOICE, "-d", "c", "-R", 25000],
        ),
        (
            "160 B, 50 TLS clients, 25 000 packets/s, peer to client",
            False,
            ["-x", "tls", "-n", 50, *VOICE, "-d", "p", "-R", 25000],
        ),
    ],
}


class Server:
    """One side of the comparison, from NAME=PID:HOST:PORT[/TLSPORT]:USER:PASS."""

    def __init__(self, text):
        self.name, _, rest = text.partition("=")
        pid, self.host, ports, login = rest.split(":", 3)
        self.user, _, self.password = login.rpartition(":")  # REST names hold a colon
        self.port, _, tls = ports.partition("/")
        self.tls_port = tls or self.port
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
            "expected NAME=PID:HOST:PORT[/TLSPORT]:USER:PASS"
        ) from None


def measure(args, side, saturating, options):
    """Run turnload once against one server."""
    pids = bl.pid_list(side.pid, args.children)
    if not pathlib.Path(f"/proc/{side.pid}").exists():
        raise RuntimeError(f"no process {side.pid}")
    port = side.tls_port if "tls" in options else side.port
    with bl.pinned(pids, args.server_core):
        r = bl.run_generator(
            [
                HERE / "turnload",
                "-h",
                side.host,
                "-p",
                port,
                "-u",
                side.user,
                "-w",
                side.password,
                "-t",
                ",".join(map(str, pids)),
                "-c",
                args.server_core,
                "-T",
                args.seconds,
                *options,
            ],
            args.gen_core,
            args.seconds + 90,
        )[0]
    notes = []
    # A saturated server must have used its core.  At a fixed rate it need not, but then
    # nobody else may have used it either.
    core = r["util"] if saturating else r["avail"]
    metrics = {"work": r["per_cpu_s"]}
    if "-M" in options:
        metrics["share"] = 100 * r["util"]
        metrics["packets"] = r["recv_s"]
    if "loss" in r:
        if r["loss"] > 0.0005:
            notes.append(f"loss {100 * r['loss']:.1f} %")
        if r["wrong"]:
            notes.append(f"{r['wrong']} wrong packets")
        if saturating and r["util"] < args.min_core <= r["avail"]:
            notes.append("the generator could not saturate it")
    else:
        metrics["rate"] = r["per_s"]
        metrics["memory"] = r["kb_per_alloc"]
        if r["failures"]:
            notes.append(f"{r['failures']} failed")
    valid = r["cpu"] > 0
    if not valid:
        notes.append("that PID used no CPU: wrong process?")
    elif metrics["work"] == 0:
        valid = False
        notes.append("nothing was delivered")
    return bl.Sample(metrics, core, notes, valid)


def main():
    """Parse the command line and print one table per cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option in ("--a", "--b"):
        parser.add_argument(option, type=server, required=True, metavar="SPEC")
    parser.add_argument(
        "--cell",
        required=True,
        metavar="CELL[,CELL]",
        help=f"all or some of: {', '.join(CELLS)}",
    )
    parser.add_argument(
        "--seconds", type=float, default=2, help="length of one measurement"
    )
    parser.add_argument(
        "--many-peers",
        action="store_true",
        help="one peer address per client (needed by port-sharing relays)",
    )
    parser.add_argument(
        "--rate",
        type=int,
        metavar="N",
        help="offer N packets/s instead of as many as possible: what is lost then?",
    )
    bl.common_arguments(parser, rounds=5)
    args = parser.parse_args()
    bl.check_arguments(args)
    bl.need_program(HERE / "turnload", "run make in its folder")
    names = list(CELLS) if args.cell == "all" else args.cell.split(",")
    if unknown := set(names) - set(CELLS):
        parser.error(f"unknown cell: {', '.join(sorted(unknown))}")
    sides = (args.a, args.b)
    for cell in names:
        for title, saturating, cell_options in CELLS[cell]:
            options = list(cell_options)
            if args.rate and saturating:
                options += ["-R", args.rate]
                saturating = False
            if args.many_peers and "-n" in options:
                options += ["-P", options[options.index("-n") + 1]]
            rounds = bl.run_rounds(
                args,
                [s.name for s in sides],
                lambda i, o=options, sat=saturating: measure(args, sides[i], sat, o),
            )
            unit = "allocations" if cell == "alloc" else "packets"
            bl.print_table(
                f"{cell}: {title}",
                [s.name for s in sides],
                rounds,
                [
                    bl.Metric("work", f"{unit} per server CPU-second"),
                    bl.Metric("share", "per cent of a core", lower_is_better=True),
                    bl.Metric("packets", "packets per second"),
                    bl.Metric("rate", "allocations per second"),
                    bl.Metric(
                        "memory",
                        "KiB of memory per allocation (only the first round of a "
                        "fresh server tells it)",
                        lower_is_better=True,
                    ),
                ],
            )


if __name__ == "__main__":
    main()
