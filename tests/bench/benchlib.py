"""Shared parts of the compare.py programs: reading /proc, pinning, rounds and tables.

Run as a program it answers two questions for the shell helpers, by exit status:
``python3 benchlib.py free PORT...`` (does nothing on loopback use these ports?) and
``python3 benchlib.py listening PORT...`` (are all of them accepting TCP connections?).
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

TICKS = os.sysconf("SC_CLK_TCK")


# --- the server process ------------------------------------------------------------------


def descendants(pid):
    """PIDs of all live children of pid, at any depth."""
    found = []
    todo = [pid]
    while todo:
        parent = todo.pop()
        for path in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                kids = [int(x) for x in path.read_text().split()]
                found += kids
                todo += kids
    return found


def pid_list(pid, children):
    """The processes that count as the server."""
    return [pid, *descendants(pid)] if children else [pid]


def cpu_seconds(pids):
    """CPU time used so far by all threads of the processes, in seconds."""
    total = 0
    for pid in pids:
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(path.read_text().split()[0])
    return total / 1e9


def rss_kb(pids):
    """Resident memory of the processes in KiB."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def core_busy(core):
    """Seconds for which a core was not idle, time stolen by the hypervisor included."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            v = [int(x) for x in line.split()[1:9]]
            return (v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / TICKS
    return 0.0


def core_available(busy, server_cpu, wall):
    """Share of the core the server could have used: 1 minus what others took of it."""
    return max(0.0, 1 - max(0.0, busy - server_cpu) / wall) if wall > 0 else 0.0


def pin(pids, core):
    """Put every thread of the processes on one core."""
    for pid in pids:
        subprocess.run(
            ["taskset", "-a", "-c", "-p", str(core), str(pid)],
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextlib.contextmanager
def pinned(pids, core):
    """Pin the processes for the time of a with block, then give them their cores back."""
    before = {pid: os.sched_getaffinity(pid) for pid in pids}
    pin(pids, core)
    try:
        yield
    finally:
        for pid, cores in before.items():
            subprocess.run(
                [
                    "taskset",
                    "-a",
                    "-c",
                    "-p",
                    ",".join(map(str, sorted(cores))),
                    str(pid),
                ],
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


# --- ports and small helpers -------------------------------------------------------------


def port_is_free(port):
    """True when neither TCP nor UDP has the port, on loopback or elsewhere."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as s:
            if kind == socket.SOCK_STREAM:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("", port))
            except OSError:
                return False
    return True


def is_listening(port):
    """True when a TCP connection to the port is accepted."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def free_port():
    """A TCP port nobody uses now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def need_loopback(host):
    """The generators must never load anybody else's machine."""
    if host != "localhost" and not host.startswith("127."):
        sys.exit(f"{host}: these tools only load servers on loopback")


def need_program(path, hint):
    """Stop with a hint when a program that has to be built first is missing."""
    if not pathlib.Path(path).exists():
        sys.exit(f"{path.name} is missing: {hint}")


