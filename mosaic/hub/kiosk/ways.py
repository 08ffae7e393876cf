# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""How the kiosk's browser gets to the server: through which proxy, and whose
certificate it believes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.defer import CancelledError, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from mosaic.hub.kiosk.relay import relay_listen
from mosaic.hub.memory import write_durably
from mosaic.proxy.client import Dialler
from mosaic.wire.hops import HopError

_log = Logger()

FILE = "kiosk-pins.json"


class Ways:
    """private: the server's certificate is of an authority (--ca) that the
    browser does not know, so its key is pinned: learned by the agent, which has
    verified it. changed: the browsers must be started anew."""

    def __init__(
        self,
        dialler: Dialler,
        server: str,
        *,
        state: Path,
        private: bool,
        changed: Callable[[], None],
    ) -> None:
        parts = urlsplit(server)
        self._dialler = dialler
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._file = state / FILE
        self._private = private and parts.scheme == "https"
        self._changed = changed
        self._listening: IListeningPort | None = None
        self.pins: tuple[str, ...] = ()
        if self._private:
            with suppress(OSError, ValueError):
                found = json.loads(self._file.read_bytes())
                self.pins = tuple(str(pin) for pin in found)

    @property
    def ready(self) -> bool:
        """Whether a browser would get there."""
        return not self._private or bool(self.pins)

    @property
    def flags(self) -> Sequence[str]:
        """Chromium's, for the proxy."""
        if self._listening is None:
            return ("--no-proxy-server",)
        host: Any = self._listening.getHost()
        return (f"--proxy-server=http://127.0.0.1:{host.port}",)

    async def start(self) -> None:
        """Find out whether there is a proxy on the way."""
        try:
            routes = self._dialler.routes
            ways = await routes.proxies_for("https", self._host, self._port)
            direct = all(proxy.kind == "direct" for proxy in ways)
        except HopError as error:
            _log.warn("kiosk: {reason}", reason=str(error))
            direct = False  # the relay asks again for each connection
        if not direct:
            self._listening = relay_listen(self._dialler, self._host)

    async def stop(self) -> None:
        """No relay any more."""
        if self._listening is not None:
            await maybeDeferred(self._listening.stopListening)

    async def learn(self) -> None:
        """The key of the server's certificate, which is verified on the way."""
        if not self._private:
            return
        endpoint = self._dialler.endpoint(self._host, self._port, tls=True)
        try:
            met = await endpoint.connect(Factory.forProtocol(Protocol))
        except (HopError, CancelledError) as error:
            _log.info("kiosk: {reason}", reason=str(error))
            return
        pin = pin_of(met.transport.getPeerCertificate())
        met.transport.loseConnection()
        if (pin,) != self.pins:
            self.pins = (pin,)
            with suppress(OSError):
                write_durably(self._file, json.dumps(self.pins).encode())
            self._changed()


def pin_of(certificate: Any) -> str:
    """Base64 of the SHA-256 of a pyOpenSSL certificate's public key (SPKI)."""
    key = certificate.to_cryptography().public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(sha256(spki).digest()).decode()
