"""What values become in the table: on every kind of database, the very value that was sent, or nothing at all."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from contracts.loads import MakeTable, Table

from restock.chunks import WriteCounts

THINGS = """\
class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Thing(db.Model):
    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    word: Mapped[str | None] = mapped_column(sa.String(100))
    essay: Mapped[str | None] = mapped_column(sa.Text)
    letters: Mapped[str | None] = mapped_column(sa.CHAR(6))
    amount: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(18, 4))
    ratio: Mapped[float | None] = mapped_column(sa.Double)
    rough: Mapped[float | None] = mapped_column(sa.Float(24))
    large: Mapped[int | None] = mapped_column(sa.BigInteger)
    flag: Mapped[bool | None]
    day: Mapped[dt.date | None]
    clock: Mapped[dt.time | None]
    local: Mapped[dt.datetime | None]
    moment: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    span: Mapped[dt.timedelta | None]
    size: Mapped[Size | None]
    letter: Mapped[Size | None] = mapped_column(
        sa.Enum(Size, values_callable=lambda sizes: [size.value for size in sizes], native_enum=False)
    )
    code: Mapped[uuid.UUID | None]
    extra: Mapped[dict | None] = mapped_column(sa.JSON)
    image: Mapped[bytes | None] = mapped_column(sa.LargeBinary)


class Odd(db.Model):
    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column("select", sa.String(20), unique=True)
    price: Mapped[str | None] = mapped_column("Preis in €", sa.String(20))
    größe: Mapped[str | None] = mapped_column(sa.String(20))


class Stocked(db.Model):
    __tablename__ = "stocked"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    stock: Mapped[int | None] = mapped_column(server_default="7")
    shelf: Mapped[str | None] = mapped_column(sa.String(20), default="none yet")
    seen: Mapped[int | None] = mapped_column(sa.Integer, default=1, onupdate=2)


class Rounded(db.Model):
    __tablename__ = "rounded"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    span: Mapped[dt.timedelta | None]
    price: Mapped[float | None] = mapped_column(sa.Numeric(10, 2, asdecimal=False))
    moment: Mapped[dt.datetime | None]
