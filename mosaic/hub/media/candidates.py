"""Candidates of one ICE connection, and a head start for the direct paths.

aioice nominates the first pair that works. A relay needs no hole to be punched
and so is first nearly always, also where both NATs would let the two through:
checks by a relay wait here until the direct ones had their second try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol, server_reflexive_candidate
from twisted.logger import Logger

from mosaic.hub.media.ice import NoRelay, Relays
from mosaic.hub.media.servers import Relay, Servers

HEAD_START_S = 0.9
"""aioice asks a second time after 0.5 s; a round trip on top of it."""
SEEN_S = 1.0
"""How long a STUN server may take to say how we are seen."""
SEEN_AGAIN_S = 0.3
"""The same, a moment after it did not."""
RELAY_S = 3.0
"""How long a call that may go directly waits for its relay."""
RELAY_ONLY_S = 15.0

_log = Logger()


class Gatherer:
    """Equips ICE connections. relay_only: nothing else is gathered.

    problem: told why there is no relay. relay: the one that was gathered.
    """

    def __init__(
        self,
        relays: Relays,
        servers: Servers,
        *,
        relay_only: bool,
        problem: Callable[[NoRelay], object],
    ) -> None:
        self.relay_only = relay_only
        self.relay: Relay | None = None
        self._relays = relays
        self._servers = servers
        self._problem = problem

    def equip(self, connection: Connection) -> None:
        """Make an aioice connection gather by this, not by itself."""
        hosts = connection.get_component_candidates

        async def gather(
            component: int, addresses: list[str], timeout: int = 5
        ) -> list[Candidate]:
            if self.relay_only:
                return await self._relayed(connection, component, RELAY_ONLY_S)
            found: list[Candidate] = await hosts(component, addresses, timeout)
            protocols = list(connection._protocols)
            more = await asyncio.gather(
                *(self._seen(protocol) for protocol in protocols),
                self._relayed(connection, component, RELAY_S),
            )
            return found + [candidate for some in more for candidate in some]

        # An attribute of this one object: aioice has no other door.
        connection.get_component_candidates = gather  # type: ignore[method-assign]
        if not self.relay_only:
            give_head_start(connection, HEAD_START_S)

    async def _seen(self, protocol: StunProtocol) -> list[Candidate]:
        """How the STUN server sees a socket of ours (IPv4, where NATs are)."""
        if not self._servers.stun or ":" in protocol.local_candidate.host:
            return []
        work = server_reflexive_candidate(protocol, self._servers.stun[0])
        try:
            patience = SEEN_AGAIN_S if self._relays.stun_is_silent else SEEN_S
            candidate, _ = await asyncio.wait_for(work, patience)
        except Exception as error:  # the name, the network, the answer
            _log.info("no STUN: {error!r}", error=error)
            self._relays.stun_silent()
            return []
        own = (protocol.local_candidate.host, protocol.local_candidate.port)
        return [] if (candidate.host, candidate.port) == own else [candidate]

    async def _relayed(
        self, connection: Connection, component: int, patience_s: float
    ) -> list[Candidate]:
        if not self._servers.relays:
            return []
        work = self._relays.open(lambda: StunProtocol(connection), self._servers.relays)
        try:
            transport, protocol, self.relay = await asyncio.wait_for(work, patience_s)
        except NoRelay as error:
            self._problem(error)
            return []
        except TimeoutError:
            self._problem(NoRelay([]))
            return []
        if connection._closing:
            transport.close()
            return []
        candidate = _candidate(component, transport, hidden=self.relay_only)
        protocol.local_candidate = candidate
        connection._protocols.append(protocol)
        return [candidate]


def _candidate(component: int, transport: Any, *, hidden: bool) -> Candidate:
    """A relayed address; hidden: where we are is nobody's business (RFC 8839 5.1)."""
    host, port = transport.get_extra_info("sockname")
    seen = transport.get_extra_info("related_address")
    if hidden:
        seen = ("::" if ":" in host else "0.0.0.0", 9)  # noqa: S104 - not bound
    return Candidate(
        foundation=candidate_foundation("relay", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "relay"),
        host=host,
        port=port,
        type="relay",
        related_address=seen[0],
        related_port=seen[1],
    )


def give_head_start(connection: Connection, seconds: float) -> None:
    """Let checks by a relay begin so much later than the first check of all."""
    begin = connection.check_start
    loop = asyncio.get_running_loop()
    first: list[float] = []

    async def check_start(pair: CandidatePair) -> None:
        now = loop.time()
        del first[1:]
        first.append(now)
        wait = first[0] + seconds - now
        if wait > 0 and by_relay(pair):
            connection.check_state(pair, CandidatePair.State.IN_PROGRESS)
            await asyncio.sleep(wait)
        await begin(pair)

    connection.check_start = check_start  # type: ignore[method-assign]


def by_relay(pair: CandidatePair) -> bool:
    """One end of it is a relayed address."""
    return "relay" in (pair.local_candidate.type, pair.remote_candidate.type)
