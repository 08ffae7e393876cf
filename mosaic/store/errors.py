"""What a store may raise."""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do it."""


class NameTaken(StoreError):
    """An account, alias or Hub ID of that name exists."""


class NotFound(StoreError):
    """No such account, room, document, token or blob."""


class StoreFull(StoreError):
    """The disk is full (or read-only): nothing was written."""
