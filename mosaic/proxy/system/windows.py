"""Windows's settings: the registry of the user, and WinHTTP for the machine.

The registry comes in as a module with winreg's functions, so that it is
tested without Windows. WinHTTP is asked through ctypes for what the registry
of this user does not say; that part has run on no Windows yet.
"""

from __future__ import annotations

from typing import Any

from mosaic.proxy.system.found import SystemProxies, parse_table

KEY = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
_AUTO_DETECT = 8
"""A bit of byte 8 of DefaultConnectionSettings."""


def from_registry(winreg: Any) -> SystemProxies:
    """AutoConfigURL first, as Windows does; then the fixed proxies."""
    values = _values(winreg, KEY)
    source = "Windows settings"
    blob = _values(winreg, KEY + r"\Connections").get("DefaultConnectionSettings")
    detect = isinstance(blob, bytes) and len(blob) > 8 and bool(blob[8] & _AUTO_DETECT)
    if url := str(values.get("AutoConfigURL") or ""):
        return SystemProxies(source=source, pac_url=url, auto_detect=detect)
    if not values.get("ProxyEnable"):
        return SystemProxies(source=source, auto_detect=detect)
    return _fixed(
        source,
        str(values.get("ProxyServer") or ""),
        str(values.get("ProxyOverride") or ""),
        detect=detect,
    )


def _fixed(source: str, server: str, override: str, *, detect: bool) -> SystemProxies:
    """`host:port` for everything, or `http=a:1;https=b:2;socks=c:3`."""
    rows: dict[str, str] = {}
    for part in server.replace(" ", ";").split(";"):
        scheme, equals, where = part.partition("=")
        if not equals:
            if part:
                rows |= {"http": part, "https": part}
        elif scheme.lower() in ("http", "https"):
            rows[scheme.lower()] = where
        elif scheme.lower() == "socks":
            rows["all"] = f"socks5h://{where.rpartition('/')[2]}"
    return SystemProxies(
        source=source,
        by_scheme=parse_table(rows),
        bypass=tuple(part for part in override.split(";") if part),
        auto_detect=detect,
    )


def _values(winreg: Any, path: str) -> dict[str, Any]:
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, path) as key:
            count = winreg.QueryInfoKey(key)[1]
            return {
                name: value
                for name, value, _ in (winreg.EnumValue(key, i) for i in range(count))
            }
    except OSError:
        return {}


def from_winhttp(ctypes: Any) -> SystemProxies:
    """WinHttpGetIEProxyConfigForCurrentUser and WinHttpGetDefaultProxyConfiguration.

    ctypes: the module; where it has no windll nothing is said.
    """
    source = "WinHTTP"
    windll = getattr(ctypes, "windll", None)
    if windll is None:
        return SystemProxies(source=source)

    class UserConfig(ctypes.Structure):  # type: ignore[misc]
        _fields_ = [
            ("auto_detect", ctypes.c_int),
            ("pac_url", ctypes.c_wchar_p),
            ("proxy", ctypes.c_wchar_p),
            ("bypass", ctypes.c_wchar_p),
        ]

    class MachineConfig(ctypes.Structure):  # type: ignore[misc]
        _fields_ = [
            ("access_type", ctypes.c_uint32),
            ("proxy", ctypes.c_wchar_p),
            ("bypass", ctypes.c_wchar_p),
        ]

    user = UserConfig()
    if windll.winhttp.WinHttpGetIEProxyConfigForCurrentUser(ctypes.byref(user)):
        detect = bool(user.auto_detect)
        if user.pac_url:
            return SystemProxies(
                source=source, pac_url=user.pac_url, auto_detect=detect
            )
        if user.proxy:
            return _fixed(source, user.proxy, user.bypass or "", detect=detect)
    machine = MachineConfig()
    asked = windll.winhttp.WinHttpGetDefaultProxyConfiguration(ctypes.byref(machine))
    if asked and machine.proxy:
        return _fixed(source, machine.proxy, machine.bypass or "", detect=False)
    return SystemProxies(source=source)
