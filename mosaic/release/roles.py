"""The signed documents of TUF in a folder: `N.ROLE.json`, N the version."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias, cast

from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from mosaic.release.errors import ReleaseRefused

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
TOP = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
NUMBERED = re.compile(
    r"(?P<version>[1-9][0-9]{0,18})\.(?P<role>[a-z][a-z0-9-]{0,15})\.json"
)
Document: TypeAlias = Metadata[Any]


def expiry(now: float, days: float) -> datetime:
    """A date as TUF writes it: UTC, whole seconds. now: Unix seconds."""
    moment = datetime.fromtimestamp(now, UTC) + timedelta(days=days)
    return moment.replace(microsecond=0)


def read_document(file: Path) -> Document:
    """One document, without a look at its signatures. Raises ReleaseRefused."""
    try:
        return Metadata.from_bytes(file.read_bytes())
    except OSError as error:
        raise ReleaseRefused(f"{file}: {error.strerror}") from error
    except (DeserializationError, ValueError) as error:
        raise ReleaseRefused(f"{file} is no TUF metadata") from error


def versions_in(folder: Path) -> dict[str, list[int]]:
    """Which versions of which roles are there, in order."""
    found: dict[str, list[int]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := NUMBERED.fullmatch(path.name):
            found.setdefault(match["role"], []).append(int(match["version"]))
    return {role: sorted(numbers) for role, numbers in found.items()}


def latest_in(folder: Path, role: str) -> Document | None:
    """The newest version of a role. Raises ReleaseRefused."""
    numbers = versions_in(folder).get(role)
    return read_document(folder / f"{numbers[-1]}.{role}.json") if numbers else None


def channels_of(targets: Document) -> list[str]:
    """The roles that the top targets role delegates to."""
    delegations = cast("Targets", targets.signed).delegations
    return sorted(delegations.roles or {}) if delegations else []


def check_signed(delegator: Document, role: str, document: Document) -> None:
    """Raise ReleaseRefused unless enough keys have signed."""
    signed: Root | Targets = delegator.signed
    try:
        result = signed.get_verification_result(
            role, document.signed_bytes, document.signatures
        )
    except ValueError as error:
        raise ReleaseRefused(f"nobody may sign as {role}") from error
    if not result:
        raise ReleaseRefused(
            f"{role} version {document.signed.version} has {len(result.signed)} of "
            f"{result.threshold} signatures"
        )


def check_root(previous: Document | None, root: Document) -> None:
    """The same for a root, which its predecessor must have signed as well."""
    before = None if previous is None else cast("Root", previous.signed)
    try:
        result = cast("Root", root.signed).get_root_verification_result(
            before, root.signed_bytes, root.signatures
        )
    except ValueError as error:
        raise ReleaseRefused(f"root: {error}") from error
    for which in (result.first, result.second):
        if not which:
            raise ReleaseRefused(
                f"root version {root.signed.version} has {len(which.signed)} of "
                f"{which.threshold} signatures"
            )
