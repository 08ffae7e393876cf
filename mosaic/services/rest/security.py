"""Headers that every answer carries (research: T12, T17)."""

from __future__ import annotations

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        # Excalidraw and TipTap set styles on elements and add style elements.
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self' blob:",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
"""No inline script, no third party. 'self' covers wss: at the same host."""

HUB_POLICY = CONTENT_SECURITY_POLICY.replace(
    "connect-src 'self'", "connect-src 'self' http://127.0.0.1:*"
)
"""For /hub alone: a screen tells the agent on its own box what it shows."""

SANDBOX_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""For files that people uploaded and for machine-readable answers."""

SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    (
        "Permissions-Policy",
        "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
HSTS = ("Strict-Transport-Security", "max-age=31536000")
"""Only on TLS (RFC 6797 section 7.2)."""


def security_headers(*, secure: bool) -> tuple[tuple[str, str], ...]:
    """The headers for an answer; secure: it goes over TLS."""
    return (*SECURITY_HEADERS, HSTS) if secure else SECURITY_HEADERS
