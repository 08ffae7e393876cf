"""http_proxy, https_proxy, all_proxy and no_proxy."""

from __future__ import annotations

from collections.abc import Mapping

from mosaic.proxy.system.found import SystemProxies, parse_table


def from_environment(environ: Mapping[str, str]) -> SystemProxies:
    """Small letters win over capitals; HTTP_PROXY in capitals is not read where
    REQUEST_METHOD says that this is a CGI script (a header could set it)."""

    def value(name: str) -> str:
        if name in environ:
            return environ[name]
        if name == "http_proxy" and "REQUEST_METHOD" in environ:
            return ""
        return environ.get(name.upper(), "")

    rows = {
        "http": value("http_proxy"),
        "https": value("https_proxy"),
        "all": value("all_proxy"),
    }
    bypass = tuple(value("no_proxy").replace(",", " ").split())
    return SystemProxies(
        source="environment", by_scheme=parse_table(rows), bypass=bypass
    )
