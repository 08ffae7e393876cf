"""A queue of jobs that write and read archives of rooms, and the archives
that wait for an hour to be fetched."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mosaic.auth.interface import TryLater
from mosaic.config.settings import Export
from mosaic.export.formats import formats_of
from mosaic.export.jobs import ImportJob, Said, WorkFailed, WorkRefused, write_job
from mosaic.export.moving import Mover
from mosaic.services.rest.blobfiles import BlobFiles, RunInThread, disk_errors
from mosaic.store.interface import NotFound, StoreError, StoreFull
from mosaic.workspace.model import Room

T = TypeVar("T")
State = Literal["waiting", "running", "ready", "failed"]
RETRY_S = 10.0
QUICK_KEEP_S = 600.0

_log = Logger()


@dataclass(slots=True, eq=False)
class RoomExport:
    """One export of a room. folder: its job's."""

    id: str
    hub_id: str
    folder: Path
    created_at: float
    state: State = "waiting"
    progress: float = 0.0
    step: str = ""
    detail: str = ""
    size_bytes: int | None = None
    expires_at: float | None = None
    work: Deferred[None] | None = None
    alarm: IDelayedCall | None = None

    @property
    def ended(self) -> bool:
        """Nothing more will happen to it."""
        return self.state in ("ready", "failed")


