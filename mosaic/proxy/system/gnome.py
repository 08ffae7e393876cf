"""GNOME's settings, as `gsettings list-recursively org.gnome.system.proxy` prints
them: one `schema key value` a line, values in GVariant's text form."""

from __future__ import annotations

import ast

from mosaic.proxy.system.found import SystemProxies, parse_table

COMMAND = ("gsettings", "list-recursively", "org.gnome.system.proxy")
_SCHEMA = "org.gnome.system.proxy"


def from_gsettings(text: str) -> SystemProxies:
    """What the output says; a mode of 'none' says nothing."""
    values: dict[str, object] = {}
    for line in text.splitlines():
        parts = line.split(" ", 2)
        if len(parts) == 3 and parts[0].startswith(_SCHEMA):
            schema = parts[0].removeprefix(_SCHEMA).removeprefix(".")
            values[f"{schema}.{parts[1]}".lstrip(".")] = _value(parts[2])
    source = "GNOME settings"
    mode = values.get("mode")
    if mode == "auto":
        url = str(values.get("autoconfig-url") or "")
        return SystemProxies(source=source, pac_url=url, auto_detect=not url)
    if mode != "manual":
        return SystemProxies(source=source)

    def at(kind: str) -> str:
        host, port = values.get(f"{kind}.host"), values.get(f"{kind}.port")
        return f"{host}:{port}" if host and port else ""

    rows = {"http": at("http"), "https": at("https")}
    if socks := at("socks"):
        rows["all"] = f"socks5h://{socks}"
    ignored = values.get("ignore-hosts")
    bypass = tuple(map(str, ignored)) if isinstance(ignored, list) else ()
    return SystemProxies(source=source, by_scheme=parse_table(rows), bypass=bypass)


def _value(text: str) -> object:
    wanted = text.strip().removeprefix("@as ")
    if wanted in ("true", "false"):
        return wanted == "true"
    try:
        return ast.literal_eval(wanted)
    except (ValueError, SyntaxError):
        return None
