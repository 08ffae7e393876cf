"""Make wokkel 18.0.0 run on today's Twisted. Import this before any wokkel.

wokkel's last release still asks Twisted for names of the Python 2 years. Two of
them are gone (`_PY3`, `twisted.python.constants`), four are deprecated and warn
at each call. They are given back here, in this one module, and wokkel's own
test suite is run with it (tests/interop/test_xmpp_wokkel.py).
"""

from __future__ import annotations

import sys
from collections.abc import ItemsView, ValuesView
from importlib import import_module
from typing import Any

import twisted.python
import twisted.python.compat


def _items(mapping: dict[Any, Any]) -> Any:
    view: ItemsView[Any, Any] = mapping.items()
    return iter(view)


def _values(mapping: dict[Any, Any]) -> Any:
    view: ValuesView[Any] = mapping.values()
    return iter(view)


def install() -> None:
    """Give wokkel the names that it imports; safe to call twice."""
    names = {
        "_PY3": True,
        "unicode": str,
        "StringType": str,
        "iteritems": _items,
        "itervalues": _values,
    }
    for name, value in names.items():
        setattr(twisted.python.compat, name, value)
    if "twisted.python.constants" not in sys.modules:
        # The very code that Twisted moved out into a package of its own.
        constantly = import_module("constantly")
        sys.modules["twisted.python.constants"] = constantly
        setattr(twisted.python, "constants", constantly)  # noqa: B010


install()
