"""What can be wrong with certificates. Loads no OpenSSL."""

from __future__ import annotations

from pathlib import Path


class CertificateError(Exception):
    """A certificate, a key or their folder cannot be used.

    path: the file or folder at fault. message: what is wrong and what to do,
    in one line.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"
