"""Files that hubs answer commands with: screenshots and logs, for a while.

`<state>/hub-files/<hub_id>/<command id>`; both names are digits that we checked.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from twisted.internet.defer import Deferred

from mosaic.services.rest.blobfiles import RunInThread, UploadBody, disk_errors
from mosaic.services.rest.problems import Refusal

PNG = b"\x89PNG\r\n\x1a\n"
KINDS = ("image/png", "text/plain")


class HubFiles:
    """The folder. max_bytes: of all files; past it the oldest go."""

    def __init__(
        self, root: Path, *, max_bytes: int, run_in_thread: RunInThread
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._run_in_thread = run_in_thread

    def path_of(self, hub_id: str, id: str) -> Path:
        """Where the file of a command is."""
        return self._root / hub_id / id

    def keep(self, hub_id: str, id: str, body: UploadBody, kind: str) -> Deferred[None]:
        """Take a whole body. Raises Refusal for what is not of its kind."""
        fd, source = body.take(), body.path
        target = self.path_of(hub_id, id)
        return self._run_in_thread(lambda: self._keep(fd, source, target, kind))

    def _keep(self, fd: int, source: Path, target: Path, kind: str) -> None:
        os.close(fd)
        try:
            if kind == "image/png":
                with source.open("rb") as file:
                    if file.read(len(PNG)) != PNG:
                        raise Refusal(415, "this is no PNG")
            with disk_errors():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                source.rename(target)
        finally:
            source.unlink(missing_ok=True)
        self._make_place(target)

    def _make_place(self, newest: Path) -> None:
        found = [(p.stat(), p) for p in self._root.glob("*/*")]
        total = sum(stat.st_size for stat, _ in found)
        for stat, path in sorted(found, key=lambda one: one[0].st_mtime):
            if total <= self._max_bytes or path == newest:
                continue
            path.unlink(missing_ok=True)
            total -= stat.st_size

    def forget(self, hub_id: str, id: str | None = None) -> Deferred[None]:
        """The file of a command, or all of a hub, go."""

        def remove() -> None:
            if id is None:
                shutil.rmtree(self._root / hub_id, ignore_errors=True)
            else:
                self.path_of(hub_id, id).unlink(missing_ok=True)

        return self._run_in_thread(remove)
