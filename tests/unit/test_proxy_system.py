"""What the system says about proxies, read from its own words."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given
from hypothesis.strategies import lists, text
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.proxy.discover import found_here, routes_for
from mosaic.proxy.logins import Logins
from mosaic.proxy.pac.routes import PacRoutes
from mosaic.proxy.routes import DIRECT, Proxy, ProxyTextError
from mosaic.proxy.system.environment import from_environment
from mosaic.proxy.system.found import SystemProxies, SystemRoutes, bypasses
from mosaic.proxy.system.gnome import from_gsettings
from mosaic.proxy.system.macos import from_scutil
from mosaic.proxy.system.windows import KEY, from_registry, from_winhttp
from mosaic.wire.hops import Login

GNOME = """\
org.gnome.system.proxy autoconfig-url ''
org.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '*.corp']
org.gnome.system.proxy mode 'manual'
org.gnome.system.proxy.http host 'proxy.corp'
org.gnome.system.proxy.http port 3128
org.gnome.system.proxy.https host 'proxy.corp'
org.gnome.system.proxy.https port 3129
org.gnome.system.proxy.socks host 'socks.corp'
org.gnome.system.proxy.socks port 1080
"""
SCUTIL = """\
<dictionary> {
  ExceptionsList : <array> {
    0 : *.local
    1 : 169.254/16
  }
  ExcludeSimpleHostnames : 1
  HTTPSEnable : 1
  HTTPSPort : 8080
  HTTPSProxy : proxy.corp
  SOCKSEnable : 0
  SOCKSProxy : unused
}
"""


class BypassTests(SynchronousTestCase):
    """The rules of no_proxy and of its relatives."""

    def test_rules(self) -> None:
        """Each form, and its near miss."""
        for rule, host, port, expected in (
            ("example.org", "meet.example.org", 443, True),
            (".example.org", "example.org", 443, True),
            ("*.example.org", "a.b.example.org", 443, True),
            ("example.org", "notexample.org", 443, False),
            ("example.org:8443", "example.org", 443, False),
            ("example.org:443", "example.org", 443, True),
            ("10.0.0.0/8", "10.1.2.3", 443, True),
            ("10.*", "10.1.2.3", 443, True),
            ("2001:db8::/32", "[2001:db8::9]", 443, True),
            ("10.0.0.0/8", "11.1.2.3", 443, False),
            ("<local>", "intranet", 443, True),
            ("<local>", "meet.example.org", 443, False),
            ("*", "anything.at.all", 1, True),
            ("", "example.org", 1, False),
        ):
            self.assertEqual(bypasses([rule], host, port), expected, (rule, host))

    def test_this_machine_is_always_direct(self) -> None:
        """A proxy elsewhere cannot reach it."""
        for host in ("localhost", "127.0.0.1", "::1"):
            self.assertTrue(bypasses([], host, 1))

    @given(lists(text(max_size=20)), text(max_size=20))
    def test_any_rule_is_safe(self, rules: list[str], host: str) -> None:
        """They come from files and people."""
        bypasses(rules, host, 443)


class SourceTests(SynchronousTestCase):
    """One source each."""

    def test_environment(self) -> None:
        """Small letters first, login kept, several separators."""
        found = from_environment(
            {
                "http_proxy": "http://al:pw@p:1",
                "HTTP_PROXY": "http://other:2",
                "HTTPS_PROXY": "socks5://s:3",
                "no_proxy": "a.corp, b.corp c.corp",
            }
        )
        self.assertEqual(found.by_scheme["http"], Proxy("http", "p", 1))
        self.assertEqual(found.by_scheme["http"].login, Login("al", "pw"))
        self.assertEqual(found.by_scheme["https"], Proxy("socks5h", "s", 3))
        self.assertEqual(found.bypass, ("a.corp", "b.corp", "c.corp"))

    def test_http_proxy_of_a_cgi_script_is_not_believed(self) -> None:
        """CVE-2016-5385: a request header becomes HTTP_PROXY there."""
        found = from_environment({"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET"})
        self.assertFalse(found.says_something)

    def test_gnome(self) -> None:
        """Manual, automatic and none."""
        found = from_gsettings(GNOME)
        self.assertEqual(found.by_scheme["https"], Proxy("http", "proxy.corp", 3129))
        self.assertEqual(found.by_scheme["all"], Proxy("socks5h", "socks.corp", 1080))
        self.assertIn("*.corp", found.bypass)
        auto = GNOME.replace("'manual'", "'auto'")
        self.assertTrue(from_gsettings(auto).auto_detect)
        auto = auto.replace("autoconfig-url ''", "autoconfig-url 'http://wpad/x.pac'")
        self.assertEqual(from_gsettings(auto).pac_url, "http://wpad/x.pac")
        none = GNOME.replace("'manual'", "'none'")
        self.assertFalse(from_gsettings(none).says_something)

    def test_macos(self) -> None:
        """What is not enabled does not count."""
        found = from_scutil(SCUTIL)
        self.assertEqual(
            dict(found.by_scheme), {"https": Proxy("http", "proxy.corp", 8080)}
        )
        self.assertEqual(found.bypass, ("*.local", "169.254/16", "<local>"))
        pac = SCUTIL.replace(
            "SOCKSEnable : 0",
            "ProxyAutoConfigEnable : 1\n  ProxyAutoConfigURLString : http://p/x.pac",
        )
        self.assertEqual(from_scutil(pac).pac_url, "http://p/x.pac")

    @given(text(max_size=300))
    def test_any_output_is_safe(self, output: str) -> None:
        """Another version may print another form."""
        from_gsettings(output)
        from_scutil(output)


class FakeRegistry:
    """The functions of winreg that are used, over a dictionary."""

    HKEY_CURRENT_USER = 1

    def __init__(self, keys: dict[str, dict[str, Any]]) -> None:
        self._keys = keys

    def OpenKey(self, root: int, path: str) -> Any:
        """A context manager, as winreg's."""
        if path not in self._keys:
            raise OSError("no such key")
        return _Key(list(self._keys[path].items()))

    def QueryInfoKey(self, key: _Key) -> tuple[int, int, int]:
        """Subkeys, values, time."""
        return 0, len(key.rows), 0

    def EnumValue(self, key: _Key, index: int) -> tuple[str, Any, int]:
        """Name, value, type."""
        name, value = key.rows[index]
        return name, value, 1


