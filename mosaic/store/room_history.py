"""What the store keeps of rooms for XMPP, under the rules of store.interface.

Chat is one history: what is said by XMPP and what is said in a browser share
the numbers of `Message.seq`.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from mosaic.workspace.archive import Entry, Saying, Span, Subject


class RoomHistory(Protocol):
    """The archive of a room, its subject, and who may not come back."""

    def add_saying(self, hub_id: str, saying: Saying) -> Deferred[Entry]:
        """Keep what was said, and change the line that it is about.

        The same message_id is kept once: then the entry that was kept. Raises
        NotFound for the room, or for the line that it is about.
        """

    def room_archive(self, hub_id: str, span: Span) -> Deferred[list[Entry]]:
        """Entries of a span, oldest first. Raises NotFound."""

    def archived(self, hub_id: str, seq: int) -> Deferred[Entry]:
        """One entry. Raises NotFound."""

    def count_archive(self, hub_id: str, span: Span) -> Deferred[int]:
        """How many entries a span has, whatever its limit. Raises NotFound."""

    def find_line(
        self, hub_id: str, *, occupant_id: str, stanza_id: str
    ) -> Deferred[Entry | None]:
        """The newest line of an occupant with that id of its stanza."""

    def last_seq(self, hub_id: str) -> Deferred[int]:
        """The number of the newest entry, 0 if there is none."""

    def subject(self, hub_id: str) -> Deferred[Subject]:
        """The room's subject; made, empty, when first asked. Raises NotFound."""

    def set_subject(
        self, hub_id: str, *, subject: str, author: str, at: float
    ) -> Deferred[Subject]:
        """Another subject. Raises NotFound."""

    def banned(self, hub_id: str) -> Deferred[list[str]]:
        """Accounts that may not come in, sorted. Raises NotFound."""

    def set_banned(self, hub_id: str, account: str, banned: bool) -> Deferred[None]:
        """Ban an account, or let it come again. Raises NotFound for either.

        Whoever is banned has no standing role any more, and no token.
        """

    def prolong_token(self, digest: bytes, expires_at: float) -> Deferred[None]:
        """Let a token live longer. Raises NotFound."""
