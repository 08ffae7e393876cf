"""A reactor that is told what to watch, and looks when a test says so."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from zope.interface import implementer


@implementer(IReactorFDSet)
class WatchingClock(Clock):
    """Clock's timers, and who wants to read and to write."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        """Watch for input."""
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        """No longer."""
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        """Watch for room."""
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        """No longer."""
        self.writers.discard(writer)

    def removeAll(self) -> list[Any]:
        """Everything, once."""
        everything = list(self.readers | self.writers)
        self.readers.clear()
        self.writers.clear()
        return everything

    def getReaders(self) -> list[Any]:
        """Who is watched for input."""
        return list(self.readers)

    def getWriters(self) -> list[Any]:
        """Who is watched for room."""
        return list(self.writers)
