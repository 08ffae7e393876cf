"""Logs in over direct TLS, sends itself a message and hears it: a whole round trip.

Arguments: address, password, host, port, CA file.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from tests.support.slixmpp_asker import Asker

WITHIN_S = 15.0


async def main(jid: str, password: str, host: str, port: str, ca: str) -> None:
    """Prints the message."""
    client = Asker(jid, password, ca_file=ca)
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(message: Any) -> None:
        if not heard.done() and message["body"]:
            heard.set_result(str(message["body"]))

    client.add_event_handler("message", take)
    await client.log_in(int(port), host)
    client.send_message(mto=client.boundjid, mbody="hello", mtype="chat")
    sys.stdout.write(await asyncio.wait_for(heard, WITHIN_S) + "\n")
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
