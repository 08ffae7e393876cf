"""`mosaic hub run` in a process of its own, against a RunningMosaic."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.running import RunningMosaic, environment

WAIT_S = 60.0
PAUSE_S = 0.05


class RunningHub:
    """The agent as a unit of systemd would start it."""

    def __init__(self, server: RunningMosaic, state: Path, *flags: str) -> None:
        self.server = server
        self.state = state
        self.flags = flags
        self.process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []

    def start(self, *more: str) -> RunningHub:
        """Start it; it is not waited for."""
        command = [sys.executable, "-m", "mosaic.cli", "hub", "run"]
        command += ["--server", self.server.tls_url, "--state", str(self.state)]
        command += ["--ca", str(self.server.state / "tls" / "ca.pem")]
        if "--proxy" not in self.flags:
            command += ["--proxy", "direct"]
        command += ["--no-announce", *self.flags, *more]
        self.process = subprocess.Popen(
            command,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            self._lines.extend(process.stdout)

    def output(self) -> str:
        """Everything printed so far."""
        return "".join(self._lines)

    def local(self, path: str = "", form: dict[str, str] | None = None) -> Any:
        """The hub's own page: JSON of `state`, else the text."""
        base = (self.state / "local-page").read_text().strip()
        data = None if form is None else urlencode(form).encode()
        with urllib.request.urlopen(f"{base}{path}", data, timeout=10) as answer:
            text = answer.read().decode()
        return json.loads(text) if path == "state" else text

    def cpu_s(self) -> float:
        """Seconds that its process has computed until now."""
        assert self.process is not None
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """SIGKILL: nothing is said to anybody."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(20)

    def wait_for(self, what: Callable[[], Any], why: str) -> float:
        """Seconds until it is so; RuntimeError with the output if it never is."""
        began = time.monotonic()
        while time.monotonic() - began < WAIT_S:
            if what():
                return time.monotonic() - began
            time.sleep(PAUSE_S)
        raise RuntimeError(f"never {why}; the agent said:\n{self.output()}")
