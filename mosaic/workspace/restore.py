"""Going back to an older state of a document, as one new edit.

Nothing of the history is taken back: the update that comes out of here is
applied like anybody's edit and merges with what others write meanwhile. What
is the same in both states is not touched, so that cursors, undo and concurrent
edits in those places live on.

The states are full Yjs updates (v1). Their root types are not written in them;
the content tells which they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText
from pycrdt._base import BaseType

from mosaic.workspace.documents import EMPTY_UPDATE, check_update
from mosaic.workspace.versions import NotRestored

MAX_COMPARISONS = 4_000_000
"""Above it a list is exchanged as a whole instead of being compared."""

STAMPS = frozenset({"version", "versionNonce", "updated"})
"""What a drawing surface counts up at each change of an element."""

Segment = tuple[Any, dict[str, Any]]


def restoring_update(
    now: bytes,
    then: bytes,
    *,
    document: str,
    at_ms: float,
    random: Callable[[], int],
) -> bytes:
    """The update that makes a document's content what it was.

    now, then: full states. document: its name; elements of a "board" get
    newer stamps than those that they replace, because drawing surfaces keep the
    newer of two. at_ms: Unix milliseconds now. random: gives numbers of 31 bits,
    for the client id of the edit and for those stamps. EMPTY_UPDATE if there is
    nothing to change.

    Raises NotRestored, and whatever pycrdt raises.
    """
    live, old = _document(now, client_id=random()), _document(then)
    before = live.get_state()
    changed = False
    with live.transaction():
        for name in sorted({*live.keys(), *old.keys()}):
            kind, then_kind = _kind(live, name), _kind(old, name)
            if None not in (kind, then_kind) and kind is not then_kind:
                raise NotRestored(f"{name} in {document} was something else then")
            kind = kind or then_kind
            if kind is None:
                continue
            mine, wanted = live.get(name, type=kind), old.get(name, type=kind)
            if kind is Map and (document, name) == ("board", "elements"):
                changed |= _restore_elements(mine, wanted, at_ms, random)
            elif not same(mine, wanted):
                _restore(mine, wanted)
                changed = True
                if not same(mine, wanted) or _kind(live, name) is not then_kind:
                    raise NotRestored(f"{name} in {document} does not come out right")
    return live.get_update(before) if changed else EMPTY_UPDATE


def contents(state: bytes) -> dict[str, Any]:
    """What a state shows: root name -> plain values, empty roots left out."""
    doc = _document(state)
    found = {}
    for name in sorted(doc.keys()):
        kind = _kind(doc, name)
        if kind is not None:
            found[name] = content(doc.get(name, type=kind))
    return found


def content(value: Any) -> Any:
    """Plain values that are equal when two shared types show the same."""
    if isinstance(value, Map):
        return {key: content(value[key]) for key in value.keys()}  # noqa: SIM118
    if isinstance(value, Array):
        return [content(value[at]) for at in range(len(value))]
    if isinstance(value, XmlText):
        return ["", _attributes(value), _runs(value)]
    if isinstance(value, XmlElement):
        return [value.tag, _attributes(value), [content(c) for c in value.children]]
    if isinstance(value, XmlFragment):
        return [content(child) for child in value.children]
    if isinstance(value, Text):
        return _runs(value)
    return bytes(value) if isinstance(value, bytearray) else value


def _attributes(node: Any) -> dict[str, Any]:
    return dict(iter(node.attributes))


def same(one: Any, other: Any) -> bool:
    """Whether two values show the same; unlike ==, true is not 1."""
    return key_of(one) == key_of(other)


def key_of(value: Any) -> str:
    """A text for each content."""
    return json.dumps(content(value), sort_keys=True, default=repr)


# Roots --------------------------------------------------------------------
def _document(state: bytes, *, client_id: int | None = None) -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=client_id)
    if state:
        summary = check_update(state)
        if summary.has_lists and summary.has_wide_text:
            # Text inside a list, which only a hostile client writes, sends
            # pycrdt into an endless loop; telling where it is would need a CRDT.
            raise NotRestored("a document with lists and such texts is not compared")
        doc.apply_update(state)
    return doc


def _kind(doc: Doc[Any], name: str) -> type[Any] | None:
    """What a root is used as; None if it is empty."""
    if len(doc.get(name, type=Map)):
        return Map
    shown = [value for value, _ in doc.get(name, type=Text).diff()]
    if any(not isinstance(value, BaseType) for value in shown):
        return Text
    if any(isinstance(value, XmlElement | XmlText) for value in shown):
        return XmlFragment
    # Only now: pycrdt never comes back from reading some texts as arrays.
    return Array if len(doc.get(name, type=Array)) else None


def _restore(mine: Any, wanted: Any) -> None:
    if isinstance(mine, Map):
        _restore_map(mine, wanted)
    elif isinstance(mine, Array):
        _restore_list(mine, wanted, _array_item)
    elif isinstance(mine, Text | XmlText):
        _restore_text(mine, wanted)
    else:
        if isinstance(mine, XmlElement):
            _restore_attributes(mine, wanted)
        _restore_list(mine.children, wanted.children, _node)


def _same_kind(mine: Any, wanted: Any) -> bool:
    """Whether one can become the other by edits inside it."""
    if isinstance(mine, XmlElement):
        return isinstance(wanted, XmlElement) and mine.tag == wanted.tag
    return isinstance(mine, Map | Array | Text | XmlText) and type(mine) is type(wanted)


# Maps ---------------------------------------------------------------------
def _restore_map(mine: Any, wanted: Any) -> None:
    for key in [key for key in mine.keys() if key not in wanted]:  # noqa: SIM118
        del mine[key]
    for key in wanted.keys():  # noqa: SIM118
        value = wanted[key]
        have = mine.get(key)
        if key in mine and same(have, value):
            continue
        if _same_kind(have, value):
            _restore(have, value)
        else:
            mine[key] = _fresh(value)
            _fill(mine[key], value)


def _restore_elements(
    mine: Any, wanted: Any, at_ms: float, random: Callable[[], int]
) -> bool:
    """A board's elements; True if one changed.

    One that was not there yet is marked as deleted, as a person would do it:
    a page that still shows it takes the newer stamp for the truth.
    """
    changes: dict[str, Any] = {}
    for key in {*mine.keys(), *wanted.keys()}:
        have, want = content(mine.get(key)), content(wanted.get(key))
        if want is None:
            want = {**have, "isDeleted": True} if isinstance(have, dict) else None
        if same(_unstamped(have), _unstamped(want)) or (
            _is_gone(have) and _is_gone(want)
        ):
            continue
        if isinstance(want, dict):
            version = max(_version(have), _version(want)) + 1
            want = {
                **want,
                "version": float(version),
                "versionNonce": float(random()),
                "updated": float(at_ms),
            }
        changes[key] = want
    for key in sorted(changes):
        if changes[key] is None:
            del mine[key]
        else:
            mine[key] = changes[key]
    return bool(changes)


def _unstamped(element: Any) -> Any:
    if not isinstance(element, dict):
        return element
    return {key: value for key, value in element.items() if key not in STAMPS}


def _is_gone(element: Any) -> bool:
    return element is None or (
        isinstance(element, dict) and element.get("isDeleted") is True
    )


def _version(element: Any) -> int:
    version = element.get("version") if isinstance(element, dict) else None
    return int(version) if isinstance(version, int | float) and version > 0 else 0


# Lists --------------------------------------------------------------------
def _restore_list(mine: Any, wanted: Any, fresh: Callable[[Any], Any]) -> None:
    """mine, wanted: arrays, or views of children."""
    have = [mine[at] for at in range(len(mine))]
    want = [wanted[at] for at in range(len(wanted))]
    steps = list(_steps([key_of(one) for one in have], [key_of(one) for one in want]))
    for start, end, new_start, new_end in reversed(steps):
        at, pairs = start, min(end - start, new_end - new_start)
        kept = 0
        while kept < pairs and _same_kind(have[start + kept], want[new_start + kept]):
            kept += 1
        for _ in range(end - start - kept):
            del mine[at + kept]
        for offset in range(kept, new_end - new_start):
            value = want[new_start + offset]
            mine.insert(at + offset, fresh(value))
            _fill(mine[at + offset], value)
        for offset in range(kept):
            one, other = have[start + offset], want[new_start + offset]
            if not same(one, other):
                _restore(one, other)


def _steps(
    have: Sequence[str], want: Sequence[str]
) -> Iterator[tuple[int, int, int, int]]:
    """Ranges that differ: start and end in `have`, start and end in `want`."""
    head = 0
    while head < min(len(have), len(want)) and have[head] == want[head]:
        head += 1
    tail = 0
    rest = min(len(have), len(want)) - head
    while tail < rest and have[-1 - tail] == want[-1 - tail]:
        tail += 1
    have, want = have[head : len(have) - tail], want[head : len(want) - tail]
    if len(have) * len(want) > MAX_COMPARISONS:
        yield head, head + len(have), head, head + len(want)
        return
    matcher = SequenceMatcher(None, have, want, autojunk=False)
    for step, i1, i2, j1, j2 in matcher.get_opcodes():
        if step != "equal":
            yield head + i1, head + i2, head + j1, head + j2


# Texts --------------------------------------------------------------------
def _runs(text: Any) -> list[Segment]:
    """Text and embedded values with their formatting, neighbours joined."""
    runs: list[Segment] = []
    for value, attributes in text.diff():
        given = {k: v for k, v in (attributes or {}).items() if v is not None}
        _join(runs, value if isinstance(value, str) else content(value), given)
    return runs


def _join(runs: list[Segment], value: Any, attributes: dict[str, Any]) -> None:
    """Add to the runs; text joins a text before it of the same formatting."""
    last, formatting = runs[-1] if runs else (None, None)
    if isinstance(value, str) and isinstance(last, str) and formatting == attributes:
        runs[-1] = (last + value, attributes)
    else:
        runs.append((value, attributes))


def _letters(runs: Sequence[Segment]) -> list[Segment]:
    """One entry for each character or embedded value."""
    return [
        (one, attributes)
        for value, attributes in runs
        for one in (value if isinstance(value, str) else [value])
    ]


def _width(letters: Sequence[Segment]) -> int:
    """pycrdt counts texts in bytes of UTF-8; an embedded value is one."""
    return sum(len(one.encode()) if isinstance(one, str) else 1 for one, _ in letters)


def _restore_text(mine: Any, wanted: Any) -> None:
    if isinstance(mine, XmlText):
        _restore_attributes(mine, wanted)
    have, want = _letters(_runs(mine)), _letters(_runs(wanted))
    head = 0
    while head < min(len(have), len(want)) and have[head] == want[head]:
        head += 1
    tail = 0
    rest = min(len(have), len(want)) - head
    while tail < rest and have[-1 - tail] == want[-1 - tail]:
        tail += 1
    start = _width(have[:head])
    size = _width(have[head : len(have) - tail])
    if size:
        del mine[start : start + size]
    # Formatting that a neighbour has must not spread to what is put beside it.
    known = {key for _, attributes in (*have, *want) for key in attributes}
    _insert(mine, start, want[head : len(want) - tail], known)


def _insert(text: Any, at: int, letters: Sequence[Segment], known: set[str]) -> None:
    runs: list[Segment] = []
    for one, attributes in letters:
        _join(runs, one, attributes)
    for value, attributes in runs:
        given = {**dict.fromkeys(known), **attributes}
        if isinstance(value, str):
            text.insert(at, value, given)
        elif isinstance(value, dict):
            text.insert_embed(at, value, given)
        else:
            raise NotRestored("a shared type inside a text cannot be copied")
        at += _width([(value, attributes)])


def _restore_attributes(mine: Any, wanted: Any) -> None:
    have, want = _attributes(mine), _attributes(wanted)
    for key in have.keys() - want.keys():
        del mine.attributes[key]
    for key, value in want.items():
        if key not in have or not same(have[key], value):
            mine.attributes[key] = value


# Copies -------------------------------------------------------------------
def _fresh(value: Any) -> Any:
    """An empty shared type of the same kind, or the plain value itself."""
    for kind in (Map, Array, Text):
        if isinstance(value, kind):
            return kind()
    if isinstance(value, XmlElement | XmlText | XmlFragment):
        return _node(value)
    return bytes(value) if isinstance(value, bytearray) else value


_array_item = _fresh


def _node(value: Any) -> Any:
    if isinstance(value, XmlElement):
        return XmlElement(value.tag)
    if isinstance(value, XmlText):
        # yrs would write an empty text as a block that Yjs takes for malformed.
        letters = [one for one, _ in _letters(_runs(value)) if isinstance(one, str)]
        return XmlText("".join(letters) or " ")
    raise NotRestored("a fragment inside a document cannot be copied")


def _fill(fresh: Any, value: Any) -> None:
    """Give a new shared type what the other one holds."""
    if isinstance(value, Map | Array | Text | XmlText | XmlElement):
        _restore(fresh, value)
