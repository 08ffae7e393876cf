"""The local page's texts, English and German."""

from __future__ import annotations

_EN = {
    "unenrolled": "Not enrolled",
    "offline": "No connection",
    "idle": "Ready",
    "joining": "Joining …",
    "meeting": "In a meeting",
    "presenting": "Presenting",
    "updating": "Updating: please leave the power on",
    "removed": "This hub was removed",
    "hub_id": "Hub ID",
    "offline_id": "Offline Hub ID",
    "address": "Address",
    "server": "Server",
    "version": "Version",
    "wrong": "What is wrong",
    "do": "What helps",
    "proxy": "User and password for the proxy",
    "enrol": "Enrol this hub",
    "enrol_hint": "An administrator makes an activation code: mosaic hub enrol-code",
    "code": "Activation code",
    "host": "Proxy (host, or host:port)",
    "user": "User",
    "password": "Password",
    "save": "Save and try again",
    "send": "Enrol",
    "back": "Back",
}
_DE = {
    "unenrolled": "Nicht angemeldet",
    "offline": "Keine Verbindung",
    "idle": "Bereit",
    "joining": "Tritt bei …",
    "meeting": "In einer Besprechung",
    "presenting": "Präsentiert",
    "updating": "Wird aktualisiert: bitte nicht ausschalten",
    "removed": "Dieser Hub wurde entfernt",
    "hub_id": "Hub-ID",
    "offline_id": "Hub-ID ohne Server",
    "address": "Adresse",
    "server": "Server",
    "version": "Version",
    "wrong": "Was nicht geht",
    "do": "Was hilft",
    "proxy": "Benutzer und Passwort für den Proxy",
    "enrol": "Diesen Hub anmelden",
    "enrol_hint": "Den Aktivierungscode macht ein Administrator: mosaic hub enrol-code",
    "code": "Aktivierungscode",
    "host": "Proxy (Host oder Host:Port)",
    "user": "Benutzer",
    "password": "Passwort",
    "save": "Speichern und neu versuchen",
    "send": "Anmelden",
    "back": "Zurück",
}


def words_for(locale: str) -> tuple[str, dict[str, str]]:
    """The language that is spoken for a locale, and its texts."""
    return ("de", _DE) if locale.lower().split("-")[0] == "de" else ("en", _EN)
