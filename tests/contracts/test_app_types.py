"""Types as apps use and write them, by every writer on every kind of database: stored as the app would, and once."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from contracts.loads import MakeTable, open_table
from fix_shop import MakeShop

from restock.chunks import WriteCounts
from restock.csv_rules import CsvRules
from restock.records import to_records
from transforms.contract_check import cast

NOTED = """\
from sqlalchemy.dialects import postgresql

class Noted(db.Model):
    __tablename__ = "noted"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    plain: Mapped[dict | None] = mapped_column(sa.JSON)
    best: Mapped[dict | None] = mapped_column(sa.JSON().with_variant(postgresql.JSONB(), "postgresql"))
"""


def test_in_json_a_flag_is_no_number(make_table: MakeTable) -> None:
    noted = make_table(NOTED, "Noted", match_on=[])
    pairs: list[tuple[Any, Any]] = [({"v": 1}, {"v": True}), ([False], [0]), ({"a": [True]}, {"a": [1.0]}), (0, False)]
    old = [{"id": place, "plain": one, "best": one} for place, (one, _) in enumerate(pairs)]
    new = [{"id": place, "plain": other, "best": other} for place, (_, other) in enumerate(pairs)]
    noted.load(old)

    assert noted.load(new) == WriteCounts(updated=len(pairs))
    assert repr(noted.seen_by_app("id", "plain", "best")).replace("1.0", "1") == repr(new).replace("1.0", "1")
    assert noted.load(new) == WriteCounts(unchanged=len(pairs))


@pytest.mark.parametrize("one, other", [(1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1})])
def test_json_of_the_same_value_is_the_same(make_table: MakeTable, one: Any, other: Any) -> None:
    noted = make_table(NOTED, "Noted", match_on=[])
    noted.load([{"id": 1, "plain": one, "best": one}])

    assert noted.load([{"id": 1, "plain": other, "best": other}]) == WriteCounts(unchanged=1)


PAINTED = """\
class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = 2

class Painted(db.Model):
    __tablename__ = "painted"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    colour: Mapped[Colour | None] = mapped_column(sa.Enum(Colour, omit_aliases=False))
"""


def test_another_name_of_a_member_is_stored_as_the_app_stores_the_member(make_table: MakeTable) -> None:
    painted = make_table(PAINTED, "Painted", match_on=[])
    records = [{"id": n, "colour": word} for n, word in enumerate(["RED", "CRIMSON", "BLUE", None])]

    assert painted.load(records) == WriteCounts(inserted=4)
    assert [row["colour"] for row in painted.rows("colour", "id")] == ["RED", "RED", "BLUE", None]
    assert painted.load(records) == WriteCounts(unchanged=4)
    assert painted.load([{"id": 2, "colour": "CRIMSON"}]) == WriteCounts(updated=1)
    assert [row["colour"] for row in painted.rows("colour", "id")] == ["RED", "RED", "RED", None]


WRAPPED = """\
import json
from sqlalchemy.dialects import postgresql


class Wrapped(sa.types.TypeDecorator):
    impl = sa.JSON
    cache_ok = True


class Portable(sa.types.TypeDecorator):
    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect):
        is_there = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.JSONB() if is_there else sa.Text())


class Parcel(db.Model):
    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped: Mapped[dict | None] = mapped_column(Wrapped)
    portable: Mapped[str | None] = mapped_column(Portable)
"""


def test_none_is_null_also_in_json_behind_a_type_of_the_apps_own(make_table: MakeTable) -> None:
    parcels = make_table(WRAPPED, "Parcel", match_on=[])
    nothing = {"id": 1, "wrapped": None, "portable": None}
    parcels.load([nothing, {"id": 2, "wrapped": {"a": 1}, "portable": "x"}])

    assert parcels.load([nothing, nothing | {"id": 2}]) == WriteCounts(unchanged=1, updated=1)
    assert parcels.shop.execute("SELECT id FROM parcel WHERE wrapped IS NOT NULL OR portable IS NOT NULL") == []


DATED = """\
from sqlalchemy.dialects import sqlite

FORM = "%(day)02d/%(month)02d/%(year)04d %(hour)02d:%(minute)02d"
READ = r"(?P<day>\\d+)/(?P<month>\\d+)/(?P<year>\\d+) (?P<hour>\\d+):(?P<minute>\\d+)"


class Dated(db.Model):
    __tablename__ = "dated"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    made_at: Mapped[dt.datetime | None] = mapped_column(
        sa.DateTime().with_variant(sqlite.DATETIME(storage_format=FORM, regexp=READ), "sqlite")
    )
