"""What `mosaic room export` and `import` do, whether a server runs or not.

The database is read and written directly, as by every verb; the work on the
documents is done by the same worker process that the server uses.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

from mosaic.app.build import STATIC
from mosaic.cli.errors import Refused
from mosaic.cli.office import Office, open_office
from mosaic.cli.output import show
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.export.jobs import (
    ImportJob,
    Limits,
    Said,
    read_said,
    worker_command,
    worker_environment,
    write_job,
)
from mosaic.export.moving import Mover, export_limits
from mosaic.export.places import waited_for, work_place
from mosaic.services.rest.blobfiles import BlobFiles
from mosaic.services.rest.exports import file_stem
from mosaic.workspace.ids import parse_hub_id

T = TypeVar("T")

PATIENCE_S = 60.0
"""For a server that is removing files."""


def _at_once(function: Callable[[], T], /) -> Deferred[T]:
    return maybeDeferred(function)


@contextmanager
def _work_place(settings: Settings) -> Iterator[Path]:
    """A folder beside the database, so that files can be moved."""
    state = state_folder(settings)
    try:
        with work_place(state) as folder:
            yield folder
    except OSError as error:
        raise Refused(f"{error.filename or state}: {error.strerror}") from error


def _mover(office: Office, settings: Settings) -> Mover:
    return Mover(
        office.store,
        blobs_root=state_folder(settings) / "blobs",
        fonts=STATIC / "excalidraw" / "fonts",
        limits=export_limits(settings),
        now=time.time,
        in_thread=_at_once,
    )


def export_room(settings: Settings, options: argparse.Namespace) -> None:
    """Write one archive. Raises Refused."""
    try:
        hub_id = parse_hub_id(options.hub_id)
    except ValueError as error:
        raise Refused(str(error)) from error
    with open_office(settings) as office, _work_place(settings) as folder:
        room = office.wait(office.store.room(hub_id))
        target = Path(options.output or f"{file_stem(room.name)}.zip")
        if options.output is None and target.exists():
            raise Refused(f"{target} exists; name another file with --output")
        mover = _mover(office, settings)
        office.wait(mover.archive_job(hub_id, folder, by="the administrator"))
        _run(folder, mover.limits)
        made = folder / "out"
        made.chmod(0o600)
        record = {
            "hub_id": hub_id,
            "name": room.name,
            "file": str(target.absolute()),
            "size_bytes": made.stat().st_size,
        }
        shutil.move(made, target)
    show(record, as_json=options.json)


def import_room(settings: Settings, options: argparse.Namespace) -> None:
    """Make a room of an archive. Raises Refused."""
    archive = Path(options.file).absolute()
    try:
        size = archive.stat().st_size
    except OSError as error:
        raise Refused(f"{archive}: {error.strerror}") from error
    with open_office(settings) as office, _work_place(settings) as folder:
        mover = _mover(office, settings)
        if size > mover.limits.archive_bytes:
            raise Refused(
                f"{archive} has {size} bytes, an archive may have"
                f" {mover.limits.archive_bytes} (export.max_archive_bytes)"
            )
        write_job(folder, ImportJob(archive=str(archive), limits=mover.limits))
        _run(folder, mover.limits)
        root = state_folder(settings) / "blobs"
        root.mkdir(mode=0o700, exist_ok=True)
        files = BlobFiles(root, run_in_thread=_at_once)
        try:
            # A server removes files that nothing refers to: not while ours are
            # on the disk and not yet in the database. Nor do we, if it fails: the
            # server may have been sent the same bytes meanwhile.
            with waited_for(root, patience_s=PATIENCE_S):
                room = office.wait(
                    mover.settle_import(folder, files=files, owner=options.owner)
                )
        except TimeoutError:
            raise Refused("the server is sorting its files; try again") from None
        record = {
            "hub_id": room.hub_id,
            "name": room.name,
            "pin": room.pin,
            "join_url": office.addresses.join_url(room.hub_id, room.pin),
        }
    show(record, as_json=options.json)


def _run(folder: Path, limits: Limits) -> None:
    """Let a worker do the job. Raises Refused."""
    with (folder / "errors").open("w+b") as errors:
        child = subprocess.Popen(  # noqa: S603 - our own worker
            worker_command(folder),
            env=worker_environment(),
            stdin=subprocess.PIPE,  # it ends when we do
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            # Its input stays open: it would end with it.
            out = _all_of(child, limits.seconds)
        except subprocess.TimeoutExpired:
            raise Refused(f"it took more than {limits.seconds:g} seconds") from None
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        said = [one for one in map(read_said, out.splitlines()) if one is not None]
        last = said[-1] if said else Said()
        if last.refused:
            raise Refused(last.refused)
        if child.returncode or not last.done:
            errors.seek(0)
            sys.stderr.write(errors.read(8192).decode("utf-8", "replace"))
            raise Refused("the worker broke down; nothing was changed")


def _all_of(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    """What it prints until it ends. Raises TimeoutExpired."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        child.kill()

    alarm = threading.Timer(seconds, stop)
    alarm.start()
    try:
        assert child.stdout is not None
        out = child.stdout.read()
        child.wait()
    finally:
        alarm.cancel()
    if late.is_set():
        raise subprocess.TimeoutExpired(child.args, seconds)
    return out
