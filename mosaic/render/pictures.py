"""Pictures of the room: which of its files can be drawn, and their bytes."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 60_000_000
RASTER = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
"""What every browser draws and what cannot carry a script or a reference."""

_CHUNK = 3 * 65536


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file that is a picture. Pixels: width and height."""

    path: Path
    media_type: str
    width: int
    height: int

    def data_uri(self) -> Iterator[str]:
        """The picture in a URI, piece by piece."""
        yield f"data:{self.media_type};base64,"
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield base64.b64encode(chunk).decode("ascii")

    def scaled(self, width: int, height: int) -> Image.Image:
        """The picture in at most so many pixels, in RGB or RGBA.

        Raises OSError for one that is broken inside.
        """
        with Image.open(self.path, formats=tuple(RASTER)) as image:
            if image.format == "JPEG":
                image.draft("RGB", (width, height))
            image.load()
            alpha = "A" in image.getbands() or "transparency" in image.info
            found = image.convert("RGBA" if alpha else "RGB")
        found.thumbnail((max(width, 1), max(height, 1)))
        return found


class Pictures:
    """The room's files by their SHA-256.

    budget_bytes: how much of them may be written into one document; a picture
    that is shown twice counts once.
    """

    def __init__(self, files: Mapping[str, Path], *, budget_bytes: int) -> None:
        self._files = files
        self._known: dict[str, PictureFile | None] = {}
        self._left = budget_bytes

    def get(self, sha256: str) -> PictureFile | None:
        """The picture, or None: no such file, or none that can be drawn."""
        if sha256 not in self._known:
            self._known[sha256] = self._look(sha256)
        return self._known[sha256]

    def _look(self, sha256: str) -> PictureFile | None:
        path = self._files.get(sha256)
        if path is None:
            return None
        try:
            size = path.stat().st_size
            with Image.open(path, formats=tuple(RASTER)) as image:
                found = PictureFile(path, RASTER[image.format or ""], *image.size)
        except (
            OSError,
            UnidentifiedImageError,
            ValueError,
            KeyError,
            Image.DecompressionBombError,
        ):
            return None
        if found.width * found.height > MAX_PIXELS or size > self._left:
            return None
        self._left -= size
        return found
