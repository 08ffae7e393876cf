"""The seam to updates: what the agent asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """As it stands in the hub's status.

    state: "none" (nothing newer is known), "available", "installing", "restart"
    (installed, waits for a restart), "taken-back" (`available` was installed, did
    not prove itself here, and what ran before runs again), "failed" (to
    install `available`, or, without one, to look for one) or "off" (updates are
    not set up). available: the version that can be had, if need be
    once more. notes: what it brings. size: what there is to
    fetch, in bytes. problem: one line, where something is wrong.
    """

    state: str = "none"
    available: str | None = None
    notes: str | None = None
    size: int | None = None
    problem: str | None = None

    @property
    def under_way(self) -> bool:
        """Whether it is being installed, up to the restart that it wants."""
        return self.state in ("installing", "restart")


class UpdateRefused(Exception):
    """It was not done; the text is one line for people."""


class Updates(Protocol):
    """Made by `mosaic.hub.updates`; the agent calls it in the reactor's thread."""

    @property
    def state(self) -> UpdateState:
        """What is known now, without asking anybody."""

    @property
    def restart_command(self) -> Sequence[str] | None:
        """What a restart executes in place of this program's own command line:
        the program in the slot that is current now; None for the same again."""

    async def check(self) -> UpdateState:
        """Ask the feed. Raises UpdateRefused or HopError."""

    async def install(self) -> UpdateState:
        """Install what is available; "restart" once the new slot is current.
        Raises UpdateRefused or HopError."""

    def channel_set(self, channel: str, window: str | None) -> None:
        """What the administrator wants (`update` of the feed)."""

    async def started(self) -> None:
        """The agent has reached its server: this slot is healthy."""


class NoUpdates:
    """Where updates are not set up."""

    def start(self) -> None:
        """There is nothing to look for."""

    def stop(self) -> None:
        """Nothing was looked for."""

    state = UpdateState(state="off")
    restart_command: Sequence[str] | None = None

    async def check(self) -> UpdateState:
        """There is nobody to ask."""
        raise UpdateRefused("updates are not set up on this hub")

    async def install(self) -> UpdateState:
        """There is nothing to install."""
        raise UpdateRefused("updates are not set up on this hub")

    def channel_set(self, channel: str, window: str | None) -> None:
        """Nothing follows from it."""

    async def started(self) -> None:
        """Nobody waits for it."""
