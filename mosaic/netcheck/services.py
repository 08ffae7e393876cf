# mypy: disable-error-code="no-untyped-call"
# (Twisted's and treq's functions have few annotations)
"""What the server does at its port: TLS, REST, DRCP, XMPP, updates, speed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from mosaic.netcheck.around import Around, ServerFacts
from mosaic.netcheck.known import inspected_by, short_name
from mosaic.netcheck.result import Check
from mosaic.netcheck.streams import (
    describe_tls,
    open_drcp,
    open_stream,
    open_xmpp,
    who_is_there,
)
from mosaic.proxy.client import http_client
from mosaic.proxy.securing import ANOTHER_NAME
from mosaic.wire.hops import HopError, NoAnswer, TlsRefused

MAX_ANSWER_BYTES = 65536
NOISE_BYTES = 2 * 1024 * 1024
NOISE_S = 3.0
SLOW_KBIT_S = 1100
"""Below this a call with video suffers."""


class _Signed(msgspec.Struct):
    expires: datetime


class _Timestamp(msgspec.Struct):
    """Of TUF's timestamp role what is of use here; the hub checks signatures."""

    signed: _Signed


class ServiceChecks:
    """Each gives one Check or raises. All go the dialler's way."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._server = around.server
        self._dialler = around.dialler
        self._reactor = around.reactor

    async def tls(self) -> Check:
        """Who is there, and whether that can be believed."""
        server = self._server
        if not server.secure:
            return Check(
                name="tls", outcome="skipped", detail="plain HTTP was asked for"
            )
        endpoint = self._dialler.endpoint(server.host, server.port, tls=True)
        try:
            stream = await open_stream(self._reactor, endpoint, server.hop)
        except TlsRefused as error:
            return await self._untrusted(error)
        data = describe_tls(stream.transport)
        stream.close()
        return Check(name="tls", outcome="ok", data=data)

    async def _untrusted(self, error: TlsRefused) -> Check:
        """Our server with an authority unknown here, or somebody else."""
        server = self._server
        try:
            data = await who_is_there(self._dialler, server.host, server.port)
        except HopError:
            raise error from None  # no TLS at all: the first error says it best
        known = self._around.known.get(server.host, server.port)
        why = inspected_by(data["spki_sha256"], data["issuer"], told=(), known=known)
        if why or (known and data["spki_sha256"] not in known.spki_sha256):
            return _intercepted(
                Check(name="tls", outcome="blocked", data=data),
                server.host,
                why or "at an earlier contact it had another key",
            )
        detail = f"{error}; the certificate is signed by {data['issuer']}"
        advice = (
            "trust that authority if it is your own (--ca), or ask for an "
            f"exception from TLS inspection for {server.host}"
        )
        if error.message.endswith(ANOTHER_NAME):
            advice = (
                f"check the name {server.host}: what answers there shows a certificate "
                f"for {short_name(data['subject'])}"
            )
        elif datetime.fromisoformat(data["expires"]) < datetime.now(UTC):
            detail = f"{server.hop}: the certificate has expired ({data['expires']})"
            advice = "tell who runs the server, and check the date of this machine"
        return Check(
            name="tls",
            outcome="blocked",
            stage="tls",
            detail=detail,
            advice=advice,
            data=data,
        )

    def judged(self, tls: Check) -> Check:
        """The TLS check again, after REST: whose key was on the wire? What was
        beyond doubt is remembered."""
        server, facts = self._server, self._around.facts
        key, issuer = tls.data.get("spki_sha256"), tls.data.get("issuer", "")
        if not key or tls.outcome != "ok":
            return tls
        told = facts.spki_sha256 if facts else []
        known = self._around.known.get(server.host, server.port)
        why = inspected_by(key, issuer, told=told, known=known)
        if why:
            return _intercepted(
                msgspec.structs.replace(tls, outcome="degraded"), server.host, why
            )
        if told:
            self._around.known.learn(server.host, server.port, told, issuer)
        if known is not None and known.issuer != issuer:
            was = short_name(known.issuer)
            detail = f"signed by {short_name(issuer)}; at an earlier contact by {was}"
            return msgspec.structs.replace(tls, detail=detail)
        return tls

    async def rest(self) -> Check:
        """An API call, which also says what else there is to try."""
        server = self._server
        http = http_client(self._dialler)
        answer = await http.post(
            f"{server.url}/api/v1/netcheck", timeout=15, allow_redirects=False
        )
        body = await bounded(answer, MAX_ANSWER_BYTES)
        if answer.code == 429:
            return Check(
                name="rest",
                outcome="degraded",
                stage="application",
                detail="this address has checked too often",
                advice="try again in a minute",
                data={"limited": True},
            )
        if answer.code != 200:
            raise NoAnswer(
                server.hop, f"REST answers {answer.code}", stage="application"
            )
        try:
            self._around.facts = msgspec.json.decode(body, type=ServerFacts)
        except msgspec.MsgspecError as error:
            what = "answers, but not as Mosaic does: a portal may stand in between"
            raise NoAnswer(server.hop, what, stage="application") from error
        seen_as = self._around.facts.address
        return Check(name="rest", outcome="ok", data={"seen_as": seen_as})

    async def drcp(self) -> Check:
        """A WebSocket with our subprotocol."""
        server = self._server
        scheme = "wss" if server.secure else "ws"
        url = scheme + server.url.removeprefix(server.scheme) + "/drcp"
        endpoint = self._dialler.endpoint(
            server.host, server.port, tls=server.secure, scheme=scheme
        )
        try:
            await open_drcp(self._reactor, url, endpoint, server.hop)
        except NoAnswer as error:
            if self._around.facts is None or error.stage != "application":
                raise
            # REST came through on the same way.
            error.advice = (
                f"something on the way breaks WebSockets: allow them to {server.host}"
            )
            raise
        return Check(name="drcp", outcome="ok")

    async def xmpp(self) -> Check:
        """A stream and its features."""
        host, facts = self._server.host, self._around.facts
        if facts is None or facts.xmpp_port is None:
            why = "not known" if facts is None else "this server has no XMPP port"
            return Check(name="xmpp", outcome="skipped", detail=why)
        port = facts.xmpp_port
        endpoint = self._dialler.endpoint(host, port, tls=True, alpn=b"xmpp-client")
        hop = f"server {host}:{port}"
        stream = await open_stream(self._reactor, endpoint, hop)
        try:
            await open_xmpp(stream, facts.xmpp_domain)
        finally:
            stream.close()
        return Check(name="xmpp", outcome="ok", data={"port": port})

    async def updates(self) -> Check:
        """The feed of hubs. A server that has none answers 404."""
        http = http_client(self._dialler)
        url = f"{self._server.url}/updates/metadata/timestamp.json"
        answer = await http.get(url, timeout=15, allow_redirects=False)
        body = await bounded(answer, MAX_ANSWER_BYTES)
        if answer.code == 404:
            return Check(
                name="updates",
                outcome="skipped",
                detail="reached; this server has no update feed set up",
                data={"reached": True},
            )
        if answer.code != 200:
            wrong = f"the server answers {answer.code}"
            raise NoAnswer(self._server.hop, wrong, stage="application")
        try:
            expires = msgspec.json.decode(body, type=_Timestamp).signed.expires
        except msgspec.MsgspecError as error:
            wrong = "what answers is no update feed"
            raise NoAnswer(self._server.hop, wrong, stage="application") from error
        data = {"reached": True, "expires": expires.isoformat()}
        if expires < datetime.now(UTC):
            return Check(
                name="updates",
                outcome="degraded",
                stage="application",
                detail=f"the update feed has expired ({expires.isoformat()})",
                advice="hubs take no updates: tell who runs the server, and check the "
                "date of this machine",
                data=data,
            )
        return Check(name="updates", outcome="ok", data=data)

    async def bandwidth(self) -> Check:
        """Down over HTTPS, for three seconds at most."""
        if self._around.quick or self._around.facts is None:
            return Check(name="bandwidth", outcome="skipped", detail="not measured")
        http = http_client(self._dialler)
        url = f"{self._server.url}/api/v1/netcheck/noise?size_bytes={NOISE_BYTES}"
        answer = await http.get(url, timeout=15)
        if answer.code != 200:
            return Check(name="bandwidth", outcome="skipped", detail="asked too often")
        size, took_s = await self._came(answer)
        kbit_s = round(size * 8 / took_s / 1000)
        slow = kbit_s < SLOW_KBIT_S
        return Check(
            name="bandwidth",
            outcome="degraded" if slow else "ok",
            detail=f"{kbit_s} kbit/s down",
            advice="too slow for video; voice and the whiteboard work" if slow else "",
            data={"down_kbit_s": kbit_s},
        )

    async def _came(self, answer: Any) -> tuple[int, float]:
        """Bytes and seconds, up to the end or NOISE_S."""
        import treq

        began = self._reactor.seconds()
        size = 0

        def add(data: bytes) -> None:
            nonlocal size
            size += len(data)

        done = treq.collect(answer, add)
        done.addTimeout(NOISE_S, self._reactor, lambda result, _: None)
        try:
            await done
        except Exception:
            if not size:
                raise
        return size, max(self._reactor.seconds() - began, 1e-6)


def _intercepted(tls: Check, host: str, why: str) -> Check:
    by = tls.data["issuer"]
    return msgspec.structs.replace(
        tls,
        stage="tls",
        detail=f"TLS is inspected by {by} ({why})",
        advice=f"TLS is inspected by {short_name(by)}: ask for an exception for {host};"
        " TURN and XMPP may not pass it",
        data={**tls.data, "intercepted": True},
    )


async def bounded(answer: Any, limit: int) -> bytes:
    """The body, cut off past the limit."""
    import treq

    collected = bytearray()

    def add(data: bytes) -> None:
        if len(collected) + len(data) > limit:
            raise ValueError("the answer is too large")
        collected.extend(data)

    await treq.collect(answer, add)
    return bytes(collected)
