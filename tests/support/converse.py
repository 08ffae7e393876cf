"""A page with converse.js, served by the test and by nobody else."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Converse</title>
<link rel="stylesheet" href="/converse.min.css">
<script type="module" src="/converse.min.js"></script></head>
<body class="converse-fullscreen"><script type="module">
converse.plugins.add("peek", {{ initialize() {{ window.peek = this._converse; }} }});
converse.initialize({settings});
</script></body></html>
"""


class ConversePage:
    """The built files of the package, and a page with these settings.

    dist: the package's folder. url: where the page is.
    """

    def __init__(self, dist: Path, **settings: Any) -> None:
        settings = {
            "assets_path": "/",
            "authentication": "login",
            "auto_login": True,
            "auto_reconnect": True,
            "discover_connection_methods": False,
            "i18n": "en",
            "keepalive": True,
            "loglevel": "warn",
            "view_mode": "fullscreen",
            "whitelisted_plugins": ["peek"],
            **settings,
        }
        page = PAGE.format(settings=json.dumps(settings)).encode()

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                """The page, or a file."""
                if self.path.partition("?")[0] != "/":
                    return super().do_GET()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)
                return None

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        handler = partial(Handler, directory=str(dist))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """No more."""
        self._server.shutdown()
        self._server.server_close()
