"""Small questions about the server: what it is, what time it is, since when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mosaic import __version__
from mosaic.services.xmpp.answers import About
from mosaic.services.xmpp.extras.asked import Asked, Registry
from mosaic.services.xmpp.extras.disco import Form
from mosaic.wire.xmpp.xml import element

NAME = "Mosaic"
NS_VERSION = "jabber:iq:version"
NS_TIME = "urn:xmpp:time"
NS_LAST = "jabber:iq:last"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Version (XEP-0092), time (XEP-0202) and uptime (XEP-0012).

    The operating system is nobody's business. wall: Unix seconds now.
    """

    wall: Callable[[], float]
    started_at: float = field(default=0.0)

    def register(self, registry: Registry) -> None:
        """For the domain, or for a component."""
        registry.add("get", NS_VERSION, "query", self._version, About.DOMAIN)
        registry.add("get", NS_TIME, "time", self._time, About.DOMAIN)

    async def _version(self, asked: Asked) -> str:
        return element(
            "query",
            None,
            element("name", None, NAME),
            element("version", None, __version__),
            ns=NS_VERSION,
        )

    async def _time(self, asked: Asked) -> str:
        return element(
            "time",
            None,
            element("tzo", None, "+00:00"),
            element("utc", None, stamp(self.wall())),
            ns=NS_TIME,
        )

    def uptime(self) -> str:
        """The answer about the server itself (XEP-0012 section 5)."""
        return element("query", {"seconds": str(self.uptime_s)}, ns=NS_LAST)

    @property
    def uptime_s(self) -> int:
        """Whole seconds since the start."""
        return max(0, int(self.wall() - self.started_at))


def stamp(at: float) -> str:
    """Unix seconds as XEP-0082 writes them, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def software_form() -> Form:
    """XEP-0232, without the operating system."""
    return Form(
        "urn:xmpp:dataforms:softwareinfo",
        (("software", (NAME,)), ("software_version", (__version__,))),
    )


def contact_form(contacts: Sequence[str]) -> Form | None:
    """XEP-0157 from lines like "admin mailto:ops@example.org"; None for none."""
    found: dict[str, list[str]] = {}
    for line in contacts:
        kind, _, uri = line.partition(" ")
        found.setdefault(f"{kind}-addresses", []).append(uri.strip())
    if not found:
        return None
    fields = tuple((var, tuple(found[var])) for var in sorted(found))
    return Form("http://jabber.org/network/serverinfo", fields)
