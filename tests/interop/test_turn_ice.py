"""aioice and aiortc, relay-only at both ends, over our server.

No network is allowed to peers here: the two meet because relayed addresses of
ours are always allowed, on loopback too.
"""

from __future__ import annotations

import asyncio
from unittest import IsolatedAsyncioTestCase

from aioice import Connection, TransportPolicy
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)

from tests.interop.turn_process import ServerProcess

WITHIN_S = 40.0


class RelayOnlyTests(IsolatedAsyncioTestCase):
    """One server for each test; the clients run on the asyncio loop."""

    def setUp(self) -> None:
        """Our server."""
        server = ServerProcess()
        self.told = server.__enter__().told
        self.addCleanup(server.__exit__, None, None, None)

    def connection(self, transport: str, *, controlling: bool) -> Connection:
        """A relay-only ICE endpoint."""
        return Connection(
            ice_controlling=controlling,
            turn_server=("127.0.0.1", self.told[transport]),
            turn_username=self.told["username"],
            turn_password=self.told["password"],
            turn_transport="tcp" if transport == "tls" else transport,
            turn_ssl=False,
            transport_policy=TransportPolicy.RELAY,
        )

    async def echo(self, first: str, second: str) -> None:
        """Two ICE endpoints find each other and echo fifty times each way."""
        one = self.connection(first, controlling=True)
        two = self.connection(second, controlling=False)
        await asyncio.gather(one.gather_candidates(), two.gather_candidates())
        for here, there in ((one, two), (two, one)):
            kinds = {candidate.type for candidate in here.local_candidates}
            self.assertEqual(kinds, {"relay"})
            for candidate in here.local_candidates:
                await there.add_remote_candidate(candidate)
            await there.add_remote_candidate(None)
            there.remote_username = here.local_username
            there.remote_password = here.local_password
        await asyncio.gather(one.connect(), two.connect())
        for here, there in ((one, two), (two, one)):
            for at in range(50):
                await here.send(b"%d" % at)
                self.assertEqual(await there.recv(), b"%d" % at)
        await asyncio.gather(one.close(), two.close())

    async def test_ice_over_udp(self) -> None:
        """Allocate, channels, ChannelData, and the hairpin."""
        await asyncio.wait_for(self.echo("udp", "udp"), WITHIN_S)

    async def test_ice_over_tcp(self) -> None:
        """The same over streams."""
        await asyncio.wait_for(self.echo("tcp", "tcp"), WITHIN_S)

    async def test_ice_from_tcp_to_udp(self) -> None:
        """Ends on different transports meet."""
        await asyncio.wait_for(self.echo("tcp", "udp"), WITHIN_S)

    def peer(self, transport: str) -> RTCPeerConnection:
        """A WebRTC endpoint that knows our server alone."""
        url = f"turn:127.0.0.1:{self.told['udp' if transport == 'udp' else 'tcp']}"
        server = RTCIceServer(
            urls=f"{url}?transport={transport}",
            username=self.told["username"],
            credential=self.told["password"],
        )
        return RTCPeerConnection(RTCConfiguration(iceServers=[server]))

    async def converse(self, transport: str) -> None:
        """A data channel echoes, and every candidate pair is relayed."""
        caller, callee = self.peer(transport), self.peer(transport)
        channel = caller.createDataChannel("echo")
        echoed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        channel.on("open", lambda: channel.send("hello"))
        channel.on("message", echoed.set_result)

        @callee.on("datachannel")
        def answer(incoming: object) -> None:
            incoming.on("message", incoming.send)  # type: ignore[attr-defined] # untyped

        await caller.setLocalDescription(await caller.createOffer())
        await callee.setRemoteDescription(relayed_only(caller.localDescription))
        await callee.setLocalDescription(await callee.createAnswer())
        await caller.setRemoteDescription(relayed_only(callee.localDescription))
        self.assertEqual(await echoed, "hello")
        await asyncio.gather(caller.close(), callee.close())

    async def test_webrtc_over_udp(self) -> None:
        """DTLS and SCTP through the relay."""
        await asyncio.wait_for(self.converse("udp"), WITHIN_S)

    async def test_webrtc_over_tcp(self) -> None:
        """The same with TCP to the server."""
        await asyncio.wait_for(self.converse("tcp"), WITHIN_S)


def relayed_only(description: RTCSessionDescription) -> RTCSessionDescription:
    """A session description without candidates that are not relayed."""
    lines = description.sdp.splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if not line.startswith("a=candidate") or " typ relay" in line
    ]
    assert any(line.startswith("a=candidate") for line in kept)
    return RTCSessionDescription(sdp="".join(kept), type=description.type)
