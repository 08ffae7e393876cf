#!/usr/bin/env python3
"""A million unauthenticated Allocates: what the server's memory does.

    python tests/bench/turn/flood.py [COUNT]

Runs the whole service (sockets apart) in a process of its own, with random
sources as spoofed ones are, and prints one JSON line. `grown_kib` is the
growth of the process after the first tenth; it should be next to nothing.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


def main():
    """Run it, and leave with its exit code."""
    count = sys.argv[1] if len(sys.argv) > 1 else "1000000"
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.allocate_flood", count],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
