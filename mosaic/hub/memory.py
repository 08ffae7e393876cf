"""What a hub remembers across kills, and the file that it is in."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct, field

from mosaic.hub.feed import Feed

FILE = "hub.json"
MAX_FILE_BYTES = 4 * 1024 * 1024


class Result(Struct, frozen=True, kw_only=True):
    """How a command went."""

    ok: bool
    detail: str = ""


class Memory(Struct, frozen=True, kw_only=True):
    """One state; replaced as a whole.

    hub_id: None until enrolled. removed: the server does not know the hub any
    more. feed: the last one. done: commands that were carried out and that the
    server still lists. joined: calendar entries that were joined already.
    """

    version: int = 1
    server: str = ""
    hub_id: str | None = None
    name: str = ""
    removed: bool = False
    feed: Feed | None = None
    done: dict[str, Result] = field(default_factory=dict)
    joined: tuple[str, ...] = ()
    slot: str | None = None


_decoder = msgspec.json.Decoder(Memory)


def encode_memory(memory: Memory) -> bytes:
    """As it stands in the file."""
    return msgspec.json.format(msgspec.json.encode(memory)) + b"\n"


def decode_memory(content: bytes) -> Memory:
    """Raises ValueError for anything that is no memory of ours."""
    try:
        memory = _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if memory.version != 1:
        raise ValueError(f"version {memory.version} is not known here")
    return memory


class MemoryFile:
    """`hub.json` in the state folder: replaced in one step, on the disk before
    save() returns."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._previous = folder / (FILE + ".previous")

    def load(self) -> tuple[Memory, str | None]:
        """The memory, and what was wrong with the file, if anything was.

        A file that cannot be read is set aside as hub.json.broken, and the one
        before it is taken, else the hub begins with nothing: its key, which is
        elsewhere, tells the server who it is. Raises OSError where the folder
        itself is of no use.
        """
        try:
            return _read(self.path), None
        except FileNotFoundError:
            return Memory(), None
        except ValueError as error:
            aside = self.path.with_name(FILE + ".broken")
            os.replace(self.path, aside)
            problem = f"{self.path} cannot be read and is now {aside}: {error}"
        try:
            return _read(self._previous), f"{problem}; the one before it is used"
        except (FileNotFoundError, ValueError):
            return Memory(), f"{problem}; the hub begins anew"

    def save(self, memory: Memory) -> None:
        """Raises OSError; the file then is the old one."""
        with suppress(FileNotFoundError):
            spare = self._previous.with_name(self._previous.name + ".new")
            with suppress(FileNotFoundError):
                spare.unlink()
            os.link(self.path, spare)
            os.replace(spare, self._previous)
        write_durably(self.path, encode_memory(memory))


def _read(path: Path) -> Memory:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return decode_memory(content)


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file in one step: after a power cut it is the old or the new."""
    new = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names in it are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
