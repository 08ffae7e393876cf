"""Shared documents rebuilt from raw updates, in the worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pycrdt import Doc, Map

from mosaic.export.jobs import WorkRefused
from mosaic.render.elements import index_of, is_element
from mosaic.workspace.documents import EMPTY_UPDATE, MalformedUpdate, check_update

MAX_SET_ASIDE = 8
ELEMENTS = "elements"
"""The board's map; the web client's binding says the same."""


def rebuild(updates: Iterable[bytes], *, name: str) -> tuple[Doc[Any], int]:
    """The document, and how many updates could not be applied.

    A document in which the CRDT failed is not trusted: it is built again
    without what made it fail. Raises WorkRefused if that goes on.
    """
    kept = [update for update in updates if update not in (b"", EMPTY_UPDATE)]
    set_aside = 0
    while set_aside <= MAX_SET_ASIDE:
        document: Doc[Any] = Doc()
        for at, update in enumerate(kept):
            if not applies(document, update):
                del kept[at]
                set_aside += 1
                break
        else:
            return document, set_aside
    raise WorkRefused(f"the document {name} cannot be read")


def applies(document: Doc[Any], update: bytes) -> bool:
    """Apply an update if it is one."""
    try:
        check_update(update)
        document.apply_update(update)
    except (MalformedUpdate, ValueError, RuntimeError):
        return False
    except BaseException as error:
        if isinstance(error, MemoryError) or not is_of_content(error):
            raise
        return False
    return True


def is_of_content(error: BaseException) -> bool:
    """Whether it is the content's fault, and the worker can go on.

    pycrdt's panics derive from BaseException alone.
    """
    return not isinstance(error, KeyboardInterrupt | SystemExit | OSError)


def load_state(state: bytes, *, name: str) -> Doc[Any]:
    """A document from one full state that somebody uploaded.

    Raises WorkRefused if it is malformed or not complete in itself.
    """
    try:
        summary = check_update(state)
    except MalformedUpdate as error:
        raise WorkRefused(f"the document {name} is malformed: {error}") from None
    if not summary.fits({}):
        raise WorkRefused(f"the document {name} is not complete")
    document: Doc[Any] = Doc()
    if not applies(document, state):
        raise WorkRefused(f"the document {name} cannot be read")
    return document


def board_elements(document: Doc[Any]) -> dict[str, Any]:
    """The board's map as plain values."""
    elements = document.get(ELEMENTS, type=Map)
    return {key: elements[key] for key in elements}


def ordered_elements(elements: dict[str, Any]) -> list[dict[str, Any]]:
    """What .excalidraw keeps: sound elements that are not deleted, in order."""
    found = [
        value
        for key, value in elements.items()
        if is_element(key, value) and value.get("isDeleted") is not True
    ]
    return sorted(found, key=lambda value: (index_of(value), value["id"]))
