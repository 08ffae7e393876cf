"""Starts the hub's program from the current slot, and takes a broken one back.

It runs from the installation that the hub was set up with, stands on the standard
library alone, and imports nothing from a slot: whatever an update breaks, this
goes on. `mosaic hub supervise` is its command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mosaic.hub.updates.slotfiles import SlotFiles, Trial

RESTART = 75
"""The exit status (EX_TEMPFAIL) by which the program asks to be started again."""
USAGE = 2
STARTS = 3
"""How often a slot may be started without proving itself: the power may fail."""
SUPERVISED = "MOSAIC_HUB_SUPERVISED"
PYTHON = "MOSAIC_HUB_PYTHON"
"""The first installation's, which has pip; slots have none."""
POLL_S = 0.2
END_S = 20.0
LONGEST_PAUSE_S = 30.0


def child_command(python: str | Path, arguments: Sequence[str]) -> list[str]:
    """The hub's program with a slot's Python; nothing of the working folder."""
    return [str(python), "-P", "-m", *arguments]


def child_environment(*, in_slot: bool) -> dict[str, str]:
    """Ours; a slot has its own libraries and nobody else's."""
    environment = {
        **os.environ,
        SUPERVISED: str(os.getpid()),
        PYTHON: sys.executable,
    }
    for name in ("PYTHONPATH", "PYTHONHOME") if in_slot else ():
        environment.pop(name, None)
    return environment


class Launcher:
    """One program after the other, for ever.

    arguments: module and arguments of the program. python: of the installation.
    health_s: how long a slot has to prove itself. The rest is for tests.
    """

    def __init__(
        self,
        slots: SlotFiles,
        arguments: Sequence[str],
        *,
        python: str = sys.executable,
        health_s: float = 60.0,
        say: Callable[[str], None] = print,
        spawn: Callable[..., Any] = subprocess.Popen,
        seconds: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._slots = slots
        self._arguments = list(arguments)
        self._python = python
        self._health_s = health_s
        self._say = say
        self._spawn = spawn
        self._seconds = seconds
        self._sleep = sleep
        self._now = now
        self._stopping = False
        self._restarting = False

    def stop(self) -> None:
        """End the program and return from run(). For a signal."""
        self._stopping = True

    def restart(self) -> None:
        """End the program and start what is current. For a signal."""
        self._restarting = True

    def run(self) -> int:
        """Until stopped: 0; or the program's own status for wrong usage."""
        pause_s = 0.0
        while not self._stopping:
            trial = self._start_of_trial()
            began = self._seconds()
            self._restarting = False
            child = self._start()
            status = self._watch(child, trial, began)
            if status == USAGE and trial is None:
                return USAGE
            lived_s = self._seconds() - began
            asked = status in {RESTART, None}
            pause_s = self._next_pause(pause_s, lived_s, asked or trial is not None)
            self._wait(pause_s)
        return 0

    def _next_pause(self, pause_s: float, lived_s: float, at_once: bool) -> float:
        if at_once or lived_s > 60:
            return 0.0 if at_once else 1.0
        return min(LONGEST_PAUSE_S, max(1.0, pause_s * 2))

    def _wait(self, pause_s: float) -> None:
        until = self._seconds() + pause_s
        while self._seconds() < until and not (self._stopping or self._restarting):
            self._sleep(POLL_S)

    def _start_of_trial(self) -> Trial | None:
        """The trial that this start belongs to, counted; what was started too
        often, or has no program, is taken back here."""
        trial = self._slots.trial()
        if trial is None:
            return None
        if self._slots.current() != trial.slot:
            # The power failed between the note and the flip.
            self._take_back(trial, "was never started")
            return None
        if trial.starts >= STARTS:
            self._take_back(trial, f"was started {STARTS} times and never got healthy")
            return None
        trial = replace(trial, starts=trial.starts + 1)
        self._slots.put_trial(trial)
        return trial

    def _program(self) -> str:
        slot = self._slots.current()
        if slot is None:
            return self._python
        return str(self._slots.path(slot) / "bin" / "python")

    def _start(self) -> Any:
        """The program, or None if there is none."""
        try:
            return self._spawn(
                child_command(self._program(), self._arguments),
                env=child_environment(in_slot=self._slots.current() is not None),
            )
        except OSError as error:
            self._say(f"{self._program()} cannot be started: {error.strerror}")
            return None

    def _watch(self, child: Any, trial: Trial | None, began: float) -> int | None:
        """Until the program has ended: its status; None if we ended it."""
        while True:
            status = 1 if child is None else child.poll()
            lived_s = self._seconds() - began
            if trial is not None and self._slots.is_healthy(trial):
                self._slots.keep(trial, at=self._now())
                self._say(f"{trial.version} is healthy after {lived_s:.1f} s and stays")
                trial = None
            if status is not None:
                if trial is not None and status != RESTART and not self._stopping:
                    self._take_back(
                        trial, f"ended with status {status} after {lived_s:.1f} s"
                    )
                elif status not in {0, RESTART}:
                    self._say(f"the program ended with status {status}")
                return int(status)
            if self._stopping or self._restarting:
                self._end(child)
                return None
            if trial is not None and lived_s >= self._health_s:
                self._end(child)
                self._take_back(trial, f"was not healthy within {self._health_s:.0f} s")
                return None
            self._sleep(POLL_S)

    def _take_back(self, trial: Trial, why: str) -> None:
        self._slots.take_back(trial, why, at=self._now())
        before = (
            "the first installation" if trial.previous is None else "the slot before"
        )
        self._say(f"{trial.version} {why}: back to {before}")

    def _end(self, child: Any) -> None:
        child.terminate()
        until = self._seconds() + END_S
        while child.poll() is None:
            if self._seconds() >= until:
                child.kill()
                child.wait()
                return
            self._sleep(POLL_S)


def supervise(folder: Path, arguments: Sequence[str], *, health_s: float) -> int:
    """Run a launcher in this process. folder: the hub's state folder. SIGTERM and
    SIGINT stop it, SIGHUP restarts the program."""
    launcher = Launcher(
        SlotFiles(folder / "slots"), arguments, health_s=health_s, say=_say
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: launcher.stop())
    signal.signal(signal.SIGHUP, lambda *_: launcher.restart())
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "supervise.pid"
    note.write_text(f"{os.getpid()}\n")
    try:
        return launcher.run()
    finally:
        note.unlink(missing_ok=True)


def _say(line: str) -> None:
    sys.stderr.write(f"mosaic hub: {line}\n")
    sys.stderr.flush()
