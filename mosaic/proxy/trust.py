# mypy: disable-error-code="no-untyped-call"
# (Twisted's certificates have few annotations)
"""Whose certificates are believed: the platform's authorities, and ours."""

from __future__ import annotations

import re
from typing import Any

# The interface of what trustRootFromCertificates gives has no public name.
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.ssl import (
    Certificate,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


def authorities_in(pem: bytes) -> Any:
    """A trust root of all certificates of a PEM text. Raises ValueError, as the
    end of a sentence."""
    try:
        found = [Certificate.loadPEM(text) for text in _PEM.findall(pem)]
    except Exception as error:  # OpenSSL's own
        raise ValueError("holds a certificate that cannot be read") from error
    if not found:
        raise ValueError("is no certificate")
    return trustRootFromCertificates(found)


def platform_and(more: Any) -> Any:
    """The platform's authorities and those of another trust root, if any."""
    return None if more is None else _Both(more)


@implementer(IOpenSSLTrustRoot)
class _Both:
    def __init__(self, more: Any) -> None:
        self._roots = (platformTrust(), more)

    def _addCACertsToContext(self, context: Any) -> None:
        for root in self._roots:
            root._addCACertsToContext(context)
