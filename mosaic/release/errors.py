"""What goes wrong with releases."""

from __future__ import annotations


class ReleaseRefused(Exception):
    """A step that would make a feed that no hub accepts; says what to do."""
