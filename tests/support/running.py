"""A whole Mosaic in a process of its own, on free ports and a fresh state."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_S = 120.0
"""Two on a machine that does nothing else; a busy one takes its time."""
STOP_S = 60.0
FIRST_PORT, SLICE_PORTS, SLICES = 10_000, 500, 44
"""Below the ports that the kernel gives out: nobody is given one by chance while
the process that has it is not up yet, or down."""
_claim = socket.socket(socket.AF_UNIX)


@cache
def _own_ports() -> Iterator[int]:
    """Ports round and round that no other process of the tests uses: several run
    side by side. A name in the kernel says whose they are, and goes with us."""
    for number in random.sample(range(SLICES), SLICES):
        try:
            _claim.bind(f"\0mosaic-test-ports-{number}")
        except OSError:
            continue
        first = FIRST_PORT + number * SLICE_PORTS
        return cycle(range(first, first + SLICE_PORTS))
    raise RuntimeError(f"{SLICES} other processes are testing")


def free_port() -> int:
    """A port that is free, for both TCP and UDP."""
    for port in islice(_own_ports(), SLICE_PORTS):
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("", port))
        except OSError:
            continue
        return port
    raise RuntimeError("no free port")


def neighbouring_ports() -> tuple[int, int]:
    """Two that are free, one behind the other."""
    first, second = free_port(), free_port()
    while second != first + 1:
        first, second = second, free_port()
    return first, second


def environment() -> dict[str, str]:
    """The environment of a child that finds this checkout and its plugin."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {
        **os.environ,
        "PYTHONPATH": path.rstrip(os.pathsep),
        "PYTHONUNBUFFERED": "1",
    }


class RunningMosaic:
    """`twistd -n mosaic` as a user would start it.

    flags: more of them. state: a folder that outlives this run, or None for a
    temporary one. output() is what it printed.
    """

    def __init__(self, *flags: str, state: Path | None = None) -> None:
        self._own_state = state is None
        self.state = state or Path(tempfile.mkdtemp(prefix="mosaic-test-"))
        self.port = free_port()
        self.http_port = free_port()
        self.turn_port = free_port()
        self.flags = flags
        self._lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """The local address: a secure context for a browser on this machine."""
        return f"http://localhost:{self.http_port}"

    @property
    def tls_url(self) -> str:
        """The shared TLS port."""
        return f"https://localhost:{self.port}"

    def start(self, *, wait: bool = True) -> RunningMosaic:
        """Start it and wait until it is ready."""
        command = [
            sys.executable,
            "-c",
            "from twisted.scripts.twistd import run; run()",
        ]
        command += ["--pidfile=", "-n", "mosaic", "--state", str(self.state)]
        command += ["--port", str(self.port), "--http-port", str(self.http_port)]
        command += ["--turn-port", str(self.turn_port), *self.flags]
        self.process = subprocess.Popen(
            command,
            cwd=self.state if self.state.exists() else None,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()
        if wait:
            self.wait_until_ready()
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            self._lines.extend(process.stdout)

    def output(self) -> str:
        """Everything printed so far."""
        return "".join(self._lines)

    def wait_until_ready(self) -> None:
        """Until /readyz says yes; RuntimeError with the output if it does not."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError(f"Mosaic did not start:\n{self.output()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """The exit code, once it has ended."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM, and the exit code; the temporary state is removed."""
        code = 0
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                code = self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                code = self.process.wait()
        if self._own_state:
            shutil.rmtree(self.state, ignore_errors=True)
        return code

    def command(self, *words: str, text: str | None = None) -> Any:
        """`mosaic --state … WORDS`; the completed process."""
        return run_command("--state", str(self.state), *words, text=text)

    def command_json(self, *words: str, text: str | None = None) -> Any:
        """The same with --json, and what it printed, decoded."""
        done = self.command(*words, "--json", text=text)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """One REST call: status and decoded body."""
        request = urllib.request.Request(f"{self.url}/api/v1{path}", method=method)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, data, timeout=60) as answer:
                content = answer.read()
                return answer.status, json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            content = error.read()
            return error.code, json.loads(content) if content else None


def run_command(*words: str, text: str | None = None, seconds: float = 60) -> Any:
    """The `mosaic` command with these words."""
    return subprocess.run(
        [sys.executable, "-m", "mosaic.cli", *words],
        env=environment(),
        input=text,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
