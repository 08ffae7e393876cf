"""Relays for aioice: by UDP, TCP and TLS, through proxies, and not in silence.

aioice dials one TURN server by itself, straight on, with the platform's CAs,
and says nothing when that fails: no candidate is there. Here every way is tried,
the cheapest first, over the hub's own dialler; a failure names the hop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aioice import stun
from aioice.turn import (
    DEFAULT_ALLOCATION_LIFETIME,
    DEFAULT_CHANNEL_REFRESH_TIME,
    UDP_SOCKET_BUFFER_SIZE,
    TurnClientTcpProtocol,
    TurnClientUdpProtocol,
    TurnTransport,
)
from twisted.logger import Logger

from mosaic.hub.media.servers import Relay
from mosaic.hub.media.turnstream import TurnStreamFactory
from mosaic.proxy.client import Dialler
from mosaic.wire.hops import HopError, NameUnknown, NoAnswer, Unreachable

STAGGER_S = 0.25
"""The next way is tried beside those that have not answered yet."""
ANSWER_S = {"udp": 3.0, "tcp": 8.0, "tls": 10.0}
"""How long one way may take, a proxy in between included."""
OVERTAKEN_S = 0.7
"""A way that is slower than this while another answered is taken for blocked."""
STUN_REMEMBER_S = 10.0
REMEMBER_S = 60.0
"""A way that failed comes last for so long."""

_log = Logger()
P = TypeVar("P", bound=asyncio.DatagramProtocol)


class RelayRefused(HopError):
    """The relay answered, and said no. code: STUN's."""

    def __init__(self, hop: str, code: int, words: str) -> None:
        super().__init__(
            hop,
            f"refused the allocation ({code} {words})".replace(" )", ")"),
            stage="application",
            advice="the login is over; join again"
            if code in (401, 441)
            else "try again later",
        )
        self.code = code


class NoRelay(Exception):
    """No way to a relay. failures: one for each that was tried, in order."""

    def __init__(self, failures: list[HopError]) -> None:
        words = "; ".join(str(failure) for failure in failures)
        super().__init__(words or "the server named no relay")
        self.failures = failures


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayReport:
    """How one way went. took_s: until the allocation stood. failure: where not."""

    relay: Relay
    took_s: float
    failure: HopError | None = None


async def create_turn_endpoint(
    protocol_factory: Callable[[], P], relay: Relay, dialler: Dialler
) -> tuple[TurnTransport, P]:
    """An allocation that behaves like a datagram endpoint.

    TCP and TLS go by the dialler's routes, TLS with its trust; UDP goes
    straight. Raises HopError, which names the hop that refused.
    """
    server = (relay.host, relay.port)
    # mypy is not told the classes' signatures by aioice.
    login: dict[str, Any] = {
        "username": relay.username,
        "password": relay.password,
        "lifetime": DEFAULT_ALLOCATION_LIFETIME,
        "channel_refresh_time": DEFAULT_CHANNEL_REFRESH_TIME,
    }
    client: TurnClientTcpProtocol | TurnClientUdpProtocol
    if relay.way == "udp":
        client = await _open_datagrams(relay, TurnClientUdpProtocol(server, **login))
    else:
        client = TurnClientTcpProtocol(server, **login)
        endpoint = dialler.endpoint(
            relay.host,
            relay.port,
            tls=relay.way == "tls",
            alpn=b"stun.turn" if relay.way == "tls" else b"",
        )
        loop = asyncio.get_running_loop()
        await endpoint.connect(TurnStreamFactory(client, server)).asFuture(loop)
    try:
        transport, protocol = TurnTransport(client), protocol_factory()
        await transport._connect(protocol)
    except stun.TransactionFailed as error:
        client.transport.close()
        code = error.response.attributes.get("ERROR-CODE", (0, ""))
        raise RelayRefused(relay.hop, *code) from error
    except (stun.TransactionError, ConnectionError) as error:
        client.transport.close()
        raise NoAnswer(relay.hop, "no answer", stage="application") from error
    except BaseException:
        client.transport.close()
        raise
    return transport, protocol


async def _open_datagrams(
    relay: Relay, client: TurnClientUdpProtocol
) -> TurnClientUdpProtocol:
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: client, remote_addr=(relay.host, relay.port)
        )
    except socket.gaierror as error:
        raise NameUnknown(relay.hop, relay.host) from error
    except OSError as error:
        raise Unreachable(
            relay.hop, "unreachable", host=relay.host, port=relay.port
        ) from error
    plain = transport.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
    return client


