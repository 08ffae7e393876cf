"""The contacts that nobody had to add: the organisation's."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.wire.xmpp.subscription import Contact

_log = Logger()

Source = Callable[[], Awaitable[Iterable[Contact]]]
"""Gives contacts that everybody has; whoever has the address is left out."""
Listener = Callable[[list[Contact], list[Contact]], None]
"""Told which contacts are new or other, and which are gone."""


class Directory:
    """The generated contacts, by address; read again when something changed."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.listeners: list[Listener] = []
        self.version = ""
        """Changes with the contacts, and is the same after a restart."""
        self._contacts: Mapping[str, Contact] = {}
        self._fresh = False
        self._read = False

    async def contacts(self) -> Mapping[str, Contact]:
        """All of them."""
        if not self._fresh:
            await self._refresh()
        return self._contacts

    def changed(self) -> None:
        """Something may be other than before: look, and tell."""
        self._fresh = False
        if not self._read:
            return  # nobody has seen it
        Deferred.fromCoroutine(self._refresh()).addErrback(
            lambda reason: _log.failure("the directory could not be read", reason)
        )

    async def _refresh(self) -> None:
        self._fresh = True
        found: dict[str, Contact] = {}
        try:
            for source in self.sources:
                for contact in await source():
                    found[contact.jid] = contact
        except BaseException:
            self._fresh = False
            raise
        before, self._contacts = self._contacts, found
        known, self._read = self._read, True
        digest = hashlib.sha256()
        for jid in sorted(found):
            digest.update(repr(found[jid]).encode())
        self.version = digest.hexdigest()[:16]
        if known and before != found:
            news = [one for jid, one in found.items() if before.get(jid) != one]
            gone = [one for jid, one in before.items() if jid not in found]
            for tell in self.listeners:
                tell(news, gone)
