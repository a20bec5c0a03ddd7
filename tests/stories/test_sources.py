"""Whole nights of sources that are more than one plain file: they differ, are packed, or lie behind an address."""

from __future__ import annotations

import gzip
import http.server
import importlib
import json
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fix_shop import MakeShop
from shops import Shop
from stories.telling import LEDGER, counts, expected, product, products, sync, table

from restock.errors import ConfigurationError

SCHEMA = pa.schema(
    [("sku", pa.string()), ("name", pa.string()), ("price", pa.decimal128(12, 2)), ("stock", pa.int64())]
)


def typed(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    return [row | {"price": Decimal(row["price"]), "stock": int(row["stock"])} for row in rows]


def test_the_rows_of_a_file_whose_types_drifted_are_named_and_the_others_load(sqlite_shop: Shop) -> None:
    """Situation 14: the price of the second branch became a float."""
    (sqlite_shop.folder / "branches").mkdir()
    sqlite_shop.feed(source="branches", on_drift="reject")
    sqlite_shop.write_parquet("branches/1.parquet", typed(products([1, 2])), SCHEMA)
    drifted = SCHEMA.set(2, pa.field("price", pa.float64()))
    rows = [row | {"price": float(str(row["price"]))} for row in typed(products([2, 3]))]
    sqlite_shop.write_parquet("branches/2.parquet", rows, drifted)
    sqlite_shop.write_parquet("branches/3.parquet", typed(products([5])), SCHEMA)

    report = sync(sqlite_shop)

    assert counts(report) == {"inserted": 3, "rejected": 2}
    assert table(sqlite_shop) == expected(products([1, 2, 5]))
    rejects = sqlite_shop.rows("restock_reject")
    assert [(each["position"], each["code"]) for each in rejects] == [(3, "drift"), (4, "drift")]
    assert "2.parquet is a float (double) and was an exact number (decimal128(12, 2)) before" in rejects[0]["value"]
    assert json.loads(rejects[0]["original"])["sku"] == "S-002"  # and none of the good ones lost to it


def test_a_new_column_is_left_out_and_listed_and_refused_where_the_feed_does_not_say_so(sqlite_shop: Shop) -> None:
    """Situation 14: a column that is new in the second file is neither dropped in silence nor a reason to stop."""
    sqlite_shop.feed(source="*.csv", on_drift="ignore_new")
    sqlite_shop.write_csv("1.csv", [product(1)])
    sqlite_shop.write_csv("2.csv", [product(2) | {"colour": "red"}])

    report = sync(sqlite_shop)

    assert counts(report) == {"inserted": 2}
    assert report.run.ignored_columns == ["colour"]


def test_a_folder_of_packed_files_is_one_source(sqlite_shop: Shop) -> None:
    (sqlite_shop.folder / "in").mkdir()
    sqlite_shop.feed(source="in")
    for number in (1, 2):
        path = sqlite_shop.write_csv(f"in/{number}.csv", [product(number)])
        path.with_name(f"{number}.csv.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()

    assert counts(sync(sqlite_shop)) == {"inserted": 2}
    assert counts(sync(sqlite_shop)) == {"unchanged": 2}
    assert table(sqlite_shop) == expected(products([1, 2]))


@pytest.fixture
def site(sqlite_shop: Shop) -> Iterator[str]:
    """The address of a server of the shop's folder that tags what it gives by its content."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = (sqlite_shop.folder / self.path.partition("?")[0].strip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hash(content)}"')
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_feed_behind_a_signed_address_is_loaded_and_its_signature_is_nowhere(
    sqlite_shop: Shop, site: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RESTOCK_SOURCE_ROOTS", f"{site}/out/")
    (sqlite_shop.folder / "out").mkdir()
    sqlite_shop.feed(source=f"{site}/out/products.csv?signature=4711")
    sqlite_shop.write_csv("out/products.csv", products([1, 2]))

    first = sync(sqlite_shop)
    again = sync(sqlite_shop)

    assert counts(first) == {"inserted": 2}
    assert counts(again) == {"unchanged": 2}
    assert (first.run.generation, again.run.generation) == (1, 1)
    assert first.run.source == f"{site}/out/products.csv"
    ledger = [row for each in LEDGER for row in sqlite_shop.rows(each)]
    assert "4711" not in f"{ledger} {caplog.text} {first} {again}"


def test_a_delta_behind_addresses_that_differ_in_their_query_is_refused(
    sqlite_shop: Shop, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTOCK_SOURCE_ROOTS", site)
    sqlite_shop.feed(kind="delta", source=[f"{site}/products.csv?page={page}" for page in (1, 2)])
    sqlite_shop.write_csv("products.csv", products([1]))

    with pytest.raises(ConfigurationError, match=r"several files called .*/products\.csv, .* queries of one address"):
        sync(sqlite_shop)

    assert table(sqlite_shop) == {}


TYPES = """\
class Thing(db.Model):
    sku = mapped_column(sa.String(20), primary_key=True)
    exact = mapped_column(sa.Numeric(38, 4))
    big = mapped_column(sa.Numeric(20, 0))
    half = mapped_column(sa.Float)
    seen = mapped_column(sa.DateTime(timezone=True))
    opens = mapped_column(sa.Time)
    delivery = mapped_column(sa.Interval)
    note = mapped_column(sa.String(50))
    tags = mapped_column(sa.JSON)
    number = mapped_column(sa.Uuid)
    blank = mapped_column(sa.String(5))
"""


@pytest.mark.parametrize("rows", [1, 1000])
def test_every_type_of_parquet_arrives_exactly_and_a_second_night_changes_nothing(
    make_shop: MakeShop, database_url: str, rows: int
) -> None:
    shop = make_shop(database_url, TYPES)
    shop.feed(source="things.parquet", model=shop.model("Thing"), match_on=[], chunk_rows=rows)
    exact = "12345678901" if shop.engine.dialect.name == "sqlite" else "1234567890123456789012345678901234"
    things = pa.table(
        {
            "sku": pa.array([b"00123", b"NA"]).cast(pa.binary()),
            "exact": pa.array([Decimal(f"{exact}.5000"), None], pa.decimal256(60, 4)),
            "big": pa.array([2**64 - 1 if shop.engine.dialect.name != "sqlite" else 2**49, None], pa.uint64()),
            "half": pa.array([1.5, None], pa.float16()),
            "seen": pa.array([253_370_764_800_000, None], pa.timestamp("ms", "Europe/Berlin")),
            "opens": pa.array([7 * 3_600 * 10**9 + 1_000, None], pa.time64("ns")),
            "delivery": pa.array([93_784, None], pa.duration("s")),
            "note": pa.array(["größe", None]).dictionary_encode(),
            "tags": pa.array([[{"lang": "de", "text": "Schuh"}], None]),
            "number": pa.array([b"a" * 16, None], pa.uuid()),
            "blank": pa.nulls(2),
        }
    )
    pq.write_table(things, shop.folder / "things.parquet")

    assert counts(sync(shop)) == {"inserted": 2}
    assert counts(sync(shop)) == {"unchanged": 2}
    package, models = (importlib.import_module(name) for name in (shop.package, f"{shop.package}.models"))
    with package.create_app().app_context():
        thing = models.db.session.get(models.Thing, "00123")
        found = {name: getattr(thing, name) for name in things.column_names}
    assert found["seen"].replace(tzinfo=UTC) == datetime(9999, 1, 1, tzinfo=UTC)
    assert found | {"seen": None} == {
        "sku": "00123",
        "exact": Decimal(f"{exact}.5"),
        "big": 2**64 - 1 if shop.engine.dialect.name != "sqlite" else 2**49,
        "half": 1.5,
        "seen": None,
        "opens": time(7, 0, 0, 1 if shop.engine.dialect.name != "mysql" else 0),
        "delivery": timedelta(days=1, hours=2, minutes=3, seconds=4),
        "note": "größe",
        "tags": [{"lang": "de", "text": "Schuh"}],
        "number": uuid.UUID(bytes=b"a" * 16),
        "blank": None,
    }
