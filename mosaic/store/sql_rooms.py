"""The SQL store's half of store.room_history.RoomHistory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.store import chat, sayings
from mosaic.workspace.archive import Entry, Saying, Span, Subject


class SqlRoomHistory:
    """Asks the reader and tells the writer; SqlStore says how."""

    _ask: Callable[..., Deferred[Any]]
    _change: Callable[..., Deferred[Any]]

    def add_saying(self, hub_id: str, saying: Saying) -> Deferred[Entry]:
        """Keep what was said, once. Raises NotFound."""
        return self._change(sayings.add, hub_id, saying)

    def room_archive(self, hub_id: str, span: Span) -> Deferred[list[Entry]]:
        """Entries of a span, oldest first. Raises NotFound."""
        return self._ask(sayings.page, hub_id, span)

    def archived(self, hub_id: str, seq: int) -> Deferred[Entry]:
        """One entry. Raises NotFound."""
        return self._ask(sayings.one, hub_id, seq)

    def count_archive(self, hub_id: str, span: Span) -> Deferred[int]:
        """How many entries a span has. Raises NotFound."""
        return self._ask(sayings.count, hub_id, span)

    def find_line(
        self, hub_id: str, *, occupant_id: str, stanza_id: str
    ) -> Deferred[Entry | None]:
        """The newest line of an occupant with that stanza id."""
        return self._ask(
            sayings.find_line, hub_id, occupant_id=occupant_id, stanza_id=stanza_id
        )

    def last_seq(self, hub_id: str) -> Deferred[int]:
        """The number of the newest entry, 0 if there is none."""
        return self._ask(chat.last_seq, hub_id)

    def subject(self, hub_id: str) -> Deferred[Subject]:
        """The room's subject, made if there is none. Raises NotFound."""
        return Deferred.fromCoroutine(self._subject(hub_id))

    async def _subject(self, hub_id: str) -> Subject:
        found: Subject | None = await self._ask(sayings.subject, hub_id)
        if found is None:
            found = await self._change(sayings.open_subject, hub_id)
        return found

    def set_subject(
        self, hub_id: str, *, subject: str, author: str, at: float
    ) -> Deferred[Subject]:
        """Another subject. Raises NotFound."""
        return self._change(
            sayings.set_subject, hub_id, text=subject, author=author, at=at
        )

    def banned(self, hub_id: str) -> Deferred[list[str]]:
        """Accounts that may not come in. Raises NotFound."""
        return self._ask(sayings.banned, hub_id)

    def set_banned(self, hub_id: str, account: str, banned: bool) -> Deferred[None]:
        """Ban an account, or let it come again. Raises NotFound."""
        return self._change(sayings.set_banned, hub_id, account, banned)

    def prolong_token(self, digest: bytes, expires_at: float) -> Deferred[None]:
        """Let a token live longer. Raises NotFound."""
        return self._change(sayings.prolong, digest, expires_at)
