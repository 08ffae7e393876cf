"""Allocates whose credentials the data plane has checked (decision 024)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mosaic.relay.interface import AdmittingPlane, Grant, Granting
from mosaic.services.turn.bandwidth import Bandwidth
from mosaic.services.turn.listen import RelayHosts
from mosaic.wire.stun.address import Address
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.server import TurnServer

_log = Logger()


class Admissions:
    """Grants them, by the same rules as the core's full way, or not at all.

    verbose: asked whether each allocation is logged.
    """

    def __init__(
        self,
        core: TurnServer,
        plane: AdmittingPlane,
        hosts: RelayHosts,
        bandwidth: Bandwidth,
        verbose: Callable[[], bool],
    ) -> None:
        self._core = core
        self._plane = plane
        self._hosts = hosts
        self._bandwidth = bandwidth
        self._verbose = verbose

    def vouch(self, username: str, key: bytes) -> None:
        """The plane may check this one from now on."""
        self._plane.know(username, key)

    def grant(self, asks: list[KnownAsk], now: float) -> list[KnownAsk]:
        """Open what is asked for; those that must go the full way come back.

        What holds for a credential is asked once for all that came together.
        """
        alike: dict[tuple[int, Address], list[KnownAsk]] = {}
        for ask in asks:
            alike.setdefault((ask.credential, ask.five_tuple.server), []).append(ask)
        rest: list[KnownAsk] = []
        for (credential, server), some in alike.items():
            known = self._plane.username_of(credential)
            hosts = self._hosts.choose(4, server.host)
            if known and hosts and self._core.holds(*known, now):
                rest += self._grant(some, *known, hosts, now)
            else:
                rest += some
        return rest

    def _grant(
        self,
        asks: list[KnownAsk],
        username: str,
        key: bytes,
        hosts: tuple[str, str],
        now: float,
    ) -> list[KnownAsk]:
        core, bandwidth = self._core, self._bandwidth
        made = core.admit(username, asks, now)
        rest = [ask for ask, one in zip(asks, made, strict=True) if one is None]
        granted = [one for one in made if one is not None]
        if not granted:
            return rest
        grants = [
            Grant(ask, one.relay, now + one.lifetime_s, one.lifetime_s)
            for ask, one in zip(asks, made, strict=True)
            if one is not None
        ]
        owner, user = bandwidth.user(username)
        granting = Granting(*hosts, key, bandwidth.bytes_per_s, user)
        opened = self._plane.grant(granting, grants)
        core.admitted(granted, opened)
        bandwidth.opened_all(
            owner,
            [one.relay for one, at in zip(granted, opened, strict=True) if at],
        )
        if None in opened:
            bandwidth.refused(owner)
            pairs = zip(grants, opened, strict=True)
            rest += [grant.ask for grant, at in pairs if at is None]
        if self._verbose():
            self._log(grants, opened)
        return rest

    def _log(self, grants: list[Grant], opened: list[Address | None]) -> None:
        for grant, relayed in zip(grants, opened, strict=True):
            if relayed is not None:
                _log.debug(
                    "allocation {relay} made: {host} port {port} over {transport}",
                    relay=grant.relay,
                    host=relayed.host,
                    port=relayed.port,
                    transport=grant.ask.five_tuple.transport,
                )
