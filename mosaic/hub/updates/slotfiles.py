"""The files that say which slot runs, which one is on trial, and how that went.

    slots/a, slots/b     virtual environments
    slots/current        a link to one of them; without it the installation runs
                         that the hub was set up with
    slots/trial.json     the slot that must still prove itself
    slots/healthy        written by the program that runs there: the trial's id
    slots/report.json    how the last trial went

The standard library alone: the launcher imports this, whatever is broken.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SLOTS = ("a", "b")
RECORD = "installed.json"


@dataclass(frozen=True)
class Trial:
    """A slot that must prove itself. previous: where to go back to, None for the
    installation that the hub was set up with. starts: how often it was tried."""

    id: str
    slot: str
    previous: str | None
    version: str
    starts: int = 0


@dataclass(frozen=True)
class Report:
    """How a trial went. at: Unix seconds."""

    version: str
    ok: bool
    why: str
    at: float


class SlotFiles:
    """folder: `slots` in the hub's state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._current = folder / "current"
        self._trial = folder / "trial.json"
        self._healthy = folder / "healthy"
        self._report = folder / "report.json"

    def current(self) -> str | None:
        """The slot that runs at the next start."""
        try:
            name = os.readlink(self._current)
        except OSError:
            return None
        return name if name in SLOTS else None

    def inactive(self) -> str:
        """The one to install into."""
        return "b" if self.current() == "a" else "a"

    def path(self, slot: str) -> Path:
        """The virtual environment."""
        return self.folder / slot

    def flip(self, slot: str | None) -> None:
        """Let another one run from the next start on, in one step."""
        if slot is None:
            with suppress(FileNotFoundError):
                self._current.unlink()
        else:
            beside = self.folder / f".current.{secrets.token_hex(4)}"
            beside.symlink_to(slot)
            beside.replace(self._current)
        self._sync()

    def begin_trial(self, slot: str, version: str) -> Trial:
        """Say first that it is on trial, then flip to it."""
        trial = Trial(secrets.token_hex(8), slot, self.current(), version)
        self.put_trial(trial)
        self.flip(slot)
        return trial

    def trial(self) -> Trial | None:
        """The one that runs; None also for what cannot be read."""
        data = _read(self._trial)
        try:
            trial = Trial(**data) if data else None
        except TypeError:
            return None
        return trial if trial and trial.slot in SLOTS else None

    def put_trial(self, trial: Trial) -> None:
        """On the disk before it returns."""
        self._write(self._trial, asdict(trial))

    def say_healthy(self, trial: Trial) -> None:
        """By the program on trial itself."""
        self._write(self._healthy, {"trial": trial.id})

    def is_healthy(self, trial: Trial) -> bool:
        """Whether that was said in this trial, not in one before."""
        return (_read(self._healthy) or {}).get("trial") == trial.id

    def keep(self, trial: Trial, *, at: float) -> None:
        """It stays."""
        self._end(Report(trial.version, True, "healthy", at))

    def take_back(self, trial: Trial, why: str, *, at: float) -> None:
        """To what ran before."""
        self.flip(trial.previous)
        self._end(Report(trial.version, False, why, at))

    def report(self) -> Report | None:
        """How the last trial went."""
        data = _read(self._report)
        try:
            return Report(**data) if data else None
        except TypeError:
            return None

    def _end(self, report: Report) -> None:
        self._write(self._report, asdict(report))
        for file in (self._trial, self._healthy):
            with suppress(FileNotFoundError):
                file.unlink()
        self._sync()

    def _write(self, path: Path, value: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with beside.open("w") as stream:
            json.dump(value, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
        self._sync()

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
