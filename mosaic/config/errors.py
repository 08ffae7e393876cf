"""What is raised when the configuration is wrong."""

from __future__ import annotations


class ConfigError(Exception):
    """Something in the configuration is wrong.

    path: the key in dotted form ("turn.relay_ports"), the flag ("--port") or
    the file. message: what is wrong with which value, and what to do.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
