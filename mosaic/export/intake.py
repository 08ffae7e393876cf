"""Somebody's archive, checked and taken apart.

Nothing in it is believed: names come from a fixed set, sizes are counted while
they are unpacked, every document is walked before the CRDT sees it, every file
must have the hash that it is named by.
"""

from __future__ import annotations

import errno
import hashlib
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from mosaic.export.archive import FORMAT, VERSION, DocumentRecord, Manifest, Told
from mosaic.export.documents import load_state
from mosaic.export.jobs import (
    CONTENT,
    BlobEntry,
    ChatEntry,
    Imported,
    ImportedDocument,
    ImportJob,
    WorkRefused,
)
from mosaic.workspace.documents import is_document_name
from mosaic.workspace.names import DOCUMENT_NAME_CHARS, display_name, room_name

MAX_ENTRIES = 20_000
MAX_MANIFEST_BYTES = 8 << 20
MAX_DOCUMENTS = 500
MAX_STATES_BYTES = 200 << 20
"""Of all documents: they are written in one transaction."""
MAX_MESSAGES = 200_000
MAX_CHAT_BYTES = 64 << 20
MAX_CHAT_LINE_BYTES = 600_000
MAX_TEXT_CHARS = 100_000
MAX_RATIO = 200
"""Unpacked to packed, of the whole archive: text seldom passes 20."""
RATIO_FROM_BYTES = 16 << 20
_CHUNK = 1 << 18

