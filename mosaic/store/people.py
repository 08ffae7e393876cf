"""What every store keeps for people who write to each other over XMPP.

A part of store.interface.Store, under the same rules. Accounts are named by
their local part, everybody else by the text of a prepared address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from mosaic.store.pep import Nodes
from mosaic.wire.xmpp.subscription import Contact

MAX_COUNT = 10_000
"""Past this many matches a page of an archive does not say how many."""


class Archived(NamedTuple):
    """One message in the archive of an account.

    id: grows with the time; unique in the archive. peer and resource: whom it
    was written to or by. sent: by the account. raw: the stanza, stamped.
    """

    owner: str
    id: int
    peer: str
    resource: str
    sent: bool
    raw: bytes


class Waiting(NamedTuple):
    """A message that no resource of an account has had. id: as in the archive,
    if it is there too."""

    owner: str
    id: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveQuestion:
    """Which messages (XEP-0313 section 4.1) and which page of them (XEP-0059).

    peer, resource: with whom. first, last: the smallest and the greatest id,
    both included. above, below: ids that must be there, excluded. ids: exactly
    these, which must be there. after, before: as above and below, for the
    page. newest: the last page. skip: matches before the page; only without
    after, before and newest. limit: of a page.
    """

    peer: str | None = None
    resource: str = ""
    first: int | None = None
    last: int | None = None
    above: int | None = None
    below: int | None = None
    ids: tuple[int, ...] | None = None
    after: int | None = None
    before: int | None = None
    newest: bool = False
    skip: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePage:
    """messages: oldest first. complete: the page reaches the end that it was
    going to. count: of all that match, None if past MAX_COUNT. index: how many
    matches stand before the page."""

    messages: tuple[Archived, ...]
    complete: bool
    count: int | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What an account wants archived (XEP-0313 section 5).

    default: "always", "never" or "roster". always, never: addresses.
    """

    default: str = "always"
    always: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """What the server must know of an account to pass its stanzas on.

    roster_version: grows with each change of the roster.
    """

    contacts: tuple[Contact, ...] = ()
    blocked: frozenset[str] = frozenset()
    preferences: Preferences = field(default_factory=Preferences)
    roster_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterChange:
    """A contact of an account is now this; one that says nothing any more
    (Contact.is_blank) is forgotten. version: of the owner's roster."""

    owner: str
    contact: Contact
    version: int


class People(Nodes, Protocol):
    """Archives, waiting messages, rosters, blocks and preferences; and Nodes."""

    # Messages -------------------------------------------------------------
    def keep_messages(
        self,
        archived: Sequence[Archived],
        waiting: Sequence[Waiting] = (),
        *,
        limit: int,
    ) -> Deferred[frozenset[tuple[str, int]]]:
        """Archive and store for later, in one commit.

        limit: messages that may wait for an account; those past it, returned
        as (owner, id), are kept neither here nor in that account's archive.
        What is there already stays. Accounts that are gone are passed over.
        """

    def archive(self, owner: str, question: ArchiveQuestion) -> Deferred[ArchivePage]:
        """A page. Raises NotFound if an id that is asked for is not there."""

    def archive_ends(self, owner: str) -> Deferred[tuple[int, int] | None]:
        """The ids of the oldest and the newest message; None without any."""

    def prune_archives(self, *, before: int) -> Deferred[int]:
        """Forget some of the archived messages with smaller ids, of everybody;
        how many: 0 when none is left."""

    def waiting(self, owner: str) -> Deferred[list[Waiting]]:
        """What waits for an account, oldest first, after every earlier change."""

    def drop_waiting(self, owner: str, ids: Iterable[int]) -> Deferred[None]:
        """These wait no more; unknown ones are no error."""

    # Lists ----------------------------------------------------------------
    def person(self, account: str) -> Deferred[PersonRecord]:
        """What is committed. Raises NotFound without such an account."""

    def change_rosters(self, changes: Sequence[RosterChange]) -> Deferred[None]:
        """All or nothing. Raises NotFound for an owner that is gone."""

    def set_blocked(self, account: str, blocked: frozenset[str]) -> Deferred[None]:
        """The whole list. Raises NotFound."""

    def set_preferences(self, account: str, wanted: Preferences) -> Deferred[None]:
        """Raises NotFound."""
