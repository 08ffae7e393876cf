#!/usr/bin/env python3
"""Compare two Yjs collaboration servers on loopback: deliveries per server CPU-second.

    compare.py --a SPEC --b SPEC --cell fan50-50k[,board,...]

A SPEC is one of
    NAME=start:y-websocket           start the pinned peer, a fresh process for every run
    NAME=start:hocuspocus[:MS]       the same; MS is its flushDelay (default 0)
    NAME=PID,URL[,hocus][,doc=DOC][,token=TOKEN]
                                     a running server; "hocus" selects Hocuspocus framing
{doc} in URL and DOC becomes a document name that is new in every run, for example
    mosaic=4711,ws://127.0.0.1:8080/y/bench/{doc}?token=T
    mosaic=4711,ws://127.0.0.1:8080/hocuspocus,hocus,doc=bench/{doc},token=T
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import benchlib as bl

PEERS = HERE / "peers"
BOARD = HERE / "board.update"
TRACE = HERE / "trace.updates"

# cell -> (what it is, lg options)
CELLS = {
    "fan50-10k": (
        "50 clients, all active, 10 000 deliveries/s",
        ["-n", 50, "-u", 2, "-w", 2],
    ),
    "fan200-10k": (
        "200 clients, all active, 10 000 deliveries/s",
        ["-n", 200, "-u", 0.125, "-w", 0.125],
    ),
    "fan50-50k": (
        "50 clients, all active, 50 000 deliveries/s",
        ["-n", 50, "-u", 10, "-w", 10],
    ),
    "fan200-40k": (
        "200 clients, 20 active, 40 000 deliveries/s",
        ["-n", 200, "-a", 20, "-u", 5, "-w", 5],
    ),
    "fan200-240k": (
        "200 clients, 40 active, 240 000 deliveries/s",
        ["-n", 200, "-a", 40, "-u", 10, "-w", 20],
    ),
    "stall10": (
        "200 clients, 20 active, 38 000 deliveries/s, 10 more stopped reading",
        ["-n", 200, "-a", 30, "-u", 5, "-w", 5, "--stall", 10],
    ),
    "stall0": (
        "the same 190 without the ten",
        ["-n", 190, "-a", 20, "-u", 5, "-w", 5],
    ),
    "idle": (
        "1000 idle connections in 100 documents",
        ["-n", 1000, "--rooms", 100, "--idle"],
    ),
    "board": ("join of a 3.75 MB board, 20 times", ["--board", BOARD, "--joins", 20]),
    "typist": (
        "one types 20 times a second, one other listens",
        ["-n", 2, "-a", 1, "-u", 20, "-w", 0],
    ),
    "trace": ("an editing trace of 259 778 operations", ["--trace", TRACE]),
}

METRICS = [
    bl.Metric("ops", "operations taken in per server CPU-second"),
    bl.Metric("work", "delivered updates and cursor states per server CPU-second"),
    bl.Metric("p50", "median latency of an update, ms", lower_is_better=True),
    bl.Metric("p99", "99th percentile of latency, ms", lower_is_better=True),
    bl.Metric("rss", "memory of the server after the run, KiB", lower_is_better=True),
    bl.Metric(
        "kb",
        "KiB of memory per idle connection (needs a fresh server)",
        lower_is_better=True,
    ),
    bl.Metric(
        "load",
        "CPU seconds to take in the board (with the first joins)",
        lower_is_better=True,
    ),
    bl.Metric("join_cpu", "CPU milliseconds per join", lower_is_better=True),
    bl.Metric("join_p50", "median time of a join, ms", lower_is_better=True),
    bl.Metric("storm_cpu", "CPU seconds for 20 joins at once", lower_is_better=True),
    bl.Metric("storm", "seconds until 20 joins at once are done", lower_is_better=True),
    bl.Metric(
        "board_mb",
        "MiB of memory more with the board loaded (needs a fresh server)",
        lower_is_better=True,
    ),
]


class Server:
    """One side of the comparison: a running server, or a peer to start."""

    def __init__(self, text):
        self.name, _, rest = text.partition("=")
        self.hocus, self.doc, self.token = False, "{doc}", "bench"
        self.drcp = False
        self.start = None
        if rest.startswith("start:"):
            self.start, _, delay = rest.removeprefix("start:").partition(":")
            self.delay = int(delay or 0)
            self.hocus = {"y-websocket": False, "hocuspocus": True}[self.start]
            self.path = "/{doc}"
            return
        pid, url, *options = rest.split(",")
        self.pid = int(pid)
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("ws", "wss"):
            raise ValueError(url)
        self.tls = parts.scheme == "wss"
        self.port = parts.port or (443 if self.tls else 80)
        bl.need_loopback(parts.hostname)
        self.path = parts._replace(scheme="", netloc="").geturl() or "/"
        for option in options:
            key, _, value = option.partition("=")
            if key == "hocus":
                self.hocus = True
            elif key in ("doc", "token"):
                setattr(self, key, value)
            else:
                raise ValueError(option)

    @contextlib.contextmanager
    def running(self, tls, certificate, core):
        """Yield (pid, port, tls) of the server; a started peer lives only that long."""
        if not self.start:
            yield self.pid, self.port, self.tls
            return
        port = bl.free_port()
        argv = ["node", PEERS / f"{self.start}.mjs", str(port)]
        if self.start == "hocuspocus":
            argv.append(str(self.delay))
        if tls:
            argv += certificate
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                ["taskset", "-c", str(core), *argv], stdout=log, stderr=log
            )
            try:
                deadline = time.monotonic() + 15
                while not bl.is_listening(port):
                    if process.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        raise RuntimeError(
                            f"{self.start} did not start: {log.read().decode()[-300:]}"
                        )
                    time.sleep(0.1)
                time.sleep(0.5)  # let it finish starting before memory is read
                yield process.pid, port, tls
            finally:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def server(text):
    """Argument type: a Server, with one clear message for any mistake."""
    try:
        return Server(text)
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(
            "expected NAME=start:y-websocket, NAME=start:hocuspocus[:MS] or "
            "NAME=PID,URL[,hocus][,doc=DOC][,token=TOKEN]"
        ) from None


def measure(args, side, options, certificate):
    """Run lg once against one server."""
    # A new document every time: nothing is left in it from the last run.
    name = f"b{os.getpid():x}x{time.monotonic_ns() // 1000000:x}-{{n}}"
    with side.running(args.tls, certificate, args.server_core) as (pid, port, tls):
        if not pathlib.Path(f"/proc/{pid}").exists():
            raise RuntimeError(f"no process {pid}")
        pids = bl.pid_list(pid, args.children)
        argv = [
            HERE / "lg",
            "--port",
            port,
            "--pid",
            ",".join(map(str, pids)),
            "--core",
            args.server_core,
            "--dur",
            args.seconds,
            "--path",
            side.path.replace("{doc}", name),
            *options,
        ]
        if side.hocus:
            argv += [
                "--hocus",
                "--doc",
                side.doc.replace("{doc}", name),
                "--token",
                side.token,
            ]
        if side.drcp:
            argv += ["--drcp", "--doc", side.doc.replace("{doc}", name)]
            argv += ["--tokens", side.tokens]
        if tls:
            argv.append("--tls")
        with bl.pinned(pids, args.server_core):
            r = bl.run_generator(argv, args.gen_core, args.seconds + 120)[0]
    if "kb_per_conn" in r:
        return bl.Sample({"kb": r["kb_per_conn"]}, r["avail"], needs_core=False)
    if "join_cpu_ms" in r:
        return bl.Sample(
            {
                "load": r["load_cpu_s"],
                "join_cpu": r["join_cpu_ms"],
                "join_p50": r["join_p50_ms"],
                "storm_cpu": r["storm_cpu_s"],
                "storm": r["storm_wall_s"],
                "board_mb": (r["rss1_kb"] - r["rss0_kb"]) / 1024,
            },
            r["avail"],
        )
    if "ops" in r:
        ops = {"ops": r["ops_per_cpu_s"], "rss": r["rss_kb"]}
        return bl.Sample(ops, r["avail"])
    notes = []
    if r["updates"] < 0.99:
        notes.append(f"only {100 * r['updates']:.0f} % of the updates arrived in time")
    if r["aware"] < 0.97:
        notes.append(f"{100 * r['aware']:.0f} % of the cursor states arrived")
    if r["util"] > 0.95:
        notes.append("saturated")
    if r["gen_util"] > 0.9:
        notes.append("generator saturated: do not trust the latency")
    valid = r["cpu"] > 0 and r["updates"] < 1.01
    if r["cpu"] == 0:
        notes.append("that PID used no CPU: wrong process?")
    if r["updates"] >= 1.01:
        notes.append("updates were delivered more than once")
    return bl.Sample(
        {
            "work": r["per_cpu_s"],
            "p50": r["p50_ms"],
            "p99": r["p99_ms"],
            "rss": r["rss_kb"],
        },
        r["avail"],
        notes,
        valid,
    )


def make_loads(names):
    """The board and the trace, once."""
    for cell, path, maker in (
        ("board", BOARD, "makeboard.mjs"),
        ("trace", TRACE, "maketrace.mjs"),
    ):
        if cell in names and not path.exists():
            subprocess.run(["node", PEERS / maker, path], check=True)


def main():
    """Parse the command line and print the tables of every cell."""
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
        "--seconds", type=float, default=5, help="length of one measurement"
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="start the peers with TLS (running servers: use a wss:// URL)",
    )
    bl.common_arguments(parser, rounds=3)
    args = parser.parse_args()
    bl.check_arguments(args)
    bl.need_program(HERE / "lg", "run make in its folder")
    names = list(CELLS) if args.cell == "all" else args.cell.split(",")
    if unknown := set(names) - set(CELLS):
        parser.error(f"unknown cell: {', '.join(sorted(unknown))}")
    sides = (args.a, args.b)
    if any(s.start for s in sides) or {"board", "trace"} & set(names):
        bl.need_program(PEERS / "node_modules", "run npm install in drcp/peers")
    make_loads(names)
    with tempfile.TemporaryDirectory(prefix="bench-drcp.") as folder:
        certificate = [str(x) for x in bl.self_signed(folder)] if args.tls else []
        for cell in names:
            title, options = CELLS[cell]
            rounds = bl.run_rounds(
                args,
                [s.name for s in sides],
                lambda i, o=options: measure(args, sides[i], o, certificate),
            )
            bl.print_table(
                f"{cell}: {title}{' (TLS)' if args.tls else ''}",
                [s.name for s in sides],
                rounds,
                METRICS,
            )


if __name__ == "__main__":
    main()
