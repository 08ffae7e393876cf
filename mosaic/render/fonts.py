"""The fonts that the board is written in, as TrueType.

The web client ships them as WOFF2 (OFL and MIT fonts, cut into parts by
script); they are unpacked here when they are needed. What none of them can
write is looked for among the system's fonts.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import reportlab
from fontTools.ttLib import TTFont, TTLibError

SYSTEM_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
)
MAX_SYSTEM_FONTS = 400


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of a font: above and below the baseline, in ems; descent is negative."""

    ascent: float
    descent: float


METRICS = {
    "Virgil": Metrics(0.886, -0.374),
    "Excalifont": Metrics(0.886, -0.374),
    "Cascadia": Metrics(1900 / 2048, -480 / 2048),
    "Nunito": Metrics(1.011, -0.353),
    "Lilita One": Metrics(0.923, -0.220),
    "Comic Shanns": Metrics(0.750, -0.250),
    "Liberation Sans": Metrics(1854 / 2048, -434 / 2048),
}
_NUMBERS = {
    1: "Virgil",
    2: "Liberation Sans",
    3: "Cascadia",
    5: "Excalifont",
    6: "Nunito",
    7: "Lilita One",
    8: "Comic Shanns",
    9: "Liberation Sans",
}
_FOLDERS = {
    "Lilita One": "Lilita",
    "Comic Shanns": "ComicShanns",
    "Liberation Sans": "Liberation",
}
GENERIC = {
    "Cascadia": "monospace",
    "Liberation Sans": "Helvetica, Arial, sans-serif",
    "Nunito": "sans-serif",
}
"""What SVG falls back to; the others are handwriting: "cursive"."""


def family_of(font_family: Any) -> str:
    """The family for Excalidraw's number."""
    if isinstance(font_family, float) and font_family.is_integer():
        font_family = int(font_family)
    if isinstance(font_family, bool) or not isinstance(font_family, int):
        return "Excalifont"
    return _NUMBERS.get(font_family, "Excalifont")


class Face:
    """One font file. name: unique among all faces."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    @cached_property
    def _font(self) -> Any:
        return TTFont(self.path, lazy=True)

    @cached_property
    def cmap(self) -> dict[int, str]:
        """From code points to glyphs; empty for a font that is of no use."""
        try:
            return self._font.getBestCmap() or {} if "glyf" in self._font else {}
        except (TTLibError, OSError, ValueError, KeyError):
            return {}

    def width(self, text: str) -> float:
        """In ems, without kerning."""
        advances = self._font["hmtx"].metrics
        missing = advances.get(".notdef", (0, 0))
        units = sum(
            advances.get(self.cmap.get(ord(char), ".notdef"), missing)[0]
            for char in text
        )
        return float(units) / float(self._font["head"].unitsPerEm)

    @cached_property
    def truetype(self) -> bytes:
        """The file as TrueType, under its unique name."""
        font = TTFont(self.path)
        font.flavor = None
        for record in font["name"].names:
            if record.nameID in (4, 6):
                record.string = self.name
        out = io.BytesIO()
        font.save(out)
        return out.getvalue()


@dataclass(frozen=True, slots=True)
class Run:
    """Part of a line that one face can write."""

    face: Face
    text: str


class FontShelf:
    """The fonts at hand. folder: `fonts` of the web client, which may be
    missing. system: where further ones are looked for."""

    def __init__(
        self, folder: Path, *, system: Sequence[Path] = SYSTEM_FOLDERS
    ) -> None:
        self._folder = folder
        self._system = system
        self._families: dict[str, list[Face]] = {}
        self._chosen: dict[tuple[str, str], Face] = {}

    def runs(self, text: str, family: str) -> list[Run]:
        """The line in parts, each with the first face that has its characters."""
        runs: list[Run] = []
        for char in text:
            face = self._face_for(char, family, runs[-1].face if runs else None)
            if runs and runs[-1].face is face:
                runs[-1] = Run(face, runs[-1].text + char)
            else:
                runs.append(Run(face, char))
        return runs

    def width(self, runs: Sequence[Run]) -> float:
        """In ems."""
        return sum(run.face.width(run.text) for run in runs)

    def _face_for(self, char: str, family: str, last: Face | None) -> Face:
        code = ord(char)
        if last is not None and char.isspace():
            return last
        key = family, char
        if key not in self._chosen:
            faces = self._candidates(family)
            first = next(faces)  # Vera is always there
            self._chosen[key] = next(
                (face for face in chain([first], faces) if code in face.cmap), first
            )
        return self._chosen[key]

    def _candidates(self, family: str) -> Iterator[Face]:
        yield from self.family(family)
        for other in ("Liberation Sans", "Nunito", "Cascadia"):
            if other != family:
                yield from self.family(other)
        yield from self._vera()
        yield from self._system_faces()

    def family(self, family: str) -> list[Face]:
        """The files of a family that the web client ships."""
        if family not in self._families:
            folder = self._folder / _FOLDERS.get(family, family)
            paths = sorted(folder.glob("*.woff2"), key=lambda path: -_size(path))
            self._families[family] = [
                Face(path, f"{family.replace(' ', '')}-{at}")
                for at, path in enumerate(paths)
            ]
        return self._families[family]

    def _vera(self) -> list[Face]:
        if "" not in self._families:
            folder = Path(reportlab.__file__).parent / "fonts"
            self._families[""] = [Face(folder / "Vera.ttf", "Vera")]
        return self._families[""]

    def _system_faces(self) -> list[Face]:
        if "*" not in self._families:
            paths: list[Path] = []
            for folder in self._system:
                for top, _, names in os.walk(folder):
                    paths += [Path(top, one) for one in names if one.endswith(".ttf")]
            paths.sort(key=lambda path: (_rank(path.stem), str(path)))
            self._families["*"] = [
                Face(path, f"System-{at}")
                for at, path in enumerate(paths[:MAX_SYSTEM_FONTS])
            ]
        return self._families["*"]


def _size(path: Path) -> int:
    return path.stat().st_size


def _rank(stem: str) -> int:
    """Plain upright sans fonts first."""
    plain = not any(
        word in stem for word in ("Bold", "Italic", "Oblique", "Mono", "Serif")
    )
    return 0 if plain and stem.startswith(("DejaVuSans", "NotoSans")) else 2 - plain
