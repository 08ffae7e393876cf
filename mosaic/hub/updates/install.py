"""Installs a release into the slot that does not run; everything here blocks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from mosaic import __version__
from mosaic.hub.updates.client import Offer
from mosaic.hub.updates.errors import UpdateError
from mosaic.hub.updates.launcher import PYTHON
from mosaic.hub.updates.slotfiles import RECORD, SLOTS, SlotFiles, Trial
from mosaic.workspace.releases import Installed, Manifest

LIMIT_S = 600.0
IMPORT = (
    "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
)


class Run(Protocol):
    """Run a command. Raises UpdateError with its last words."""

    def __call__(self, command: Sequence[str], *, what: str) -> None: ...


def run_command(command: Sequence[str], *, what: str) -> None:
    """In a process of its own, within ten minutes."""
    try:
        done = subprocess.run(  # noqa: S603 (our own words)
            command, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise UpdateError("install", f"{what} took too long") from error
    except OSError as error:
        raise UpdateError("install", f"{what}: {error.strerror}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        wanted = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise UpdateError("install", f"{what}: {' '.join(wanted)[:500] or 'no word'}")


class Slots:
    """Two virtual environments. python: makes them, and its pip fills them; the
    first installation's by default. run: for tests."""

    def __init__(
        self, folder: Path, *, python: str | None = None, run: Run = run_command
    ) -> None:
        self.files = SlotFiles(folder)
        self._python = python or os.environ.get(PYTHON, sys.executable)
        self._run = run

    def installed(self, *, epoch: int = 0) -> Installed:
        """What runs at the next start. epoch: the highest that was ever here."""
        manifest = self._manifest(self.files.current())
        if manifest is None:
            return Installed(version=__version__, security_epoch=epoch)
        return Installed(
            version=manifest.version,
            security_epoch=max(epoch, manifest.security_epoch),
        )

    def needed(self) -> set[str]:
        """The sha256 of the wheels of both slots."""
        manifests = (self._manifest(slot) for slot in SLOTS)
        return {one.sha256 for found in manifests if found for one in found.wheels}

    def install(self, offer: Offer, wheels: Mapping[str, Path]) -> str:
        """Fill the slot that does not run; its name. Nothing flips.

        wheels: files by sha256. Raises UpdateError, and the slot is empty.
        """
        slot = self.files.inactive()
        home = self.files.path(slot)
        try:
            self._fill(home, offer, wheels)
        except (UpdateError, OSError) as error:
            shutil.rmtree(home, ignore_errors=True)
            if isinstance(error, OSError):
                raise UpdateError("disk", f"{home}: {error.strerror}") from error
            raise
        return slot

    def flip(self, slot: str) -> Trial:
        """Let it run from the next start on; the launcher watches it."""
        manifest = self._manifest(slot)
        if manifest is None:
            raise UpdateError("install", f"slot {slot} holds nothing whole")
        return self.files.begin_trial(slot, manifest.version)

    def _fill(self, home: Path, offer: Offer, wheels: Mapping[str, Path]) -> None:
        if home.exists():
            shutil.rmtree(home)
        home.parent.mkdir(parents=True, exist_ok=True)
        python = str(home / "bin" / "python")
        pip = self._make(home, python)
        listed = home / "requirements.txt"
        listed.parent.mkdir(exist_ok=True)
        listed.write_text(
            "".join(
                f"{wheel.project} @ {wheels[wheel.sha256].absolute().as_uri()}"
                f" --hash=sha256:{wheel.sha256}\n"
                for wheel in offer.wheels
            )
        )
        self._run(
            [
                *(*pip, "--isolated", "install", "--quiet"),
                *("--no-index", "--require-hashes", "--no-cache-dir"),
                *("--disable-pip-version-check", "-r", str(listed)),
            ],
            what="installing",
        )
        self._run(
            [python, "-I", "-c", IMPORT, *offer.manifest.imports], what="importing"
        )
        record = home / f".{RECORD}"
        record.write_bytes(msgspec.json.encode(offer.manifest))
        record.replace(home / RECORD)

    def _make(self, home: Path, python: str) -> list[str]:
        """An empty environment; the pip that fills it.

        A pip in each slot would be most of what making one takes.
        """
        pip = [self._python, "-I", "-m", "pip"]
        venv = [self._python, "-I", "-m", "venv"]
        try:
            self._run([*pip, "--version"], what="looking for pip")
        except UpdateError:
            self._run([*venv, str(home)], what="making the slot")
            return [python, "-I", "-m", "pip"]
        self._run([*venv, "--without-pip", str(home)], what="making the slot")
        return [*pip, "--python", python]

    def _manifest(self, slot: str | None) -> Manifest | None:
        if slot is None:
            return None
        try:
            data = (self.files.path(slot) / RECORD).read_bytes()
            return msgspec.json.decode(data, type=Manifest)
        except (OSError, msgspec.DecodeError):
            return None
