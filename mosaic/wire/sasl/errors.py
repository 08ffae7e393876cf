"""Why a SASL exchange failed, in the words of RFC 6120 section 6.5."""

from __future__ import annotations


class SaslError(Exception):
    """The exchange is over. condition: an RFC 6120 section 6.5 element name."""

    condition = "not-authorized"


class MalformedRequest(SaslError):
    """A message breaks the grammar of its mechanism."""

    condition = "malformed-request"


class IncorrectEncoding(SaslError):
    """A message is not base64 as RFC 4648 section 4 writes it."""

    condition = "incorrect-encoding"


class NotAuthorized(SaslError):
    """Wrong proof, wrong channel binding or a downgrade: all alike."""

    condition = "not-authorized"


class InvalidAuthzid(SaslError):
    """The wished identity is not the one that logged in."""

    condition = "invalid-authzid"


class InvalidMechanism(SaslError):
    """The mechanism was not offered."""

    condition = "invalid-mechanism"


class TemporaryAuthFailure(SaslError):
    """Backed off, or the accounts cannot be read now."""

    condition = "temporary-auth-failure"


class Aborted(SaslError):
    """The peer gave up (RFC 6120 section 6.4.4)."""

    condition = "aborted"


class CredentialsExpired(SaslError):
    """The token was good once."""

    condition = "credentials-expired"
