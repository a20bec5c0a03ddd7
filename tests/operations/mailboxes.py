"""A mailbox for the notifications of a station, and the automations registered so that they reach it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from operations.houses import House

Mailbox = tuple[str, list[str]]


@contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    """An address that takes notifications, and what was sent there."""
    letters: list[str] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            letters.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", letters
    server.shutdown()
    thread.join()
    server.server_close()


def register(house: House, *words: str) -> str:
    """Register the shipped automations; what the command said."""
    done = house.run("flows.cli", "automations", *words, **house.caller)
    return done.stdout + done.stderr


def notify(house: House, address: str) -> str:
    """Let the shipped automations write to an address; what the command said."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    block = CustomWebhookNotificationBlock(
        name="operators", url=address, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    block.save("operators", overwrite=True)
    return register(house, "--notify", "custom-webhook/operators")
