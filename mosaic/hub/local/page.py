"""HTML of the local page: no script, nothing from elsewhere, large enough to be
read from across the room."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from time import localtime, strftime

from mosaic.hub.local.words import words_for
from mosaic.hub.netfound import Found
from mosaic.workspace.ids import format_hub_id, format_offline_hub_id

REFRESH_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """What there is to show; the same as JSON at `state`."""

    state: str
    name: str = ""
    hub_id: str | None = None
    offline_id: str | None = None
    address: str | None = None
    server: str = ""
    reached: bool = False
    room: str | None = None
    problem: str | None = None
    advice: str = ""
    version: str = ""
    locale: str = "en"
    network: Found | None = None
    checking: bool = False

    def as_json(self) -> dict[str, object]:
        """All of it."""
        return asdict(self)


def state_page(wall: Wall) -> str:
    """The first page; it asks again every few seconds."""
    language, words = words_for(wall.locale)
    title = wall.name or words["enrol" if wall.state == "unenrolled" else "hub_id"]
    rows = []
    if wall.hub_id:
        rows.append(_row(words["hub_id"], format_hub_id(wall.hub_id), large=True))
    if wall.offline_id and not wall.reached:
        shown = format_offline_hub_id(wall.offline_id)
        rows.append(_row(words["offline_id"], shown, large=not wall.hub_id))
    if wall.address:
        rows.append(_row(words["address"], wall.address))
    rows.append(_row(words["server"], wall.server))
    trouble = ""
    if wall.problem:
        trouble = f"<h2>{words['wrong']}</h2><p>{escape(wall.problem)}</p>"
        if wall.advice:
            trouble += f"<h2>{words['do']}</h2><p>{escape(wall.advice)}</p>"
        trouble = f'<section class="trouble">{trouble}</section>'
    found = wall.network
    if found is not None and (not wall.reached or (found.bad and not found.over)):
        trouble += network_part(found, words)
    links = ""
    if wall.state in ("unenrolled", "removed"):
        links += f'<a href="enrol">{words["enrol"]}</a>'
    if not wall.reached:
        links += f'<a href="proxy">{words["proxy"]}</a>'
    check = words["checking"] if wall.checking else words["check"]
    off = " disabled" if wall.checking else ""
    body = (
        f'<div><p class="state">{words.get(wall.state, escape(wall.state))}</p>'
        f"<h1>{escape(title)}</h1><dl>{''.join(rows)}</dl></div>"
        f'<div class="news">{trouble}</div>'
        f'<nav>{links}<form method="post" action="check">'
        f'<button class="quiet"{off}>{check}</button></form></nav>'
        f"<footer>Mosaic {escape(wall.version)}</footer>"
    )
    again = f'<meta http-equiv="refresh" content="{REFRESH_S}">'
    return _document(language, title, body, head=again)


def network_part(found: Found, words: dict[str, str]) -> str:
    """Each capability in one word, and one line of advice; what several need is
    said once."""
    rows, said = "", ""
    for each in found.report.verdicts:
        if each.outcome == "skipped":
            continue
        name = words.get(f"network_{each.capability}", each.capability)
        line = words[f"outcome_{each.outcome}"]
        if each.outcome != "ok" and each.advice != said:
            said = each.advice
            line += f": {said}"
        rows += f'<div class="{each.outcome}"><dt>{escape(name)}</dt>'
        rows += f"<dd>{escape(line)}</dd></div>"
    when = strftime("%H:%M", localtime(found.at))
    title = f"{words['network']} · {when}"
    return f'<section class="network"><h2>{title}</h2><dl>{rows}</dl></section>'


def proxy_form(wall: Wall, *, host: str, said: str = "") -> str:
    """User and password for one proxy."""
    language, words = words_for(wall.locale)
    fields = (
        _field("host", words["host"], value=host)
        + _field("user", words["user"])
        + _field("password", words["password"], kind="password")
    )
    return _form(language, words["proxy"], "proxy", fields, words["save"], said, words)


def enrol_form(wall: Wall, *, said: str = "") -> str:
    """An activation code."""
    language, words = words_for(wall.locale)
    fields = f"<p>{escape(words['enrol_hint'])}</p>" + _field("code", words["code"])
    return _form(language, words["enrol"], "enrol", fields, words["send"], said, words)


def _form(
    language: str,
    title: str,
    action: str,
    fields: str,
    button: str,
    said: str,
    words: dict[str, str],
) -> str:
    told = f'<p class="trouble" role="alert">{escape(said)}</p>' if said else ""
    body = (
        f"<h1>{title}</h1>{told}"
        f'<form method="post" action="{action}">{fields}'
        f"<button>{button}</button></form>"
        f'<nav><a href="./">{words["back"]}</a></nav>'
    )
    return _document(language, title, body)


def _field(name: str, label: str, *, kind: str = "text", value: str = "") -> str:
    return (
        f'<label>{label}<input name="{name}" type="{kind}" value="{escape(value)}"'
        ' autocomplete="off" autocapitalize="off" spellcheck="false" required></label>'
    )


def _row(name: str, value: str, *, large: bool = False) -> str:
    mark = ' class="large"' if large else ""
    return f"<div{mark}><dt>{name}</dt><dd>{escape(value)}</dd></div>"


def _document(language: str, title: str, body: str, *, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">{head}'
        f"<title>{escape(title)}</title>"
        f'<link rel="stylesheet" href="hub.css"></head>'
        f"<body><main>{body}</main></body></html>"
    )
