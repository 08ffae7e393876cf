"""Between the door and the relay: who gets TURN credentials."""

from __future__ import annotations

from mosaic.auth.turn_credentials import TurnSecrets


class CredentialDesk:
    """Mints in the form that the door asks for."""

    def __init__(self, secrets: TurnSecrets) -> None:
        self._secrets = secrets

    def mint(self, subject: str, *, now: float, ttl_s: int) -> tuple[str, str]:
        """User name and password."""
        made = self._secrets.mint(subject, now, ttl_s)
        return made.username, made.password
