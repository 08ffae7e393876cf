"""What the local page shows and changes, asked of the agent."""

from __future__ import annotations

import socket
from collections.abc import Callable

from mosaic import __version__
from mosaic.hub.agent import HubAgent
from mosaic.hub.local.page import Wall
from mosaic.hub.netfound import Found
from mosaic.hub.proxylogin import ProxyLogins
from mosaic.workspace.ids import offline_hub_id

TEST_NET = "192.0.2.1"
"""Nobody is there (RFC 5737), and nothing is sent: it only chooses a route."""


def own_address() -> str | None:
    """The IPv4 address that this box has towards others, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((TEST_NET, 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith(("127.", "0.")) else address


class LocalOwner:
    """site.Owner. screen_shows: of kiosk.screens; None without a screen. ready:
    whether a browser of this box would get to the server."""

    def __init__(
        self,
        agent: HubAgent,
        server: str,
        logins: ProxyLogins,
        *,
        screens: int,
        screen_shows: Callable[[int, str], None] | None,
        ready: Callable[[], bool],
        address: Callable[[], str | None] = own_address,
    ) -> None:
        self.screens = screens
        self._agent = agent
        self._server = server
        self._logins = logins
        self._shows = screen_shows
        self._ready = ready
        self._address = address

    def wall(self) -> Wall:
        """site.Owner.wall."""
        machine = self._agent.machine
        memory, address = machine.memory, self._address()
        feed = memory.feed
        return Wall(
            state=machine.state.value,
            name=memory.name,
            hub_id=memory.hub_id,
            offline_id=None if address is None else offline_hub_id(address),
            address=address,
            server=self._server,
            reached=machine.reached and self._ready(),
            room=machine.room,
            problem=self._agent.problem,
            advice=self._agent.advice,
            version=__version__,
            locale="en" if feed is None else feed.desired.locale,
            network=self._agent.network.latest,
            checking=self._agent.network.running,
        )

    async def check_network(self) -> Found:
        """site.Owner.check_network."""
        return await self._agent.network.check("local")

    def set_proxy_login(self, host: str, user: str, password: str) -> None:
        """site.Owner.set_proxy_login."""
        self._logins.set(host, user, password)
        self._agent.look()

    def enrol(self, code: str) -> None:
        """site.Owner.enrol."""
        self._agent.enrol(code)

    async def ticket(self) -> str:
        """site.Owner.ticket."""
        hub_id = self._agent.machine.memory.hub_id
        if hub_id is None:
            raise RuntimeError("not enrolled")
        return await self._agent.parts.server.screen_ticket(hub_id)

    def screen_shows(self, screen: int, shown: str) -> None:
        """site.Owner.screen_shows."""
        if self._shows is not None:
            self._shows(screen, shown)
