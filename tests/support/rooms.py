"""Rooms with something in them: boards, notes, chat and pictures for tests."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from pycrdt import Doc, Map, XmlElement, XmlFragment, XmlText
from twisted.internet.defer import Deferred, fail, succeed

from mosaic.export.jobs import Said, WorkRefused
from mosaic.export.worker import perform
from mosaic.services.rest.workers import Told


def element(kind: str, id_: str, **more: Any) -> dict[str, Any]:
    """An element as Excalidraw makes it."""
    made: dict[str, Any] = {
        "id": id_,
        "type": kind,
        "x": 10,
        "y": 20,
        "width": 100,
        "height": 60,
        "version": 3,
        "versionNonce": 7,
        "index": "a0",
        "isDeleted": False,
        "angle": 0,
        "strokeColor": "#1e1e1e",
        "backgroundColor": "transparent",
        "fillStyle": "solid",
        "strokeWidth": 2,
        "strokeStyle": "solid",
        "roughness": 0,
        "opacity": 100,
        "roundness": None,
        "groupIds": [],
        "frameId": None,
        "updated": 1,
    }
    return made | more


def written(words: str, id_: str, **more: Any) -> dict[str, Any]:
    """A text element."""
    given: dict[str, Any] = {
        "text": words,
        "fontSize": 20,
        "fontFamily": 5,
        "textAlign": "left",
        "lineHeight": 1.25,
    }
    return element("text", id_, **(given | more))


def board_of(elements: Iterable[Mapping[str, Any]]) -> Doc[Any]:
    """A board's document."""
    document: Doc[Any] = Doc()
    held = document.get("elements", type=Map)
    with document.transaction():
        for one in elements:
            held[one["id"]] = dict(one)
    return document


Node = tuple[str, dict[str, Any], list[Any]]
"""Tag, attributes and children: nodes, or (text, marks)."""


def notes_of(nodes: Iterable[Node]) -> Doc[Any]:
    """A notes document as TipTap writes it."""
    document: Doc[Any] = Doc()
    fragment = document.get("default", type=XmlFragment)
    with document.transaction():
        for node in nodes:
            _add(fragment, node)
    return document


def _add(parent: Any, node: Node) -> None:
    tag, attributes, children = node
    made = XmlElement(tag)
    parent.children.append(made)
    for name, value in attributes.items():
        made.attributes[name] = value
    text: Any = None
    for child in children:
        if len(child) == 3:
            text = None
            _add(made, child)
            continue
        words, marks = child
        if text is None:
            text = XmlText("")
            made.children.append(text)
        off = dict.fromkeys(_MARKS) | marks
        text.insert(len(_plain(text).encode()), words, off)


_MARKS = ("bold", "italic", "underline", "strike", "code", "link")


def _plain(text: Any) -> str:
    return "".join(part for part, _ in text.diff() if isinstance(part, str))


def paragraph(words: str, **marks: Any) -> Node:
    """A paragraph in one style."""
    return "paragraph", {}, [(words, marks)]


def png(width: int = 40, height: int = 30, colour: str = "teal") -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


class InlineWorker:
    """The worker's own code, in this process and at once."""

    def run(self, folder: Path, told: Told) -> Deferred[None]:
        """Do the job."""
        try:
            perform(folder, lambda at, step: told(Said(progress=at, step=step)))
        except WorkRefused as error:
            return fail(error)
        return succeed(None)