"""

VALUES: dict[str, list[Any]] = {
    "word": [
        "tab\there",
        "line\nbreak\r\n",
        "back\\slash \\N \\.",
        "quote ' \" ` %s :x",
        "👟 日本 \u0301",
        "",
        " x ",
        "שלום עולם",
        "\u202bمرحبا abc 123\u202c\u200f",
    ],
    "essay": ["long " * 5_000, "NULL", "\\N"],
    "letters": ["ab", "abcdef", ""],
    "amount": [Decimal("12345678901.2345"), Decimal("-0.0001"), Decimal("0.1"), Decimal("1E+3"), Decimal(0)],
    "ratio": [0.1, 1 / 3, -1.5e10, 3.141592653589793, 0.0],
    "rough": [0.1, 1 / 3, 123456.789, 16777216.0],
    "large": [2**63 - 1, -(2**63), 0],
    "flag": [True, False],
    "day": [date(2024, 2, 29), date(1000, 1, 1), date(9999, 12, 31)],
    "clock": [time(0), time(23, 59, 59)],
    "local": [datetime(2026, 3, 29, 2, 30), datetime(1999, 12, 31, 23, 59, 59)],  # noqa: DTZ001 - naive is the point
    "span": [timedelta(days=1, hours=2), timedelta(0)],
    "size": ["SMALL", "LARGE"],
    "letter": ["s", "l"],
    "code": [uuid.UUID("12345678-1234-5678-9234-123456789012")],
    "extra": [{"größe": [1, 2.5, None, True], "a": {"b": "👟"}}, [], "text", 0, False],
    "image": [bytes(range(256)), b""],
}


@pytest.fixture
def things(make_table: MakeTable) -> Table:
    return make_table(THINGS, "Thing", match_on=[])


def records_of(things: Table) -> list[dict[str, Any]]:
    """Every value once, and a row of nothing."""
    moments = [datetime(2026, 3, 29, 1, 30, 15, tzinfo=UTC), datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)]
    if not things.sink.target.contract.fields["moment"].timezone:
        moments = [moment.replace(tzinfo=None) for moment in moments]
    cells = [(name, value) for name, values in {**VALUES, "moment": moments}.items() for value in values]
    nothing = dict.fromkeys([*VALUES, "moment"])
    return [{"id": 0, **nothing}] + [
        {"id": place, **nothing, name: value} for place, (name, value) in enumerate(cells, 1)
    ]


def test_every_value_arrives_as_it_was_sent(things: Table) -> None:
    records = records_of(things)

    things.load(records)

    seen = things.seen_by_app(*records[0])
    for record, row in zip(records, seen, strict=True):
        assert as_sent(row, things) == record


def as_sent(row: dict[str, Any], things: Table) -> dict[str, Any]:
    """What the app reads, in the form in which it was sent."""
    row = {**row, "size": row["size"] and row["size"].name, "letter": row["letter"] and row["letter"].value}
    if row["letters"] is not None:
        row["letters"] = row["letters"].rstrip()  # PostgreSQL fills CHAR up with blanks
    if row["moment"] is not None and row["moment"].tzinfo is not None:
        row["moment"] = row["moment"].astimezone(UTC)
    if row["rough"] is not None:  # 24 bits, of which MariaDB shows six digits
        [row["rough"]] = [value for value in VALUES["rough"] if value == pytest.approx(row["rough"], rel=1e-5)]
    return row


def test_a_second_load_of_every_kind_of_value_writes_no_row(things: Table) -> None:
    records = records_of(things)
    things.load(records)

    with things.recorded_writes() as writes:
        counts = things.load(records)

    assert (counts, writes) == (WriteCounts(unchanged=len(records)), [])


def test_what_a_column_rounds_is_unchanged_the_second_time(make_table: MakeTable) -> None:
    rounded = make_table(THINGS, "Rounded", match_on=[])
    record = {
        "id": 1,
        "span": timedelta(hours=2, microseconds=750_000),
        "price": 1.239,
        "moment": datetime(2026, 3, 29, 1, 30, 15, 999_999),  # noqa: DTZ001 - naive is the point
    }
    rounded.load([record])

    with rounded.recorded_writes() as writes:
        counts = rounded.load([record])

    assert (counts, writes) == (WriteCounts(unchanged=1), [])


def test_none_over_every_kind_of_value_becomes_null(things: Table) -> None:
    records = records_of(things)
    things.load(records)

    counts = things.load([dict.fromkeys(record) | {"id": record["id"]} for record in records])

    assert counts == WriteCounts(updated=len(records) - 1, unchanged=1)
    for name in records[0].keys() - {"id"}:
        assert things.shop.execute(f"SELECT id FROM thing WHERE {name} IS NOT NULL") == [], name


def test_none_is_null_in_a_new_row_of_every_kind_of_value(things: Table) -> None:
    [nothing, *_] = records_of(things)

    things.load([nothing])

    for name in nothing.keys() - {"id"}:
        assert things.shop.execute(f"SELECT id FROM thing WHERE {name} IS NOT NULL") == [], name


def test_a_small_difference_is_a_difference(things: Table) -> None:
    differences: list[tuple[str, Any, Any]] = [
        ("ratio", 0.5, 0.5001),
        ("rough", 100_000.5, 100_000.25),
        ("letters", "ab", "ac"),
        ("word", "x", "x "),
        ("word", "é", "e"),
        ("word", "A", "a"),
        ("size", "SMALL", "LARGE"),
        ("extra", {"a": 1}, {"a": 2}),
        ("extra", [1], None),
    ]
    nothing = dict.fromkeys(VALUES)
    things.load([{"id": place, **nothing, name: old} for place, (name, old, _) in enumerate(differences)])

    counts = things.load([{"id": place, **nothing, name: new} for place, (name, _, new) in enumerate(differences)])

    assert counts == WriteCounts(updated=len(differences))


def test_postgresql_keeps_the_moment_and_the_others_the_utc_clock(things: Table) -> None:
    spec = things.sink.target.contract.fields["moment"]

    assert spec.timezone == (things.sink.database.dialect == "postgresql")
    assert spec.fraction == (0 if things.sink.database.dialect == "mysql" else 6)


def test_names_may_be_reserved_words_or_not_ascii_and_differ_from_their_columns(make_table: MakeTable) -> None:
    odd = make_table(THINGS, "Odd", match_on=["code"])
    first = {"code": "a", "price": "1 €", "größe": "XL"}
    odd.load([first])

    counts = odd.load([first, {"code": "b", "price": None, "größe": "ß"}])

    assert counts == WriteCounts(inserted=1, unchanged=1)
    assert odd.rows("select", "Preis in €", "größe") == [
        {"select": "a", "Preis in €": "1 €", "größe": "XL"},
        {"select": "b", "Preis in €": None, "größe": "ß"},
    ]


def test_an_absent_column_gets_its_default_and_an_explicit_none_stays_null(make_table: MakeTable) -> None:
    stocked = make_table(THINGS, "Stocked", match_on=[])

    stocked.load([{"sku": "absent"}])
    stocked.load([{"sku": "null", "stock": None, "shelf": None}, {"sku": "one", "stock": 1, "shelf": "A"}])

    assert stocked.rows("sku", "stock", "shelf", "seen") == [
        {"sku": "absent", "stock": 7, "shelf": "none yet", "seen": 1},
        {"sku": "null", "stock": None, "shelf": None, "seen": 1},
        {"sku": "one", "stock": 1, "shelf": "A", "seen": 1},
    ]


def test_nulls_between_values_do_not_cut_the_insert_in_pieces(make_table: MakeTable) -> None:
    stocked = make_table(THINGS, "Stocked", match_on=[])

    with stocked.recorded_writes() as writes:
        stocked.load([{"sku": f"{n:03}", "stock": n if n % 2 else None, "shelf": None} for n in range(100)])

    assert len(writes) == (1 if stocked.writes_in_bulk else 100)


def test_an_update_applies_what_the_model_says_of_updates(make_table: MakeTable) -> None:
    stocked = make_table(THINGS, "Stocked", match_on=[])
    stocked.load([{"sku": "a", "stock": 1}])

    stocked.load([{"sku": "a", "stock": 2}])

    assert stocked.rows("stock", "seen") == [{"stock": 2, "seen": 2}]
