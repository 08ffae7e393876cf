"""The URLs under which the services are known to people and clients."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Public host and bound ports; None where a service does not listen.

    more_udp_ports: further ones of TURN, such as 53 for strict networks. turn_udp,
    turn_tcp: whether turn_port is one of that kind.
    """

    public_host: str
    tls_port: int | None = None
    http_port: int | None = None
    turn_port: int | None = None
    turn_tls_port: int | None = None
    more_udp_ports: tuple[int, ...] = ()
    turn_udp: bool = True
    turn_tcp: bool = True

    @property
    def https_url(self) -> str | None:
        """The address for everybody, without a slash at the end."""
        if self.tls_port is None:
            return None
        port = "" if self.tls_port == 443 else f":{self.tls_port}"
        return f"https://{_bracketed(self.public_host)}{port}"

    @property
    def local_url(self) -> str | None:
        """The address for this machine: a secure context without a certificate."""
        return None if self.http_port is None else f"http://localhost:{self.http_port}"

    @property
    def base_url(self) -> str:
        """What links begin with: local while the host name is local too."""
        if self.public_host in LOCAL_NAMES and self.local_url:
            return self.local_url
        return self.https_url or self.local_url or f"https://{self.public_host}"

    @property
    def xmpp_websocket_url(self) -> str | None:
        """Where XMPP clients of browsers connect."""
        base = self.https_url
        return base and f"wss{base.removeprefix('https')}/xmpp-websocket"

    def join_url(self, hub_id: str, pin: str | None = None) -> str:
        """A link into a room; the PIN rides in the fragment, which no log sees."""
        fragment = f"#pin={pin}" if pin else ""
        return f"{self.base_url}/join/{hub_id}{fragment}"

    def turn_urls(self, host: str) -> tuple[str, ...]:
        """ICE server URLs at a host (RFC 7064, RFC 7065), fastest first."""
        name = _bracketed(host)
        urls: list[str] = []
        if self.turn_port is not None:
            at = f"{name}:{self.turn_port}"
            if self.turn_udp:
                urls += [f"stun:{at}", f"turn:{at}?transport=udp"]
            if self.turn_tcp:
                urls.append(f"turn:{at}?transport=tcp")
        urls += [f"turn:{name}:{port}?transport=udp" for port in self.more_udp_ports]
        if self.turn_tls_port is not None:
            urls.append(f"turns:{name}:{self.turn_tls_port}?transport=tcp")
        return tuple(urls)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and host[0] != "[" else host
