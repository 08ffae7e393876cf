"""Secrets of the installation: made once, readable by the owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

KEY_BYTES = 32


def make_private_folder(folder: Path) -> Path:
    """Make a folder with mode 0700, or narrow one that stands."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def load_or_make_key(state: Path, name: str) -> bytes:
    """The secret of that name in `keys/`: 32 random bytes, hexadecimal on disk.

    Raises ValueError, naming the file, if what is there is no such secret.
    """
    return load_or_make_keys(state, name)[0]


def load_or_make_keys(state: Path, name: str) -> list[bytes]:
    """All secrets of a file, one to a line, the current one first.

    An operator rotates a secret by writing a new first line and removing the
    old one when what was issued with it has expired.
    """
    folder = make_private_folder(state / "keys")
    file = folder / name
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(file)
    key = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(key.hex() + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return [key]


def _read(file: Path) -> list[bytes]:
    try:
        keys = [bytes.fromhex(line) for line in file.read_text().split()]
    except ValueError as error:
        raise ValueError(f"{file} holds no hexadecimal key: {error}") from error
    if not keys or any(len(key) < KEY_BYTES for key in keys):
        raise ValueError(f"{file} must hold keys of at least {KEY_BYTES} bytes")
    return keys