"""


def test_a_moment_is_stored_in_the_form_that_the_model_names_for_sqlite(make_table: MakeTable) -> None:
    dated = make_table(DATED, "Dated", match_on=[])
    record = {"id": 1, "made_at": datetime(2026, 2, 1, 12, 30)}  # noqa: DTZ001 - naive is the point
    with dated.admitted([1]) as [ref]:
        chunk = dated.chunk([record], ref)
        typed = chunk.frame.astype({"made_at": "timestamp[us][pyarrow]"})  # as a feed brings it

        assert dated.load_chunk(replace(chunk, frame=typed)) == WriteCounts(inserted=1)
    assert dated.seen_by_app("id", "made_at") == [record]
    assert dated.load([record]) == WriteCounts(unchanged=1)


STANDARD = """\
class Zoned(sa.types.TypeDecorator):
    # As the documentation of SQLAlchemy has it.
    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("tzinfo is required")
        return value.astimezone(dt.timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value, dialect):
        return value and value.replace(tzinfo=dt.timezone.utc)


class Token(db.Model):
    __tablename__ = "token"

    id: Mapped[str] = mapped_column(sa.Uuid(as_uuid=False), primary_key=True)
    other: Mapped[str | None] = mapped_column(sa.Uuid(as_uuid=False))
    made_at: Mapped[dt.datetime | None] = mapped_column(Zoned)
"""


def test_moments_that_need_a_zone_and_uuids_that_are_text_are_loaded_once(make_table: MakeTable) -> None:
    tokens = make_table(STANDARD, "Token", match_on=[])
    one, other = "12345678-1234-5678-9234-123456789012", "12345678-1234-5678-9234-123456789013"
    texts = pd.DataFrame({"id": [one.upper()], "other": [other], "made_at": ["2026-02-01T12:30:00Z"]}, index=[1])
    cells, faults = cast(texts, tokens.sink.target.contract, CsvRules())
    [record] = to_records(cells)

    assert faults == {}
    assert tokens.load([record]) == WriteCounts(inserted=1)
    assert tokens.seen_by_app("id", "other", "made_at") == [
        {"id": one, "other": other, "made_at": datetime(2026, 2, 1, 12, 30, tzinfo=UTC)}
    ]
    assert tokens.load([record]) == WriteCounts(unchanged=1)
    assert tokens.load([{**record, "other": one}]) == WriteCounts(updated=1)


UNREADABLE = {"plain": "", "made_at": "01/02/2026", "code": "n/a"}
KEPT = (
    NOTED
    + """\
    made_at: Mapped[dt.datetime | None]
    code: Mapped[uuid.UUID | None]
"""
)


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_stored_value_that_cannot_be_read_does_not_keep_its_chunk_from_loading(
    make_shop: MakeShop, sqlite_url: str, name: str, writer: str
) -> None:
    noted = open_table(make_shop(sqlite_url, KEPT), "Noted", match_on=[], writer=writer)
    sent = {"plain": {"a": 1}, "made_at": datetime(2026, 2, 1, 12), "code": uuid.UUID(int=1)}  # noqa: DTZ001 - naive
    records = [{"id": number, name: sent[name]} for number in (1, 2, 3)]
    noted.load(records[:2])
    noted.shop.execute(f"UPDATE noted SET {name} = :value WHERE id = 2", value=UNREADABLE[name])

    counts = noted.load(records)

    if noted.writes_in_bulk:
        assert counts == WriteCounts(inserted=1, updated=1, unchanged=1)
        assert noted.seen_by_app("id", name) == records
        assert noted.load(records) == WriteCounts(unchanged=3)
    else:  # the app cannot read the row either
        assert counts == WriteCounts(inserted=1, unchanged=1, rejected=1)
        [reject] = noted.rejects()
        assert reject.code in ("model:ValueError", "model:JSONDecodeError")


ENCODED = """\
import json


class Encoded(sa.types.TypeDecorator):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else json.dumps(value)

    def process_result_value(self, value, dialect):
        return None if value is None else json.loads(value)


class Listed(sa.types.TypeDecorator):
    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else ";".join(value)

    def process_result_value(self, value, dialect):
        return None if value is None else value.split(";")


class Sent(db.Model):
    __tablename__ = "sent"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    encoded: Mapped[dict | None] = mapped_column(Encoded)
    listed: Mapped[list | None] = mapped_column(Listed)
"""


def test_structures_that_the_apps_own_type_keeps_as_text_are_no_text(make_table: MakeTable) -> None:
    sent = make_table(ENCODED, "Sent", match_on=[])
    contract = sent.sink.target.contract
    cells = pd.DataFrame({"id": ["1", "2"], "encoded": ['{"a": [1, "x"]}', "no JSON"], "listed": [None, "ab"]})

    frame, faults = cast(cells.astype("string"), contract, CsvRules())

    assert {row: [(each.column, each.code) for each in found] for row, found in faults.items()} == {
        1: [("encoded", "json"), ("listed", "not_a_list")]
    }
    records = [*to_records(frame.loc[[0]]), {"id": 3, "encoded": {"b": None}, "listed": ["ab", "c"]}]
    assert sent.load(records) == WriteCounts(inserted=2)
    assert sent.seen_by_app("id", "encoded", "listed") == [
        {"id": 1, "encoded": {"a": [1, "x"]}, "listed": None},
        {"id": 3, "encoded": {"b": None}, "listed": ["ab", "c"]},
    ]
    assert [row["listed"] for row in sent.rows("id", "listed")] == [None, "ab;c"]
    assert sent.load(records) == WriteCounts(unchanged=2)
