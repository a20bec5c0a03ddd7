"""Rows as PostgreSQL's COPY takes and gives them: where each begins and ends, and that none is left behind."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from contracts.loads import open_table
from fix_databases import MakeDatabase, asking
from fix_shop import MakeShop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.chunks import WriteCounts
from sinks.rows.encoding import EncodedRows, encode
from sinks.rows.postgresql_copy import copy_in, copy_out

pytest.importorskip("pgpq", reason="comes with restock[postgresql]")

TYPES = {
    "key": "int8",
    "word": "text",
    "price": "numeric",
    "count": "int4",
    "is_new": "bool",
    "weight": "float8",
    "seen": "timestamp",
}
ARROW = {
    "key": pa.int64(),
    "word": pa.large_string(),
    "price": pa.decimal128(12, 2),
    "count": pa.int32(),
    "is_new": pa.bool_(),
    "weight": pa.float64(),
    "seen": pa.timestamp("us"),
}
VALUES = {
    "word": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    "price": st.decimals(Decimal("-9999999999.99"), Decimal("9999999999.99"), places=2),
    "count": st.integers(-(2**31), 2**31 - 1),
    "is_new": st.booleans(),
    "weight": st.floats(allow_nan=False),
    "seen": st.integers(0, 2**50),
}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), max_size=20)

HALVES = (slice(0, 3_210), slice(3_210, None))

REAL = """\
class Thing(db.Model):
    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    weight: Mapped[float | None] = mapped_column(sa.REAL)
