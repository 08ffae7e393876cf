"""The first words: how to come in."""

from __future__ import annotations

import io

from mosaic.app.addresses import Addresses
from mosaic.workspace.model import Room


def banner(
    addresses: Addresses,
    *,
    version: str,
    state: str,
    room: Room | None,
    setup_code: str | None,
    qr: bool,
) -> str:
    """What a person sees at start: URLs, a room, and the first link.

    qr: draw the join link as a QR code of block characters.
    """
    lines = ["", f"  ▚ Mosaic {version} is up", ""]
    if addresses.local_url:
        lines.append(f"    On this machine   {addresses.local_url}/")
    if addresses.https_url:
        lines.append(f"    For everybody     {addresses.https_url}/")
        lines.append(f"    Certificates      {state}/tls/ca.pem (trust it once)")
    if room:
        lines += ["", f"  {room.name}", ""]
        lines.append(f"    Hub ID  {_grouped(room.hub_id)}    PIN  {room.pin}")
        lines.append(f"    Join    {addresses.join_url(room.hub_id, room.pin)}")
        if qr:
            lines += ["", _qr(addresses.join_url(room.hub_id, room.pin))]
    if setup_code:
        lines += ["", "  Make yourself the administrator (this link works once):", ""]
        lines.append(f"    {addresses.base_url}/admin#setup={setup_code}")
    return "\n".join([*lines, "", ""])


def _grouped(hub_id: str) -> str:
    return " ".join(hub_id[at : at + 3] for at in range(0, len(hub_id), 3))


def _qr(text: str) -> str:
    import segno

    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, compact=True, border=2)
    return "\n".join(f"    {line}" for line in out.getvalue().rstrip().splitlines())
