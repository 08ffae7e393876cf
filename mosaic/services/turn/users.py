"""Which allocations belong to one person: numbers for the plane's limits."""

from __future__ import annotations

from collections.abc import Iterator


class Users:
    """A number for each owner who has relays, forgotten with the last one.

    Numbers are never used again, so that a late command cannot meet another.
    """

    def __init__(self) -> None:
        self._last = 0
        self._numbers: dict[str, int] = {}
        self._relays: dict[int, set[int]] = {}
        self._owners: dict[int, str] = {}

    def number(self, owner: str) -> tuple[int, bool]:
        """The owner's number, and whether it is new."""
        held = self._numbers.get(owner)
        if held is not None:
            return held, False
        self._last += 1
        self._numbers[owner] = self._last
        self._relays[self._last] = set()
        return self._last, True

    def opened(self, relay: int, owner: str) -> None:
        """A relay of an owner who has a number."""
        self._owners[relay] = owner
        self._relays[self._numbers[owner]].add(relay)

    def opened_all(self, relays: list[int], owner: str) -> None:
        """Several of them."""
        self._owners.update(dict.fromkeys(relays, owner))
        self._relays[self._numbers[owner]].update(relays)

    def settle(self, owner: str) -> int | None:
        """The number of an owner without relays, which is forgotten."""
        number = self._numbers.get(owner)
        if number is None or self._relays[number]:
            return None
        del self._relays[number]
        del self._numbers[owner]
        return number

    def closed(self, relay: int) -> int | None:
        """A relay has ended; the number of its owner if that was the last."""
        owner = self._owners.pop(relay, None)
        if owner is None:
            return None
        self._relays[self._numbers[owner]].discard(relay)
        return self.settle(owner)

    def numbers(self) -> Iterator[int]:
        """Every number that is held."""
        return iter(self._relays)

    def relays(self) -> Iterator[int]:
        """Every relay that is open."""
        return iter(self._owners)
