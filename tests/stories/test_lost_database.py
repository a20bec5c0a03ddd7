"""The database goes away in the middle of a run, and comes back: a real server behind a line that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop
from stories.telling import check_conservation, counts, expected, products, statuses, sync, table

from flows.runs.progress import Progress
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, SinkUnavailable

NIGHT = products(range(1, 7))
DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306}


class Line:
    """A port of this machine that leads to a database server, until it is cut."""

    def __init__(self, server: sa.URL) -> None:
        self._server = server
        self.port = 0
        self._open: list[socket.socket] = []
        self.join()

    def join(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = self._dial()
            self._open += [near, far]
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=ends, daemon=True).start()

    def _dial(self) -> socket.socket:
        port = self._server.port or DEFAULT_PORTS[self._server.get_backend_name()]
        folder = self._server.query.get("host")
        if folder is None:
            return socket.create_connection((self._server.host or "127.0.0.1", port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(Path(str(folder)) / f".s.PGSQL.{port}"))
        return far


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(65536):
            sink.sendall(some)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class CutAfterFirstChunk(Progress):
    """Cuts the line as soon as a chunk is loaded."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        self.line.cut()


@pytest.fixture(params=["postgresql", "mariadb"])
def shop_behind_a_line(
    request: pytest.FixtureRequest, make_database: MakeDatabase, make_shop: MakeShop
) -> Iterator[tuple[Shop, Line]]:
    """A shop whose app reaches its database through a line; the shop's own engine goes there directly."""
    server = sa.make_url(make_database(request.param))
    line = Line(server)
    reached = server.set(host="127.0.0.1", port=line.port).difference_update_query(["host"])
    made = make_shop(reached.render_as_string(hide_password=False))
    engine = sa.create_engine(server)
    yield Shop(made.folder, made.package, engine), line
    engine.dispose()
    made.engine.dispose()
    line.cut()


def test_a_run_whose_database_goes_away_stops_with_a_sentence_and_goes_on_later(
    shop_behind_a_line: tuple[Shop, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.database.retries.AWAY_SECONDS", 1.0)
    monkeypatch.setattr("sinks.database.retries.LONGEST_PAUSE_SECONDS", 0.2)
    shop, line = shop_behind_a_line
    shop.feed(chunk_rows=2)
    shop.write_csv("products.csv", NIGHT)

    with pytest.raises(SinkUnavailable) as stopped:
        sync(shop, progress=CutAfterFirstChunk(line))

    [run] = shop.rows("restock_run")
    check_conservation(shop)
    assert statuses(shop, run["run_id"])[0] == "loaded"
    assert set(statuses(shop, run["run_id"])[1:]) <= {"planned", "loading"}
    assert table(shop) == expected(NIGHT[:2])
    assert "so start again when the database is back" in str(stopped.value)
    assert "\n" not in str(stopped.value)

    line.join()
    shop.execute("UPDATE restock_lease SET expires_at = 0")  # the lease of this living process runs out in a minute
    report = sync(shop)

    assert report.run.run_id == run["run_id"]
    assert counts(report) == {"inserted": 6}
    assert table(shop) == expected(NIGHT)
