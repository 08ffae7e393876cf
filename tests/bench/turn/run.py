#!/usr/bin/env python3
"""Mosaic's relay beside Debian's coturn, in one run: every cell, one command.

    python tests/bench/turn/run.py [--cell all] [--rounds 5] [--seconds 2] [--pure]
        [--coturn PROGRAM]

Starts a throwaway `twistd mosaic` (loopback peers allowed, no quotas) and a
throwaway coturn, compares them with compare.py, and stops both. --pure runs
Mosaic's pure-Python relay. Needs what tests/bench/README.md names.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))

import benchlib as bl

CONFIG = """\
[turn]
allow_peers = ["127.0.0.0/8"]
relay_ports = [21000, 31999]
allocations_per_credential = 100000
allocations_per_user = 100000
allocations_per_address = 100000
allocations_total = 100000
"""


def start_mosaic(folder, pure):
    """A Mosaic of its own: its PID and the SPEC for compare.py."""
    port, http, turn = bl.free_port(), bl.free_port(), bl.free_port()
    config = folder / "mosaic.toml"
    config.write_text(CONFIG)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if pure:
        env["MOSAIC_PURE_PYTHON"] = "1"
    launch = "from twisted.scripts.twistd import run; run()"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", launch, "--pidfile=", "-n", "mosaic"),
            *("--config", config, "--state", folder / "state", "--port", str(port)),
            *("--http-port", str(http), "--turn-port", str(turn)),
        ],
        env=env,
        stdout=subprocess.DEVNULL,
    )
    for _ in range(300):
        if bl.is_listening(http) and bl.is_listening(turn):
            break
        time.sleep(0.1)
    else:
        process.kill()
        sys.exit("mosaic did not start")
    words = ("-m", "mosaic.cli", "--config", config, "--state", folder / "state")
    made = subprocess.run(
        [sys.executable, *words, "turn", "credentials", "--json"],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    login = json.loads(made.stdout)
    spec = f"{process.pid}:127.0.0.1:{turn}/{port}"
    return process, f"mosaic={spec}:{login['username']}:{login['credential']}"


def start_coturn(program):
    """A coturn of its own: its folder and the SPEC for compare.py.

    program: another build than Debian's, or None.
    """
    words = [HERE / "coturn.sh", "start", "--port", str(bl.free_port())]
    done = subprocess.run(
        [*words, *(("--bin", program) if program else ())],
        check=True,
        capture_output=True,
        text=True,
    )
    values = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return values["FOLDER"].strip("'"), "coturn=" + values["SPEC"].strip("'")


def main():
    """Start both, compare, stop both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", default="all")
    parser.add_argument("--pure", action="store_true")
    parser.add_argument("--coturn", help="another turnserver than Debian's")
    args, rest = parser.parse_known_args()
    subprocess.run(["make", "-s", "-C", HERE], check=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-mosaic-"))
    mosaic, ours = start_mosaic(folder, args.pure)
    coturn = None
    try:
        coturn, theirs = start_coturn(args.coturn)
        compare = [sys.executable, HERE / "compare.py", "--a", ours, "--b", theirs]
        subprocess.run([*compare, "--cell", args.cell, *rest], check=False)
    finally:
        mosaic.terminate()
        mosaic.wait()
        if coturn:
            subprocess.run([HERE / "coturn.sh", "stop", coturn], check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
