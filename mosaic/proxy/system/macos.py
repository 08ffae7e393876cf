"""macOS's settings, as `scutil --proxy` prints them."""

from __future__ import annotations

import re

from mosaic.proxy.system.found import SystemProxies, parse_table

COMMAND = ("scutil", "--proxy")
_PAIR = re.compile(r"^\s*(\w+)\s*:\s*(.*?)\s*$")


def from_scutil(text: str) -> SystemProxies:
    """What the output says; arrays are the lines between braces."""
    values: dict[str, str] = {}
    exceptions: list[str] = []
    inside = False
    for line in text.splitlines():
        if "ExceptionsList" in line and "{" in line:
            inside = True
        elif inside and "}" in line:
            inside = False
        elif pair := _PAIR.match(line):
            if inside:
                exceptions.append(pair[2])
            else:
                values[pair[1]] = pair[2]

    def at(kind: str) -> str:
        if values.get(f"{kind}Enable") != "1" or f"{kind}Proxy" not in values:
            return ""
        port = values.get(f"{kind}Port", "")
        return values[f"{kind}Proxy"] + (f":{port}" if port else "")

    source = "macOS settings"
    pac_url = values.get("ProxyAutoConfigURLString", "")
    if values.get("ProxyAutoConfigEnable") == "1" and pac_url:
        return SystemProxies(source=source, pac_url=pac_url)
    rows = {"http": at("HTTP"), "https": at("HTTPS")}
    if socks := at("SOCKS"):
        rows["all"] = f"socks5h://{socks}"
    if values.get("ExcludeSimpleHostnames") == "1":
        exceptions.append("<local>")
    return SystemProxies(
        source=source,
        by_scheme=parse_table(rows),
        bypass=tuple(exceptions),
        auto_detect=values.get("ProxyAutoDiscoveryEnable") == "1",
    )