class _Key:
    def __init__(self, rows: list[tuple[str, Any]]) -> None:
        self.rows = rows

    def __enter__(self) -> _Key:
        return self

    def __exit__(self, *error: object) -> None:
        """Closed."""


class WindowsTests(SynchronousTestCase):
    """From a registry that is none."""

    def found(self, detect: int = 0, **values: Any) -> SystemProxies:
        """What these values say."""
        blob = bytes(8) + bytes((detect,)) + bytes(8)
        return from_registry(
            FakeRegistry(
                {
                    KEY: values,
                    KEY + r"\Connections": {"DefaultConnectionSettings": blob},
                }
            )
        )

    def test_one_proxy_for_everything(self) -> None:
        """With the usual exceptions."""
        found = self.found(
            ProxyEnable=1, ProxyServer="p:8080", ProxyOverride="*.corp;<local>"
        )
        self.assertEqual(found.by_scheme["https"], Proxy("http", "p", 8080))
        self.assertEqual(found.bypass, ("*.corp", "<local>"))

    def test_a_proxy_for_each_scheme(self) -> None:
        """The long form."""
        found = self.found(ProxyEnable=1, ProxyServer="http=a:1;https=b:2;socks=c:3")
        self.assertEqual(
            [str(found.by_scheme[x]) for x in ("http", "https", "all")],
            ["http://a:1", "http://b:2", "socks5h://c:3"],
        )

    def test_script_and_detection(self) -> None:
        """AutoConfigURL wins; the bit for WPAD is told apart."""
        found = self.found(9, AutoConfigURL="http://p/x.pac", ProxyEnable=0)
        self.assertEqual((found.pac_url, found.auto_detect), ("http://p/x.pac", True))
        self.assertFalse(self.found(1).auto_detect)

    def test_switched_off_or_missing(self) -> None:
        """An old value may stay behind."""
        self.assertFalse(self.found(ProxyEnable=0, ProxyServer="p:1").says_something)
        self.assertFalse(from_registry(FakeRegistry({})).says_something)
        self.assertFalse(from_winhttp(object()).says_something)


class RouteTests(SynchronousTestCase):
    """From the option to the ways."""

    def routes(self, text_: str) -> Any:
        """Routes for an option."""
        return routes_for(text_, reactor=Clock(), logins=Logins())

    def ways(self, routes: Any, scheme: str, host: str) -> list[Proxy]:
        """To port 443 of a host."""
        from twisted.internet.defer import Deferred

        return self.successResultOf(
            Deferred.fromCoroutine(routes.proxies_for(scheme, host, 443))
        )

    def test_each_form(self) -> None:
        """auto reads the environment first."""
        self.patch(os, "environ", {"https_proxy": "p:1", "no_proxy": ".corp"})
        auto = self.routes("auto")
        self.assertEqual(auto.describe(), "environment")
        self.assertEqual(self.ways(auto, "wss", "a.org"), [Proxy("http", "p", 1)])
        self.assertEqual(self.ways(auto, "https", "a.corp"), [DIRECT])
        self.assertEqual(self.ways(self.routes("direct"), "https", "a"), [DIRECT])
        fixed = self.routes("socks5h://s:1")
        self.assertEqual(self.ways(fixed, "https", "a"), [Proxy("socks5h", "s", 1)])

    def test_nothing_set(self) -> None:
        """Then it is direct, and it says so."""
        self.patch(os, "environ", {})
        self.assertFalse(found_here().says_something)
        self.assertEqual(self.ways(self.routes("auto"), "https", "a"), [DIRECT])
        self.assertIsInstance(
            SystemRoutes(found_here(), clock=lambda: 0.0).describe(), str
        )

    def test_scripts_have_a_prefix(self) -> None:
        """pac+https, pac+http, pac+file; nothing else."""
        self.assertIsInstance(self.routes("pac+https://p/x.pac"), PacRoutes)
        for wrong in ("pac+ftp://p/x", "http://u:secret@p:1", "gopher://p"):
            with self.assertRaises(ProxyTextError) as caught:
                self.routes(wrong)
            self.assertNotIn("secret", str(caught.exception))