class Relays:
    """All ways to a relay, and how they went; one for a hub.

    reports: the last of each way, by its hop.
    """

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._seconds: Callable[[], float] = dialler.reactor.seconds
        self._failed_at: dict[str, float] = {}
        self._silent_at: float | None = None
        self.reports: dict[str, RelayReport] = {}

    def forget(self) -> None:
        """The network is another one: what was blocked need not be."""
        self._failed_at.clear()
        self.reports.clear()
        self._silent_at = None

    @property
    def stun_is_silent(self) -> bool:
        """STUN did not answer a moment ago: no call waits for it as long again."""
        at = self._silent_at
        return at is not None and self._seconds() - at < STUN_REMEMBER_S

    def stun_silent(self) -> None:
        """It did not answer."""
        self._silent_at = self._seconds()

    async def open(
        self, protocol_factory: Callable[[], P], relays: tuple[Relay, ...]
    ) -> tuple[TurnTransport, P, Relay]:
        """The first way that answers. Raises NoRelay with every failure."""
        ranked = sorted(relays, key=self._is_bad)
        attempts: dict[asyncio.Task[tuple[TurnTransport, P]], Relay] = {}
        try:
            for at in range(len(ranked) + 1):
                last = at == len(ranked)
                if not last:
                    work = self._try(protocol_factory, ranked[at])
                    attempts[asyncio.create_task(work)] = ranked[at]
                won = await self._winner(attempts, None if last else STAGGER_S)
                if won is not None:
                    return won
        finally:
            for task in attempts:
                task.cancel()
            # One that answered in the same moment gives its allocation back.
            for done in await asyncio.gather(*attempts, return_exceptions=True):
                if isinstance(done, tuple):
                    done[0].close()
        raise NoRelay([failure for r in ranked if (failure := self._failure(r))])

    async def probe(self, relays: tuple[Relay, ...]) -> list[RelayReport]:
        """Try every way at once, keep none."""

        async def one(relay: Relay) -> None:
            try:
                transport, _ = await self._try(asyncio.DatagramProtocol, relay)
            except HopError:
                return  # it is in the report
            transport.close()

        await asyncio.gather(*(one(relay) for relay in relays))
        return [self.reports[relay.hop] for relay in relays]

    async def _winner(
        self,
        attempts: dict[asyncio.Task[tuple[TurnTransport, P]], Relay],
        patience_s: float | None,
    ) -> tuple[TurnTransport, P, Relay] | None:
        """The first that stands, or None when all failed or time is up."""
        waiting = set(attempts)
        deadline = None if patience_s is None else self._seconds() + patience_s
        while waiting:
            left = None if deadline is None else max(0.0, deadline - self._seconds())
            done, waiting = await asyncio.wait(
                waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            for task in attempts:  # in order of preference
                if task in done and task.exception() is None:
                    relay = attempts.pop(task)
                    return (*task.result(), relay)
            if not done:
                return None
        return None

    async def _try(
        self, protocol_factory: Callable[[], P], relay: Relay
    ) -> tuple[TurnTransport, P]:
        began = self._seconds()
        failure: HopError | None = None
        try:
            work = create_turn_endpoint(protocol_factory, relay, self._dialler)
            opened = await asyncio.wait_for(work, ANSWER_S[relay.way])
        except TimeoutError:
            failure = NoAnswer(relay.hop, "no answer in time", stage="application")
            raise failure from None
        except HopError as error:
            failure = error
            raise
        except asyncio.CancelledError:
            if self._seconds() - began > OVERTAKEN_S:
                failure = NoAnswer(relay.hop, "overtaken", stage="application")
            raise
        else:
            self._note(relay, began, None)
            return opened
        finally:
            if failure is not None:
                self._note(relay, began, failure)

    def _note(self, relay: Relay, began: float, failure: HopError | None) -> None:
        now = self._seconds()
        if failure is not None:
            self._failed_at[relay.hop] = now
            _log.info("no relay: {reason}", reason=str(failure))
        self.reports[relay.hop] = RelayReport(
            relay=relay, took_s=now - began, failure=failure
        )

    def _failure(self, relay: Relay) -> HopError | None:
        report = self.reports.get(relay.hop)
        return None if report is None else report.failure

    def _is_bad(self, relay: Relay) -> bool:
        """Failed a moment ago."""
        if self._failure(relay) is None:
            return False
        return self._seconds() - self._failed_at[relay.hop] < REMEMBER_S
