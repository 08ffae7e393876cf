"""The agent's updates, where the library for them is installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from mosaic.hub.agent import HubAgent
from mosaic.hub.keys import HubKey
from mosaic.hub.machine import State
from mosaic.hub.options import HubOptions, OptionError
from mosaic.hub.updating import NoUpdates
from mosaic.hub.words import UpdateRuns
from mosaic.proxy.client import Dialler

if TYPE_CHECKING:
    from collections.abc import Callable

    from mosaic.hub.updates.updates import HubUpdates

_log = Logger()


def updates_for(
    reactor: Any, dialler: Dialler, options: HubOptions, key: HubKey
) -> HubUpdates | NoUpdates:
    """Through the same proxies as everything. Raises OptionError."""
    try:
        make = import_module("mosaic.hub.updates.make")
    except ImportError as error:
        _log.info("no updates: {why}", why=str(error))
        return NoUpdates()
    root = None
    if options.updates_root is not None:
        try:
            root = options.updates_root.read_bytes()
        except OSError as error:
            raise OptionError(
                f"--updates-root {options.updates_root}: {error.strerror}"
            ) from error
    made: HubUpdates = make.make_updates(
        reactor,
        dialler,
        state=options.state,
        server=options.server,
        public_key=key.public_octets,
        root=root,
        strict=not options.allow_downgrade,
    )
    return made


def connect_updates(
    updates: HubUpdates | NoUpdates, agent: HubAgent, ended: Callable[[bool], None]
) -> None:
    """What changes is reported, asked for or not; the window waits for an idle
    hub. ended: as the agent's own."""
    if isinstance(updates, NoUpdates):
        return

    def changed() -> None:
        agent.hear(UpdateRuns(updates.state.under_way))
        agent.report()

    updates.changed = changed
    updates.may_install = lambda: agent.machine.state is State.IDLE
    updates.restart = lambda: ended(True)
