"""Where the server says how it is reached, for the `mosaic` command."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """What a server last ran with. Ports are None where nothing listens."""

    pid: int
    public_host: str
    tls_port: int | None
    http_port: int | None
    turn_port: int | None
    turn_tls_port: int | None
    version: str


def write_run_file(state: Path, run: RunFile) -> None:
    """Write it in one step, readable by the owner alone."""
    temporary = state / f"{NAME}.{run.pid}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(asdict(run), stream)
    temporary.replace(state / NAME)


def read_run_file(state: Path) -> RunFile | None:
    """What was last written, or None."""
    try:
        return RunFile(**json.loads((state / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None
