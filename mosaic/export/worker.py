"""The worker: one job, one process, bounded in time and memory.

    python -m mosaic.export.worker FOLDER

It prints lines of JSON (jobs.Said) and ends with status 0 when the job is done
and 1 when it was refused. Whatever a hostile document does, it does to this
process. The process ends when its standard input does, so that it does not
outlive the server.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from mosaic.export.archive import ArchiveWriter
from mosaic.export.documents import is_of_content, rebuild
from mosaic.export.formats import Studio, formats_of
from mosaic.export.intake import take_apart
from mosaic.export.jobs import (
    ArchiveJob,
    DocumentJob,
    ImportJob,
    Job,
    Limits,
    Said,
    WorkRefused,
    read_job,
    read_updates,
)

Told = Callable[[float, str], None]
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def perform(folder: Path, told: Told) -> None:
    """Do the job of a folder. Raises WorkRefused."""
    job = read_job(folder)
    try:
        _perform(job, folder, told)
    except MemoryError:
        raise WorkRefused("this needs more memory than a worker may have") from None
    except OSError as error:
        if error.errno in FULL:
            raise WorkRefused("the disk is full, or the file grows too large") from None
        raise


def _perform(job: Job, folder: Path, told: Told) -> None:
    told(0.0, "")
    match job:
        case ArchiveJob():
            ArchiveWriter(job, folder, told).write(folder / job.out)
        case DocumentJob():
            _write_document(job, folder)
        case ImportJob():
            take_apart(job, folder, told)


def _write_document(job: DocumentJob, folder: Path) -> None:
    name = job.document.name
    if job.format not in formats_of(name):
        raise WorkRefused(f"{name} cannot be had as {job.format}")
    root = Path(job.blobs_root)
    studio = Studio(
        blobs={blob.sha256: blob for blob in job.blobs},
        blob_paths={
            blob.sha256: root / blob.sha256[:2] / blob.sha256[2:] for blob in job.blobs
        },
        fonts=Path(job.fonts),
        room_name=job.room.name,
    )
    updates = read_updates(folder / job.document.file)
    document, _ = rebuild(updates, name=name)
    try:
        studio.write(name, document, job.format, folder / job.out)
    except BaseException as error:
        if isinstance(error, MemoryError) or not is_of_content(error):
            raise
        # pycrdt panics, too, where it gets no more memory.
        raise WorkRefused(
            f"{name} cannot be drawn: it is damaged, or needs more memory than a"
            " worker may have"
        ) from error


def limit_this_process(limits: Limits) -> None:
    """Memory, time, file size; the processor is the meetings' first."""
    seconds = int(limits.seconds) + 1
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 2 * limits.archive_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(what, (most, most))
    os.nice(10)


def _end_with_input() -> None:
    """The server has gone, or wants us to go."""
    while os.read(0, 4096):
        pass
    os._exit(3)


def main(folder: Path) -> int:
    """Run the job; the exit status."""
    limit_this_process(read_job(folder).limits)
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        perform(folder, lambda progress, step: _say(Said(progress=progress, step=step)))
    except WorkRefused as error:
        _say(Said(refused=str(error) or "it cannot be done"))
        return 1
    _say(Said(progress=1.0, done=True))
    return 0


def _say(said: Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
