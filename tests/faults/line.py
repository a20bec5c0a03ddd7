"""A port of this machine that leads to a database server, and loses what a test tells it to lose."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306}
# Both drivers send it in plain words, and nothing else in a load holds the word.
COMMIT = b"COMMIT"

Lost = Literal["request", "reply"]


class Line:
    """Forwards connections; each loss is planned, happens once, and cuts the connection it happens on."""

    def __init__(self, server: sa.URL) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._commit: tuple[int, Lost] | None = None
        self._bytes: int | None = None
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The server's address, by way of this line."""
        reached = self._server.set(host="127.0.0.1", port=self.port).difference_update_query(["host"])
        return reached.render_as_string(hide_password=False)

    def lose_commit(self, number: int, what: Lost) -> None:
        """Lose the n-th COMMIT from now, or the answer to it."""
        self.lost = 0
        self._commit = (number, what)

    def lose_after(self, count: int) -> None:
        """Cut the connection that sends the n-th byte from now, right after that byte."""
        self.lost = 0
        self._bytes = count

    def lose_nothing(self) -> None:
        """Forget what was planned."""
        self._commit = self._bytes = None

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = self._dial()
            except OSError:
                near.close()  # the server is down, and so is the line
                continue
            answer_is_lost = threading.Event()
            threading.Thread(target=self._send, args=(near, far, answer_is_lost), daemon=True).start()
            threading.Thread(target=_answer, args=(far, near, answer_is_lost), daemon=True).start()

    def _dial(self) -> socket.socket:
        port = self._server.port or DEFAULT_PORTS[self._server.get_backend_name()]
        folder = self._server.query.get("host")
        if folder is None:
            return socket.create_connection((self._server.host or "127.0.0.1", port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(Path(str(folder)) / f".s.PGSQL.{port}"))
        return far

    def _send(self, near: socket.socket, far: socket.socket, answer_is_lost: threading.Event) -> None:
        with suppress(OSError):
            while some := near.recv(65536):
                kept, fate = self._fate(some)
                if fate == "reply":
                    answer_is_lost.set()
                far.sendall(kept)
                if fate == "request":
                    break
        _cut(far) if answer_is_lost.is_set() else _cut(near, far)

    def _fate(self, some: bytes) -> tuple[bytes, Lost | None]:
        with self._lock:
            if self._bytes is not None:
                self._bytes -= len(some)
                if self._bytes <= 0:
                    kept, self._bytes = some[: len(some) + self._bytes], None
                    self.lost += 1
                    return kept, "request"
            if self._commit is not None and COMMIT in some:
                left, what = self._commit[0] - some.count(COMMIT), self._commit[1]
                self._commit = (left, what) if left > 0 else None
                if left <= 0:
                    self.lost += 1
                    return (b"" if what == "request" else some), what
        return some, None


def _answer(far: socket.socket, near: socket.socket, is_lost: threading.Event) -> None:
    with suppress(OSError):
        while some := far.recv(65536):
            if is_lost.is_set():
                break
            near.sendall(some)
    _cut(near, far)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