"""


def columns_of(rows: list[dict[str, Any]]) -> dict[str, pd.Series]:
    numbered = [{"key": place, **row} for place, row in enumerate(rows)]
    cells = {name: pa.array([row[name] for row in numbered], type_) for name, type_ in ARROW.items()}
    return {name: pd.Series(pd.arrays.ArrowExtensionArray(values)) for name, values in cells.items()}


def encoded(rows: list[dict[str, Any]]) -> EncodedRows:
    found = encode(columns_of(rows), TYPES, None)
    assert found is not None
    return found


def parsed(whole: memoryview, fields: int) -> list[bytes]:
    """The rows of encoded bytes, read from the first to the last."""
    rows, at = [], 0
    while at < len(whole):
        start = at
        assert struct.unpack_from("!h", whole, at) == (fields,)
        at += 2
        for _ in range(fields):
            [size] = struct.unpack_from("!i", whole, at)
            at += 4 + max(size, 0)
        rows.append(bytes(whole[start:at]))
    return rows


def test_rows_beyond_those_encoded_at_a_time_are_the_same_as_by_themselves() -> None:
    rows: list[dict[str, Any]] = [
        dict.fromkeys(VALUES) | {"word": None if place % 7 == 0 else "d" * (place % 11), "price": Decimal(place)}
        for place in range(12_345)
    ]
    words, numbers = {"word": "text"}, {"price": "numeric"}

    for types in (words, numbers, words | numbers):
        columns = {name: columns_of(rows)[name] for name in types}
        whole = encode(columns, types, None)
        halves = [encode({n: cells.iloc[part] for n, cells in columns.items()}, types, None) for part in HALVES]

        assert whole is not None
        assert bytes(whole.whole) == b"".join(bytes(half.whole) for half in halves if half is not None)
        assert len(parsed(whole.whole, len(types))) == len(rows)


@given(ROWS)
def test_each_row_is_known_by_itself(rows: list[dict[str, Any]]) -> None:
    found = encoded(rows)

    assert parsed(found.whole, len(TYPES)) == ([] if found.rows is None else found.rows.to_pylist())
    assert len(parsed(found.whole, len(TYPES))) == len(rows)


@given(st.integers(1, 18), st.integers(0, 18), st.data())
def test_of_numbers_of_any_precision_it_is_known_how_long_they_are(
    digits: int, scale: int, data: st.DataObject
) -> None:
    most = Decimal(10**digits - 1).scaleb(-min(scale, digits))
    numbers = data.draw(st.lists(st.none() | st.decimals(-most, most, places=min(scale, digits)), min_size=1))
    values = pd.Series(pd.arrays.ArrowExtensionArray(pa.array(numbers, pa.decimal128(digits, min(scale, digits)))))

    found = encode({"number": values}, {"number": "numeric"}, None)

    assert found is not None
    if digits + -min(scale, digits) % 4 <= 18:
        assert found.rows is not None
        assert found.rows.to_pylist() == parsed(found.whole, 1)


def test_rows_whose_numbers_are_longer_than_can_be_told_are_only_sent_together() -> None:
    values = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([Decimal(10**30)], pa.decimal128(38, 0))))

    found = encode({"number": values}, {"number": "numeric"}, None)

    assert found is not None
    assert found.rows is None
    assert len(parsed(found.whole, 1)) == 1


def test_some_rows_are_taken_out_and_numbered() -> None:
    rows: list[dict[str, Any]] = [dict.fromkeys(VALUES) | {"word": word} for word in ("a", None, "", "d" * 300)]
    found = encoded(rows)

    some, numbered = np.array([3, 1]), np.array([70, -2])

    assert found.rows is not None
    wanted = [found.rows[place].as_py() for place in some]
    assert parsed(found.some(some), len(TYPES)) == wanted
    before = [struct.pack("!hiq", len(TYPES) + 1, 8, number) for number in numbered]
    assert parsed(memoryview(found.numbered(some, numbered)), len(TYPES) + 1) == [
        prefix + row[2:] for prefix, row in zip(before, wanted, strict=True)
    ]


@pytest.mark.parametrize("value", [1e300, -1e300, 1e-320])
def test_what_a_real_cannot_hold_is_not_made_something_else(value: float) -> None:
    fitting = pd.Series([1.5, None, 0.0, 3e38])

    assert encode({"weight": fitting}, {"weight": "float4"}, None) is not None
    assert encode({"weight": pd.Series([1.5, value])}, {"weight": "float4"}, None) is None


@pytest.fixture
def table(make_database: MakeDatabase) -> Iterator[tuple[sa.Connection, sa.TableClause]]:
    engine = sa.create_engine(make_database("postgresql"))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE thing (key bigint, word text, price numeric(12, 2), count integer, is_new boolean, "
            "weight double precision, seen timestamp)"
        )
        yield connection, sa.table("thing", *(sa.column(name, sa.Text()) for name in TYPES))
    engine.dispose()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(rows=ROWS)
def test_what_was_copied_in_comes_out_in_the_same_bytes(
    table: tuple[sa.Connection, sa.TableClause], rows: list[dict[str, Any]]
) -> None:
    connection, thing = table
    connection.exec_driver_sql("TRUNCATE thing")

    assert copy_in(connection, thing, columns_of(rows))

    stored = copy_out(connection, f"SELECT {', '.join(TYPES)} FROM thing ORDER BY key").to_pylist()
    assert stored[:-1] == parsed(encoded(rows).whole, len(TYPES))
    assert stored[-1] == b"\xff\xff"  # the end of the copy


MANY = "SELECT CAST(n AS bigint), CAST(n % 7 AS text) FROM generate_series(1, 40000) AS n"


def test_many_rows_come_out_whole_and_in_order(table: tuple[sa.Connection, sa.TableClause]) -> None:
    connection, _ = table

    stored = copy_out(connection, MANY)

    assert [struct.unpack("!hiqi", row[:18])[2] for row in stored.to_pylist()[:-1]] == list(range(1, 40_001))
    assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_what_ends_a_reading_halfway_is_the_error_of_the_database(
    table: tuple[sa.Connection, sa.TableClause],
) -> None:
    connection, _ = table
    with pytest.raises(sa.exc.DataError, match="division by zero"), connection.begin_nested():
        copy_out(connection, MANY.replace("n % 7", "1 / (39999 - n)"))

    assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_text_is_stored_as_it_was_sent_on_a_connection_that_is_not_in_utf_8(
    make_shop: MakeShop, postgresql_url: str
) -> None:
    products = open_table(make_shop(asking(postgresql_url, "client_encoding=latin1")))
    cafe = [{"sku": "A", "name": "Caf\u00e9"}]

    assert products.load(cafe) == WriteCounts(inserted=1)

    assert products.shop.execute("SELECT char_length(name) AS letters FROM product") == [{"letters": 4}]
    assert products.load(cafe) == WriteCounts(unchanged=1)


def test_what_a_real_cannot_hold_is_a_reject(make_shop: MakeShop, postgresql_url: str) -> None:
    things = open_table(make_shop(postgresql_url, REAL), "Thing", match_on=[])

    counts = things.load([{"id": 1, "weight": 1e300}, {"id": 2, "weight": 1e-320}, {"id": 3, "weight": 1.5}])

    assert counts == WriteCounts(inserted=1, rejected=2)
    assert things.rows() == [{"id": 3, "weight": 1.5}]
    assert {each.code for each in things.rejects()} == {"out_of_range"}
