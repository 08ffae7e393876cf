"""`mosaic backup` and `mosaic restore`."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from mosaic.app.backup import default_name, make_backup
from mosaic.app.keys import make_private_folder
from mosaic.app.preflight import StateLock
from mosaic.app.restore import STAGING, BadArchive, put_in_place, unpack
from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag, show
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.store.database import database_path
from mosaic.store.interface import StoreError


def add_to(verbs: Any) -> None:
    """Add both verbs."""
    backup = verbs.add_parser(
        "backup", help="write database, files and keys into one archive"
    )
    backup.add_argument("file", metavar="FILE", nargs="?", type=Path)
    backup.add_argument(
        "--without-keys", action="store_true", help="leave out keys and certificates"
    )
    add_json_flag(backup)
    backup.set_defaults(run=_backup)
    restore = verbs.add_parser("restore", help="put a backup in the state folder")
    restore.add_argument("file", metavar="FILE", type=Path)
    restore.add_argument(
        "--force", action="store_true", help="also over what is there; that is kept"
    )
    restore.add_argument(
        "--verify", action="store_true", help="only unpack and check the archive"
    )
    add_json_flag(restore)
    restore.set_defaults(run=_restore)


def _database(settings: Settings) -> Path:
    state = state_folder(settings)
    return database_path(settings.store.url or state / "mosaic.db").absolute()


def _backup(settings: Settings, options: argparse.Namespace) -> None:
    now = time.time()
    target = Path(options.file or default_name(now)).absolute()
    try:
        made = make_backup(
            state=state_folder(settings),
            database=_database(settings),
            target=target,
            secrets=not options.without_keys,
            now=now,
        )
    except (StoreError, OSError) as error:
        raise Refused(f"no backup: {error}") from error
    for name in made.damaged:
        sys.stderr.write(f"mosaic: warning: {name} is damaged on disk\n")
    show(
        {"file": str(made.file), "size_bytes": made.size_bytes, "files": made.files,
         "damaged": made.damaged},
        as_json=options.json,
    )  # fmt: skip


def _restore(settings: Settings, options: argparse.Namespace) -> None:
    state, database = state_folder(settings), _database(settings)
    try:
        make_private_folder(state)
        lock = StateLock(state)
    except OSError as error:
        raise Refused(f"state folder {state}: {error}") from error
    try:
        if not lock.take():
            raise Refused(f"{state} is in use by a running Mosaic; stop it first")
        if database.exists() and not options.force and not options.verify:
            raise Refused(
                f"{database} exists; with --force the backup takes its place, and it"
                " stays beside it under another name"
            )
        _put(state, database, options)
    finally:
        lock.release()


def _put(state: Path, database: Path, options: argparse.Namespace) -> None:
    staged = state / STAGING
    try:
        manifest = unpack(options.file, staged)
        if options.verify:
            record = {"verified": str(options.file), "files": len(manifest["files"])}
            shutil.rmtree(staged)
        else:
            done = put_in_place(
                staged,
                state=state,
                database=database,
                manifest=manifest,
                now=time.time(),
            )
            record = {
                "restored": str(options.file),
                "made_at": done.made_at,
                "files": done.files,
                "replaced": str(done.replaced) if done.replaced else None,
            }
    except (BadArchive, StoreError, OSError) as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise Refused(f"not restored: {error}") from error
    show(record, as_json=options.json)
