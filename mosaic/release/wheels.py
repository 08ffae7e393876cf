"""The wheels of a version: built by pip, or given, and described."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mosaic.release.errors import ReleaseRefused
from mosaic.workspace.releases import (
    ReleaseError,
    Wheel,
    check_version,
    check_wheel_name,
)

PROJECT = "mosaic-meetings"


def build_wheels(
    source: Path,
    folder: Path,
    *,
    constraints: Path | None = None,
    dependencies: bool = True,
    extras: Sequence[str] = (),
    isolated: bool = True,
) -> None:
    """Fill a folder with the wheel of a source tree and those of its hub.

    constraints: pinned versions, as for pip. extras: of the project, beside `hub`.
    isolated: build in an environment that pip makes. Raises ReleaseRefused with
    pip's last words.
    """
    wanted = ",".join(["hub", *extras])
    what = f"{source}[{wanted}]" if dependencies else str(source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "-w", str(folder), what]
    if constraints is not None:
        command += ["--constraint", str(constraints)]
    if not dependencies:
        command += ["--no-deps"]
    if not isolated:
        command += ["--no-build-isolation"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ReleaseRefused(f"pip wheel failed: {lines[-1] if lines else 'no word'}")


def describe_wheels(folder: Path) -> dict[Wheel, Path]:
    """The wheels of a folder. Raises ReleaseRefused."""
    found: dict[Wheel, Path] = {}
    for path in sorted(folder.glob("*.whl")):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        try:
            name = check_wheel_name(path.name)
        except ReleaseError as error:
            raise ReleaseRefused(str(error)) from error
        found[Wheel(name=name, sha256=digest, size_bytes=path.stat().st_size)] = path
    if not found:
        raise ReleaseRefused(f"{folder} holds no wheels")
    return found


def version_of(wheels: Iterable[Wheel], project: str = PROJECT) -> str:
    """The version that the wheel of a project has. Raises ReleaseRefused."""
    versions = {one.name.split("-")[1] for one in wheels if one.project == project}
    if len(versions) != 1:
        raise ReleaseRefused(
            f"there must be wheels of one version of {project}; there are: "
            f"{', '.join(sorted(versions)) or 'none'}"
        )
    try:
        return check_version(versions.pop())
    except ReleaseError as error:
        raise ReleaseRefused(str(error)) from error


def architectures_of(wheels: Sequence[Wheel]) -> tuple[str, ...]:
    """The machines that all wheels together are for, from their platform tags."""
    machines: set[str] = set()
    for one in wheels:
        for tag in one.name.removesuffix(".whl").split("-")[-1].split("."):
            found = re.search(
                r"_(x86_64|aarch64|armv7l|i686|ppc64le|riscv64|arm64)$", tag
            )
            if found:
                machines.add(found[1])
    return tuple(sorted(machines)) or ("any",)
