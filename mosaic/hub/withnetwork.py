"""The agent's checks of the network, on the ways that everything of it takes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from mosaic.hub.agent import HubAgent
from mosaic.hub.netfound import Found, FoundFile, as_reported
from mosaic.hub.netwatch import NetworkWatch
from mosaic.hub.options import HubOptions
from mosaic.hub.server import HubUnknown, Server
from mosaic.netcheck.engine import check_network
from mosaic.netcheck.known import KnownServers
from mosaic.netcheck.result import Report
from mosaic.proxy.client import Dialler

KNOWN_FILE = "known_servers.json"


def network_for(
    reactor: Any, dialler: Dialler, options: HubOptions, server: Server, agent: HubAgent
) -> NetworkWatch:
    """Nothing is measured while the hub is in a room, or on the way there."""
    known = KnownServers(options.state / KNOWN_FILE)

    async def check(quick: Callable[[], bool]) -> Report:
        return await check_network(options.server, dialler, quick=quick, known=known)

    async def tell(found: Found) -> None:
        hub_id = agent.machine.memory.hub_id
        if hub_id is None:
            raise HubUnknown("this box is not enrolled")
        await server.report_network(hub_id, as_reported(found, now=time.time()))

    return NetworkWatch(
        reactor,
        options.server,
        FoundFile(options.state),
        check=check,
        hush=lambda: agent.machine.room is not None,
        wall=time.time,
        random=random.random,
        tell=tell,
    )