_DAMAGE = (
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
)
"""What zipfile may raise for bytes that lie (NotImplementedError is a
RuntimeError)."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KNOWN = re.compile(
    r"manifest\.json|README\.txt|chat\.jsonl"
    r"|board\.(?:excalidraw|svg|png|pdf)"
    r"|documents/(?:[^/\\\x00-\x1f]{1,128}|notes/[^/\\\x00-\x1f]{1,128})\.ydoc"
    r"|notes/[^/\\\x00-\x1f]{1,128}\.(?:html|md|docx|pdf|ydoc)"
    r"|blobs/[0-9a-f]{64}"
    r"|(?:documents|documents/notes|notes|blobs)/"
)
_MEDIA_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}"
)
MAX_ID_CHARS = 128
NOBODY = "?"
"""In place of an author whose name can be shown to nobody."""


def take_apart(job: ImportJob, folder: Path, told: Told) -> None:
    """Check the archive and leave its content in the folder, with
    content.json. Raises WorkRefused with what is wrong with it."""
    try:
        with zipfile.ZipFile(job.archive) as archive:
            _Intake(job, archive, folder, told).run()
    except zipfile.BadZipFile as error:
        raise WorkRefused(f"this is no whole ZIP archive: {error}") from None
    except _DAMAGE as error:
        raise WorkRefused(f"the archive is damaged: {error}") from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # an offset before the file's start
            raise WorkRefused("the archive is damaged: a wrong offset") from None
        raise


class _Intake:
    def __init__(
        self, job: ImportJob, archive: zipfile.ZipFile, folder: Path, told: Told
    ) -> None:
        self._limits = job.limits
        self._archive = archive
        self._folder = folder
        self._told = told
        self._left = 2 * job.limits.archive_bytes
        self._entries: dict[str, zipfile.ZipInfo] = {}

    def run(self) -> None:
        self._check_entries()
        manifest = self._manifest()
        documents = self._documents(manifest)
        messages = self._chat(manifest)
        blobs = self._blobs(manifest)
        content = Imported(
            name=_named(room_name, manifest.room.name, "the room's name"),
            hub_id=manifest.room.hub_id[:16],
            documents=documents,
            chat="chat.jsonl",
            messages=messages,
            blobs=blobs,
        )
        (self._folder / CONTENT).write_bytes(msgspec.json.encode(content))

    # Entries --------------------------------------------------------------
    def _check_entries(self) -> None:
        """Names, kinds and announced sizes of everything, before any is read."""
        infos = self._archive.infolist()
        if len(infos) > MAX_ENTRIES:
            raise WorkRefused(f"the archive has more than {MAX_ENTRIES} entries")
        for info in infos:
            self._check_entry(info)
            self._entries[info.filename] = info
        size = sum(info.file_size for info in infos)
        packed = sum(info.compress_size for info in infos)
        if size > self._left:
            raise WorkRefused(f"the archive unpacks to more than {self._left} bytes")
        if size > RATIO_FROM_BYTES and size > MAX_RATIO * max(packed, 1):
            raise WorkRefused(
                f"the archive unpacks to {size // max(packed, 1)} times its size"
            )

    def _check_entry(self, info: zipfile.ZipInfo) -> None:
        name = info.filename
        shown = name[:80]
        if name != info.orig_filename or not _KNOWN.fullmatch(name) or ".." in name:
            raise WorkRefused(f"the archive holds {shown!r}, which no room has")
        if name in self._entries:
            raise WorkRefused(f"the archive holds {shown!r} twice")
        if info.flag_bits & 0x1:
            raise WorkRefused(f"{shown!r} is encrypted")
        if (info.external_attr >> 16) & 0o170000 not in (0, 0o100000, 0o040000):
            raise WorkRefused(f"{shown!r} is no plain file")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise WorkRefused(f"{shown!r} is compressed in a way that is not taken")

    def _read(self, name: str, limit: int, use: Callable[[bytes], object]) -> str:
        """Unpack an entry piece by piece; its SHA-256."""
        info = self._entries.get(name)
        if info is None:
            raise WorkRefused(f"the archive lacks {name!r}")
        digest, size = hashlib.sha256(), 0
        with self._archive.open(info) as source:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                self._left -= len(chunk)
                if size > limit:
                    raise WorkRefused(f"{name!r} has more than {limit} bytes")
                if self._left < 0:
                    raise WorkRefused("the archive unpacks to more than it says")
                digest.update(chunk)
                use(chunk)
        return digest.hexdigest()

    def _bytes(self, name: str, limit: int) -> tuple[bytes, str]:
        data = bytearray()
        sha256 = self._read(name, limit, data.extend)
        return bytes(data), sha256

    # Parts ----------------------------------------------------------------
    def _manifest(self) -> Manifest:
        data, _ = self._bytes("manifest.json", MAX_MANIFEST_BYTES)
        try:
            manifest = msgspec.json.decode(data, type=Manifest)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise WorkRefused(f"manifest.json cannot be read: {error}") from None
        if manifest.format != FORMAT:
            raise WorkRefused("this is no archive of a Mosaic room")
        if manifest.version != VERSION:
            raise WorkRefused(
                f"the archive has version {manifest.version},"
                f" this Mosaic reads version {VERSION}"
            )
        for what, listed in (
            ("documents/", {one.file for one in manifest.documents}),
            ("blobs/", {f"blobs/{one.sha256}" for one in manifest.blobs}),
        ):
            for name in self._entries:
                if name.startswith(what) and name[-1] != "/" and name not in listed:
                    raise WorkRefused(f"the manifest does not know {name!r}")
        return manifest

    def _documents(self, manifest: Manifest) -> list[ImportedDocument]:
        found: list[ImportedDocument] = []
        names: set[str] = set()
        if len(manifest.documents) > MAX_DOCUMENTS:
            raise WorkRefused(f"the room has more than {MAX_DOCUMENTS} documents")
        size = sum(
            info.file_size
            for name, info in self._entries.items()
            if name.startswith("documents/")
        )
        if size > MAX_STATES_BYTES:
            raise WorkRefused(
                f"the documents have {size} bytes, a room may have {MAX_STATES_BYTES}"
            )
        for at, record in enumerate(manifest.documents):
            self._told(0.1 + 0.6 * at / len(manifest.documents), "documents")
            found.append(self._document(record, at))
            if record.name in names:
                raise WorkRefused(f"the manifest has {record.name!r} twice")
            names.add(record.name)
        return found

    def _document(self, record: DocumentRecord, at: int) -> ImportedDocument:
        name = record.name
        if len(name) > DOCUMENT_NAME_CHARS or not is_document_name(name):
            raise WorkRefused(f"{name[:80]!r} is no name of a document")
        if record.file != f"documents/{name}.ydoc":
            raise WorkRefused(f"the document {name} is not where it belongs")
        state, sha256 = self._bytes(record.file, self._limits.document_bytes)
        if sha256 != record.sha256:
            raise WorkRefused(f"the document {name} was changed: its SHA-256 differs")
        document = load_state(state, name=name)
        file = f"document-{at}"
        (self._folder / file).write_bytes(document.get_update())
        return ImportedDocument(name=name, file=file)

    def _chat(self, manifest: Manifest) -> int:
        """The lines, checked one by one and written anew."""
        self._told(0.7, "chat")
        lines = _Lines(self._folder / "chat.jsonl")
        try:
            sha256 = self._read("chat.jsonl", MAX_CHAT_BYTES, lines.feed)
            lines.end()
        finally:
            lines.out.close()
        if sha256 != manifest.chat.sha256:
            raise WorkRefused("the chat was changed: its SHA-256 differs")
        return lines.count

    def _blobs(self, manifest: Manifest) -> list[BlobEntry]:
        place = self._folder / "blobs"
        place.mkdir()
        found: dict[str, BlobEntry] = {}
        for at, blob in enumerate(manifest.blobs):
            self._told(0.8 + 0.2 * at / len(manifest.blobs), "files")
            if not _SHA256.fullmatch(blob.sha256):
                raise WorkRefused("the manifest names a file by no SHA-256")
            if blob.sha256 in found:
                raise WorkRefused(f"the manifest has the file {blob.sha256} twice")
            found[blob.sha256] = self._blob(blob, place)
        return list(found.values())

    def _blob(self, blob: BlobEntry, place: Path) -> BlobEntry:
        name = f"blobs/{blob.sha256}"
        with (place / blob.sha256).open("wb") as out:
            sha256 = self._read(name, self._limits.blob_bytes, out.write)
            size = out.tell()
        if sha256 != blob.sha256:
            raise WorkRefused(f"the file {blob.sha256} was changed")
        known = _MEDIA_TYPE.fullmatch(blob.media_type)
        return BlobEntry(
            sha256=sha256,
            size_bytes=size,
            media_type=blob.media_type if known else "application/octet-stream",
            created_at=blob.created_at if _is_time(blob.created_at) else 0.0,
        )


class _Lines:
    """Lines of chat from pieces of a file; out: where the good ones go."""

    def __init__(self, path: Path) -> None:
        self.out = path.open("wb")
        self.count = 0
        self._rest = b""
        self._ids: set[str] = set()

    def feed(self, chunk: bytes) -> None:
        """Take the next piece."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > MAX_CHAT_LINE_BYTES:
            raise WorkRefused(f"line {self.count + 1} of the chat is too long")

    def end(self) -> None:
        """There is no more."""
        if self._rest:
            self._line(self._rest)

    def _line(self, line: bytes) -> None:
        self.count += 1
        where = f"line {self.count} of the chat"
        if len(line) > MAX_CHAT_LINE_BYTES:
            raise WorkRefused(f"{where} is too long")
        if self.count > MAX_MESSAGES:
            raise WorkRefused(f"the chat has more than {MAX_MESSAGES} messages")
        try:
            entry = msgspec.json.decode(line, type=ChatEntry)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise WorkRefused(f"{where} cannot be read: {error}") from None
        for given in (entry.message_id, entry.author_id):
            if len(given) > MAX_ID_CHARS:
                raise WorkRefused(f"{where} has an id that is too long")
        if entry.message_id in self._ids:
            raise WorkRefused(f"{where} is there twice")
        self._ids.add(entry.message_id)
        if len(entry.text) > MAX_TEXT_CHARS:
            raise WorkRefused(f"{where} has more than {MAX_TEXT_CHARS} characters")
        if not _is_time(entry.at):
            raise WorkRefused(f"{where} has no time")
        try:
            author = display_name(entry.author)
        except ValueError:
            author = NOBODY
        kept = msgspec.structs.replace(entry, author=author, seq=self.count)
        self.out.write(msgspec.json.encode(kept) + b"\n")


def _is_time(at: float) -> bool:
    """Unix seconds, of this millennium or the next."""
    return math.isfinite(at) and 0 <= at < 1e11


def _named(rule: Callable[[str], str], name: str, what: str) -> str:
    try:
        return rule(name)
    except ValueError as error:
        raise WorkRefused(f"{what}: {error}") from None
