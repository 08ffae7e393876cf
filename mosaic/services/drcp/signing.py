"""Who writes, and as which Yjs clients: told to the journal once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mosaic.workspace.plain import Summary
from mosaic.workspace.versions import Author


class Signatures:
    """What the journal has been told of the writers of one document."""

    def __init__(self) -> None:
        self._people: set[str] = set()
        self._clients: set[int] = set()

    def of(
        self, author_id: str, name: str, account: str | None, summary: Summary
    ) -> Author | None:
        """What this update adds to that, None if nothing.

        Somebody who hands on an update of another client does not become its
        author: the store keeps the first one, and that is whoever wrote it,
        unless they have never been here.
        """
        clients = {one for one in summary.writers if one not in self._clients}
        if not clients and author_id in self._people:
            return None
        self._people.add(author_id)
        self._clients |= clients
        return Author(
            id=author_id, name=name, account=account, client_ids=tuple(sorted(clients))
        )


def together(news: Sequence[Author | None]) -> Author | None:
    """What several updates of one author add, None if nothing."""
    told = [one for one in news if one is not None]
    if not told:
        return None
    clients = sorted({client for one in told for client in one.client_ids})
    return replace(told[0], client_ids=tuple(clients))
