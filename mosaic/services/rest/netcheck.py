"""What a network check needs of the server: open to strangers, and worth little."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from mosaic.auth.backoff import address_key
from mosaic.auth.interface import Door
from mosaic.config.settings import Region
from mosaic.services.rest.documents import NetcheckView, region_views
from mosaic.services.rest.gate import asked_host
from mosaic.services.rest.operations import BytesAnswer, Call, Operation, Who
from mosaic.services.rest.ratelimit import RateLimit

MAX_DOWNLOAD_BYTES = 2 * 1024 * 1024
CHECKS_PER_S, CHECKS_BURST = 0.1, 6
"""Of one address. A check asks once; a page that is loaded again asks again."""
DOWNLOADS_PER_S, DOWNLOADS_BURST = 0.2, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class NetcheckFacts:
    """What this server has to be reached at. xmpp_port: of direct TLS.

    udp_ports, dtls_ports: of STUN and TURN. spki_sha256: of our certificates'
    keys. redirect_port: of plain HTTP for everybody.
    """

    xmpp_port: int | None = None
    xmpp_domain: str = "localhost"
    udp_ports: tuple[int, ...] = ()
    spki_sha256: tuple[str, ...] = ()
    drcp: bool = True
    dtls_ports: tuple[int, ...] = ()
    redirect_port: int | None = None


class DownloadQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """How much to send."""

    size_bytes: Annotated[int, Meta(ge=1, le=MAX_DOWNLOAD_BYTES)] = 1048576


class NetcheckOperations:
    """Two operations without a login, each limited by address."""

    def __init__(
        self,
        *,
        door: Door,
        facts: Callable[[], NetcheckFacts],
        seconds: Callable[[], float],
        region: str = "",
        regions: Sequence[Region] = (),
    ) -> None:
        self._door = door
        self._region = region
        self._regions = region_views(regions)
        self._facts = facts
        self._checks = RateLimit(
            per_s=CHECKS_PER_S, burst=CHECKS_BURST, seconds=seconds
        )
        self._downloads = RateLimit(
            per_s=DOWNLOADS_PER_S, burst=DOWNLOADS_BURST, seconds=seconds
        )
        self._noise = b""

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="beginNetcheck",
                method="POST",
                path="/netcheck",
                summary="What a network check tries: ports, and credentials for the"
                " relay that live for a minute and reach our own relays alone",
                tag="netcheck",
                who=Who.ANYONE,
                run=self.begin,
                answer=NetcheckView,
            ),
            Operation(
                id="downloadNoise",
                method="GET",
                path="/netcheck/noise",
                summary="Random bytes, to measure bandwidth",
                tag="netcheck",
                who=Who.ANYONE,
                run=self.download,
                query=DownloadQuery,
                file=True,
            ),
        )

    async def begin(self, call: Call, body: None) -> NetcheckView:
        """Everything at the host that the caller reached us by."""
        self._checks.take(address_key(call.caller.address))
        host = asked_host(call.request)
        facts = self._facts()
        made = self._door.visitor_credentials(call.caller.address, host)
        return NetcheckView(
            address=call.caller.address,
            urls=list(made.urls),
            username=made.username,
            credential=made.credential,
            ttl=made.ttl,
            udp_ports=list(facts.udp_ports),
            xmpp_port=facts.xmpp_port,
            xmpp_domain=facts.xmpp_domain,
            drcp=facts.drcp,
            spki_sha256=list(facts.spki_sha256),
            dtls_ports=list(facts.dtls_ports),
            redirect_port=facts.redirect_port,
            region=self._region,
            regions=self._regions,
        )

    async def download(self, call: Call, body: None) -> BytesAnswer:
        """Incompressible, the same for everybody."""
        self._downloads.take(address_key(call.caller.address))
        if not self._noise:
            self._noise = os.urandom(MAX_DOWNLOAD_BYTES)
        query: DownloadQuery = call.query or DownloadQuery()
        return BytesAnswer(
            data=self._noise[: query.size_bytes],
            media_type="application/octet-stream",
            headers={"Content-Disposition": "attachment"},
        )