def raise_nofile():
    """As many open files as the system allows (the children inherit it)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run_generator(argv, core, timeout):
    """Run a generator on its own core; return the objects it printed, one JSON a line."""
    try:
        done = subprocess.run(
            ["taskset", "-c", str(core), *map(str, argv)],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the generator did not finish in {timeout} s") from None
    lines = [json.loads(x) for x in done.stdout.splitlines() if x.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError((done.stderr.strip() or "no output")[-300:])
    return lines


def self_signed(folder):
    """Make a throwaway P-256 certificate; return the paths of certificate and key."""
    cert, key = pathlib.Path(folder) / "cert.pem", pathlib.Path(folder) / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-keyout",
            str(key),
            "-out",
            str(cert),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return cert, key


# --- rounds and tables -------------------------------------------------------------------


@dataclass
class Sample:
    """What one server did in one round.

    metrics: name -> value.  core: share of its core that the server had.
    notes: what the reader should know.  valid: False discards the whole round.
    needs_core: False where a busy core does not matter (memory).
    """

    metrics: dict
    core: float
    notes: list = field(default_factory=list)
    valid: bool = True
    needs_core: bool = True


@dataclass
class Metric:
    """How to print one number of a sample."""

    name: str
    title: str
    lower_is_better: bool = False


def common_arguments(parser, rounds):
    """The options that every compare.py has."""
    parser.add_argument(
        "--rounds",
        type=int,
        default=rounds,
        help="valid rounds wanted, alternating A B A B (default %(default)s)",
    )
    parser.add_argument(
        "--max-rounds",
        type=int,
        default=0,
        help="give up after so many rounds (default: twice --rounds)",
    )
    parser.add_argument(
        "--server-core", type=int, default=0, help="core of the servers"
    )
    parser.add_argument("--gen-core", type=int, default=1, help="core of the generator")
    parser.add_argument(
        "--min-core",
        type=float,
        default=0.90,
        help="discard a round where a server had less of its core",
    )
    parser.add_argument(
        "--children",
        action="store_true",
        help="count, and pin, the children of the given PIDs too",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="append every round to FILE as JSON"
    )


def check_arguments(args):
    """Defaults that depend on others, and mistakes worth stopping for."""
    args.max_rounds = args.max_rounds or 2 * args.rounds
    if args.server_core == args.gen_core:
        sys.exit("server and generator need a core each")
    if os.cpu_count() <= max(args.server_core, args.gen_core):
        sys.exit("no such core: see --server-core and --gen-core")
    if not shutil.which("taskset"):
        sys.exit("taskset is missing (util-linux)")
    raise_nofile()


def run_rounds(args, names, measure):
    """Measure A, B, A, B, ... until enough rounds are valid.

    measure(0) and measure(1) return the Sample of A and of B.  Returns all rounds,
    valid or not, as pairs; a side that failed is a Sample without metrics.
    """
    rounds = []
    good = 0
    while good < args.rounds and len(rounds) < args.max_rounds:
        pair = []
        for side in (0, 1):
            try:
                sample = measure(side)
            except RuntimeError as error:
                sample = Sample({}, 0.0, [str(error)], valid=False)
            if sample.valid and sample.needs_core and sample.core < args.min_core:
                sample.valid = False
                sample.notes.append(f"had {100 * sample.core:.0f} % of its core")
            pair.append(sample)
            time.sleep(0.2)
        rounds.append(pair)
        good += all(s.valid for s in pair)
        if not any(s.metrics for s in pair):
            break  # both failed: more rounds would not help
    if args.json:
        with open(args.json, "a", encoding="utf-8") as f:
            for n, pair in enumerate(rounds, 1):
                for name, s in zip(names, pair, strict=True):
                    print(
                        json.dumps(
                            {
                                "time": int(time.time()),
                                "argv": redacted(sys.argv),
                                "round": n,
                                "server": name,
                                "valid": s.valid,
                                "core": round(s.core, 3),
                                "metrics": s.metrics,
                                "notes": s.notes,
                            }
                        ),
                        file=f,
                    )
    return rounds


def redacted(argv):
    """The command line without the server specifications (they hold passwords)."""
    hide = {i + 1 for i, x in enumerate(argv) if x in ("--a", "--b")}
    return ["..." if i in hide else x for i, x in enumerate(argv) if i]


def number(value):
    """1234567 -> 1235k, 0.0123 -> 0.0123."""
    if value is None:
        return "-"
    if abs(value) >= 10000:
        return f"{value / 1000:.1f}k"
    return f"{value:.4g}"


def summary(ratios, total):
    """The median of the valid rounds, and their spread."""
    if not ratios:
        return "no valid round"
    return (
        f"median A/B = {statistics.median(ratios):.2f}   ({len(ratios)} valid of {total} "
        f"rounds, {min(ratios):.2f} .. {max(ratios):.2f})"
    )


def print_table(title, names, rounds, metrics):
    """The first metric round by round with the notes, the others on one line each.

    Only valid rounds count in a median.
    """
    print(f"\n== {title} ==")
    width = max(12, *(len(n) for n in names))
    full = True
    for metric in metrics:
        if not any(metric.name in s.metrics for pair in rounds for s in pair):
            continue
        better = "lower" if metric.lower_is_better else "higher"
        values = [[s.metrics.get(metric.name) for s in pair] for pair in rounds]
        ratios = [a / b if a is not None and b else None for a, b in values]
        good = [
            n
            for n, pair in enumerate(rounds)
            if pair[0].valid and pair[1].valid and ratios[n] is not None
        ]
        line = summary([ratios[n] for n in good], len(rounds))
        if not full:
            a, b = (
                number(statistics.median(values[n][i] for n in good) if good else None)
                for i in (0, 1)
            )
            print(
                f"{metric.title} ({better} is better)\n  {'':>5} {a:>{width}} {b:>{width}} "
                f"{line}"
            )
            continue
        full = False
        print(f"{metric.title} ({better} is better)")
        print(
            f"  round {names[0]:>{width}} {names[1]:>{width}} {'A/B':>7}  core A/B    notes"
        )
        for n, (a, b) in enumerate(rounds):
            notes = [f"A: {x}" for x in a.notes] + [f"B: {x}" for x in b.notes]
            print(
                f"  {n + 1:>5} {number(values[n][0]):>{width}} {number(values[n][1]):>{width}} "
                f"{'-' if ratios[n] is None else f'{ratios[n]:.2f}':>7} "
                f"{100 * a.core:>5.0f}/{100 * b.core:<4.0f}%  "
                f"{'' if a.valid and b.valid else 'DISCARDED '}{'; '.join(notes)}".rstrip()
            )
        print(f"  {line}")
    if full:
        print(
            "no result:", "; ".join(x for pair in rounds for s in pair for x in s.notes)
        )
    sys.stdout.flush()


def main():
    """The command line for the shell helpers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", choices=["free", "listening"])
    parser.add_argument("ports", type=int, nargs="+")
    args = parser.parse_args()
    if args.question == "listening":
        sys.exit(not all(is_listening(p) for p in args.ports))
    if taken := [p for p in args.ports if not port_is_free(p)]:
        sys.exit(f"port already in use: {', '.join(map(str, taken))}")


if __name__ == "__main__":
    main()
