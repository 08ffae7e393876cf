"""Folders that several processes may work in, and who has them right now.

A folder is had by a lock on itself (flock), which ends with its process however
that ends. What a process has left behind is told from what is in use by it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "moving-"
"""Before the name of a folder that `mosaic room export` or `import` works in."""

_LOOK_S = 0.1


@contextmanager
def had(folder: Path) -> Iterator[bool]:
    """Have a folder until the end of the block; False if somebody else does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def waited_for(
    folder: Path,
    *,
    patience_s: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Have a folder, after whoever has it now. Raises TimeoutError."""
    late = now() + patience_s
    while True:
        with had(folder) as ours:
            if ours:
                yield
                return
        if now() >= late:
            raise TimeoutError(f"{folder} is in use by another process")
        sleep(_LOOK_S)


@contextmanager
def work_place(state: Path) -> Iterator[Path]:
    """A folder beside the database, so that files can be moved; those that were
    left there go first. Raises OSError."""
    clear_left(state)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=state) as name:
        folder = Path(name)
        with had(folder):
            yield folder


def clear_left(state: Path) -> int:
    """Remove the folders whose process is gone; how many."""
    cleared = 0
    for folder in state.glob(f"{PREFIX}*"):
        try:
            with had(folder) as ours:
                if ours:
                    shutil.rmtree(folder)
                    cleared += 1
        except OSError:
            continue  # no folder, or not ours to remove
    return cleared
