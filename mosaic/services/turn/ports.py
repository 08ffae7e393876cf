"""The datagram listeners of the service, from endpoint strings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol as Interface

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import Logger

from mosaic.relay.interface import RelayPlane
from mosaic.services.turn.doors import DtlsPort, ProxiedPort, ProxyOwner
from mosaic.services.turn.dtls import DtlsDoor
from mosaic.services.turn.listen import (
    WILDCARD_V4,
    WILDCARD_V6,
    all_hosts,
    parse_udp_endpoint,
)
from mosaic.wire.stun.address import Address
from mosaic.wire.turn.peers import PeerPolicy

_log = Logger()


class DoorMaker(Interface):
    """Makes the DTLS side when the first listener needs it."""

    def __call__(self) -> DtlsDoor:
        """Raises ValueError where there is no certificate."""


class Ports:
    """Opens listeners, tells the policy that they are ours, closes them."""

    def __init__(
        self,
        plane: RelayPlane,
        policy: PeerPolicy,
        reactor: Callable[[], IReactorFDSet],
        owner: ProxyOwner,
        make_door: DoorMaker,
    ) -> None:
        self._plane = plane
        self._policy = policy
        self._reactor = reactor
        self._owner = owner
        self._make_door = make_door
        self._door: DtlsDoor | None = None
        self._own: list[DtlsPort | ProxiedPort] = []
        self.udp: list[Address] = []
        self.dtls: list[Address] = []

    def listen_udp(self, endpoints: Iterable[str]) -> list[Address]:
        """See `TurnService.listen_udp`."""
        bound: list[Address] = []
        for text in endpoints:
            endpoint = parse_udp_endpoint(text)
            listen = self._proxied if endpoint.proxied else self._plane.listen
            port = endpoint.port
            for host in all_hosts(endpoint):
                address = listen(host, port)
                port = address.port
                bound.append(self._opened(address, "UDP"))
        self.udp += bound
        return bound

    def listen_dtls(self, endpoints: Iterable[str]) -> list[Address]:
        """The same for DTLS, from strings such as `dtls:5349`.

        Raises ValueError, also where there is no certificate, and OSError.
        """
        bound: list[Address] = []
        for text in endpoints:
            endpoint = parse_udp_endpoint(text, "dtls")
            port = endpoint.port
            for host in all_hosts(endpoint):
                address = self._secured(host, port)
                port = address.port
                bound.append(self._opened(address, "DTLS"))
        self.dtls += bound
        return bound

    def listen_for_discovery(self, addresses: Iterable[tuple[str, int]]) -> None:
        """Open what RFC 5780 needs and the endpoint strings do not cover."""
        covered = {tuple(address) for address in self.udp}
        for host, port in addresses:
            every = WILDCARD_V6 if ":" in host else WILDCARD_V4
            if not covered & {(host, port), (every, port)}:
                self._policy.listening_on(self._plane.listen(host, port))

    def _proxied(self, host: str, port: int) -> Address:
        made = ProxiedPort(self._reactor(), host, port, self._owner)
        self._own.append(made)
        return made.address

    def _secured(self, host: str, port: int) -> Address:
        if self._door is None:
            self._door = self._make_door()
        made = DtlsPort(self._reactor(), host, port, self._door)
        self._own.append(made)
        return made.address

    def _opened(self, address: Address, kind: str) -> Address:
        self._policy.listening_on(address)
        _log.info(
            "TURN listens on {kind} {host} port {port}",
            kind=kind,
            host=address.host,
            port=address.port,
        )
        return address

    def certificates_changed(self) -> None:
        """DTLS clients who come from now on see the new certificates."""
        if self._door is not None:
            self._door.renew()

    def close(self) -> None:
        """End DTLS sessions and close what is not the plane's."""
        if self._door is not None:
            self._door.close()
            self._door = None
        for port in self._own:
            port.close()
        self._own = []
        self.udp, self.dtls = [], []
