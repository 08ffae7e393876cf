"""How a verb says no."""

from __future__ import annotations


class Refused(Exception):
    """The verb did not do it; the text is the one line that says why."""