class ExportDesk:
    """Takes jobs, one worker at a time, and keeps finished archives.

    folder: `<state>/exports`, emptied at the start. now: Unix seconds.
    """

    def __init__(
        self,
        mover: Mover,
        worker: Any,
        *,
        folder: Path,
        settings: Export,
        clock: IReactorTime,
        now: Callable[[], float],
        run_in_thread: RunInThread,
    ) -> None:
        self.mover = mover
        self._worker = worker
        self._folder = folder.absolute()
        self._settings = settings
        self._clock = clock
        self._now = now
        self._in_thread = run_in_thread
        self._turn = DeferredLock()
        self._jobs = 0
        self._running: Deferred[None] | None = None
        self._exports: dict[str, RoomExport] = {}
        self._stopping = False

    def prepare(self) -> None:
        """Begin with an empty folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def stop(self) -> None:
        """End the work that is under way, and remove every archive."""
        self._stopping = True
        if self._running is not None:
            self._running.cancel()
        for export in list(self._exports.values()):
            self._forget(export)

    # Turns ----------------------------------------------------------------
    def check_turn(self) -> None:
        """Raises TryLater when too many wait already."""
        if self._jobs >= self._settings.waiting or self._stopping:
            raise TryLater(RETRY_S)

    async def _in_turn(self, steps: Callable[[], Awaitable[T]]) -> T:
        """Wait for one's turn, then do the steps."""
        self.check_turn()
        self._jobs += 1
        try:
            await self._turn.acquire()
            try:
                return await steps()
            finally:
                self._turn.release()
        finally:
            self._jobs -= 1

    async def _work(self, folder: Path, told: Callable[[Said], None]) -> None:
        if self._stopping:
            raise WorkFailed("the server stops")
        self._running = self._worker.run(folder, told)
        try:
            await self._running
        except CancelledError:
            raise WorkFailed("the work was cancelled") from None
        finally:
            self._running = None

    async def _new_folder(self) -> tuple[str, Path]:
        name = secrets.token_hex(16)
        path = self._folder / name

        def make() -> None:
            with disk_errors():
                path.mkdir(mode=0o700)

        await self._in_thread(make)
        return name, path

    async def room_name(self, hub_id: str) -> str:
        """What the room is called. Raises NotFound."""
        return await self.mover.room_name(hub_id)

    def remove(self, path: Path) -> None:
        """Remove a folder, in the background."""
        self._in_thread(lambda: shutil.rmtree(path, ignore_errors=True))

    # Whole rooms ----------------------------------------------------------
    async def start(self, hub_id: str, *, by: str) -> RoomExport:
        """Begin an export; an earlier archive of the room goes.

        Raises TryLater: one is under way, or too many wait.
        """
        of_room = [one for one in self._exports.values() if one.hub_id == hub_id]
        if any(not one.ended for one in of_room):
            raise TryLater(RETRY_S)
        self.check_turn()
        for one in of_room:
            self._forget(one)
        id_, folder = await self._new_folder()
        export = RoomExport(id_, hub_id, folder, self._now())
        self._exports[id_] = export
        export.work = Deferred.fromCoroutine(self._run(export, by))
        export.work.addErrback(
            lambda failure: _log.failure("an export failed", failure=failure)
        )
        return export

    async def _run(self, export: RoomExport, by: str) -> None:
        try:
            await self._in_turn(lambda: self._export(export, by))
        except (WorkRefused, WorkFailed, NotFound) as error:
            self._fail(export, str(error))
        except TryLater:
            self._fail(export, "too many exports wait; try again later")
        except StoreFull:
            self._fail(export, "the disk is full")
        except (StoreError, OSError):
            _log.failure("an export failed")
            self._fail(export, "it failed; the server's log says why")
        if self._is_gone(export):
            self.remove(export.folder)

    async def _export(self, export: RoomExport, by: str) -> None:
        if self._is_gone(export):
            return
        export.state = "running"
        with disk_errors():
            await self.mover.archive_job(export.hub_id, export.folder, by=by)

        def told(said: Said) -> None:
            export.progress, export.step = said.progress, said.step

        if self._is_gone(export):
            return
        await self._work(export.folder, told)
        export.size_bytes = await self._in_thread(lambda: _leave_only_out(export))
        export.state, export.progress, export.step = "ready", 1.0, ""
        self._keep_for_a_while(export)

    def _fail(self, export: RoomExport, why: str) -> None:
        export.state, export.detail, export.step = "failed", why, ""
        self._keep_for_a_while(export)

    def _keep_for_a_while(self, export: RoomExport) -> None:
        keep_s = self._settings.keep_s
        export.expires_at = self._now() + keep_s
        if not self._is_gone(export):
            export.alarm = self._clock.callLater(keep_s, self._forget, export)

    def find(self, hub_id: str, id_: str) -> RoomExport:
        """An export of that room. Raises NotFound."""
        export = self._exports.get(id_)
        if export is None or export.hub_id != hub_id:
            raise NotFound("there is no such export, or it has expired")
        return export

    def cancel(self, export: RoomExport) -> None:
        """End it, whatever it is doing, and remove what it made."""
        running = export.state == "running"
        self._forget(export)
        if running and self._running is not None:
            self._running.cancel()

    def _is_gone(self, export: RoomExport) -> bool:
        """It was cancelled, or the server stops."""
        return self._exports.get(export.id) is not export

    def _forget(self, export: RoomExport) -> None:
        self._exports.pop(export.id, None)
        if export.alarm is not None and export.alarm.active():
            export.alarm.cancel()
        if export.ended:
            self.remove(export.folder)

    # One document ---------------------------------------------------------
    async def document(self, hub_id: str, name: str, format_: str) -> Path:
        """One document in one format; the file goes after ten minutes, or
        when the caller removes its folder. Raises as `start`, WorkRefused."""
        if format_ not in formats_of(name):
            raise WorkRefused(f"{name} cannot be had as {format_}")

        async def steps() -> Path:
            _, folder = await self._new_folder()
            try:
                with disk_errors():
                    await self.mover.document_job(hub_id, name, format_, folder)
                await self._work(folder, lambda _: None)
            except BaseException:
                self.remove(folder)
                raise
            self._clock.callLater(QUICK_KEEP_S, self.remove, folder)
            return folder / "out"

        return await self._in_turn(steps)

    # Import ---------------------------------------------------------------
    async def take_in(self, archive: Path, files: BlobFiles, owner: str | None) -> Room:
        """Make a room of an archive: all of it or nothing.

        Raises TryLater, WorkRefused, WorkFailed, StoreError.
        """

        async def steps() -> Room:
            _, folder = await self._new_folder()
            try:
                job = ImportJob(archive=str(archive), limits=self.mover.limits)
                await self._in_thread(lambda: write_job(folder, job))
                await self._work(folder, lambda _: None)
                return await self.mover.settle_import(folder, files=files, owner=owner)
            finally:
                self.remove(folder)

        return await self._in_turn(steps)


def _leave_only_out(export: RoomExport) -> int:
    """Remove what the job needed; the size of the archive."""
    for path in export.folder.iterdir():
        if path.name != "out":
            path.unlink()
    return (export.folder / "out").stat().st_size
