"""By what a record and a row are one: keys of every shape, on every kind of database."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from decimal import Decimal

import pytest
from contracts.loads import MakeTable, make_items, open_table
from fix_shop import MakeShop

from restock.chunks import WriteCounts
from restock.errors import ConfigurationError

KEYS = """\
class Price(db.Model):
    __tablename__ = "price"

    shop: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 2))


class Tag(db.Model):
    __tablename__ = "tag"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    word: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


class Token(db.Model):
    __tablename__ = "token"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    word: Mapped[str] = mapped_column(sa.String(20))


class Season(db.Model):
    __tablename__ = "season"

    begins: Mapped[dt.date] = mapped_column(primary_key=True)
    rate: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(5, 2), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(20))
"""

TICKET = """\
class Ticket(db.Model):
    __tablename__ = "ticket"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True, server_default=sa.text("(hex(randomblob(8)))"))
    word: Mapped[str] = mapped_column(sa.String(20))
"""


def test_a_composite_primary_key_is_matched_as_a_whole(make_table: MakeTable) -> None:
    prices = make_table(KEYS, "Price", match_on=[])
    prices.load([{"shop": "a", "number": 1, "amount": Decimal("1.00")}, {"shop": "b", "number": 2, "amount": None}])

    counts = prices.load([{"shop": s, "number": n, "amount": Decimal("5.00")} for s in "ab" for n in (1, 2)])

    assert counts == WriteCounts(inserted=2, updated=2)
    assert prices.rows() == [{"shop": s, "number": n, "amount": Decimal("5.00")} for s in "ab" for n in (1, 2)]


def test_a_record_that_is_nothing_but_a_key_is_inserted_once(make_table: MakeTable) -> None:
    tags = make_table(KEYS, "Tag", match_on=[])
    records = [{"sku": "a", "word": "x"}, {"sku": "a", "word": "y"}]

    counts = [tags.load(records), tags.load(records)]

    assert counts == [WriteCounts(inserted=2), WriteCounts(unchanged=2)]
    assert tags.rows() == records


def test_a_unique_column_stands_in_for_a_key_that_the_database_generates(make_table: MakeTable) -> None:
    products = make_table(match_on=["sku"])
    products.load(make_items(2))
    before = products.rows("id", "sku")

    products.load([item | {"name": "new"} for item in make_items(3)])

    assert products.rows("id", "sku")[:2] == before
    assert [row["name"] for row in products.rows()] == ["new"] * 3


def test_dates_and_decimals_are_keys_whatever_their_scale(make_table: MakeTable) -> None:
    seasons = make_table(KEYS, "Season", match_on=[])
    seasons.load([{"begins": date(2026, 3, 1), "rate": Decimal("1.50"), "name": "spring"}])

    counts = seasons.load([{"begins": date(2026, 3, 1), "rate": Decimal("1.5"), "name": "Spring"}])

    assert counts == WriteCounts(updated=1)
    assert [row["name"] for row in seasons.rows()] == ["Spring"]


def test_records_without_a_key_are_inserted_where_the_database_generates_it(make_table: MakeTable) -> None:
    products = make_table(match_on=[])
    products.shop.insert("product", {"id": 5, "sku": "old", "name": "old"})
    records = [{"id": None, **item} for item in make_items(2)] + [{"id": 5, **make_items(3)[2]}]

    counts = products.load(records)

    assert counts == WriteCounts(inserted=2, updated=1)
    assert sorted(row["sku"] for row in products.rows()) == ["S-00001", "S-00002", "S-00003"]
    assert None not in [row["id"] for row in products.rows()]


def test_a_key_of_zero_is_that_key_and_no_word_for_the_next_one(make_table: MakeTable) -> None:
    products = make_table(match_on=[])
    record = {"id": 0, **make_items(1)[0]}

    counts = [products.load([record]), products.load([record])]

    assert counts == [WriteCounts(inserted=1), WriteCounts(unchanged=1)]
    assert [row["id"] for row in products.rows("id")] == [0]


def test_records_without_a_key_are_inserted_where_the_model_makes_it(make_table: MakeTable) -> None:
    tokens = make_table(KEYS, "Token", match_on=[])
    own = uuid.uuid4()

    counts = tokens.load([{"id": None, "word": "a"}, {"id": own, "word": "b"}])

    assert counts == WriteCounts(inserted=2)
    seen = {row["word"]: row["id"] for row in tokens.seen_by_app("id", "word")}
    assert seen["b"] == own
    assert isinstance(seen["a"], uuid.UUID)


def test_records_without_a_key_are_inserted_where_the_table_has_a_default_for_it(
    make_shop: MakeShop, sqlite_url: str
) -> None:
    tickets = open_table(make_shop(sqlite_url, TICKET), "Ticket", match_on=[])

    assert tickets.load([{"id": None, "word": "a"}, {"id": "own", "word": "b"}]) == WriteCounts(inserted=2)
    assert {row["word"]: len(row["id"]) for row in tickets.rows()} == {"a": 16, "b": 3}


def test_records_without_a_key_are_not_inserted_twice_from_the_same_content(make_table: MakeTable) -> None:
    products = make_table(match_on=[])
    records = [{"id": None, **item} for item in make_items(2)]
    products.load(records, fingerprint="monday")

    again = products.load(records, fingerprint="monday")
    others = products.load([{"id": None, **item} for item in make_items(2, first=3)], fingerprint="tuesday")

    assert (again, others) == (WriteCounts(skipped=2), WriteCounts(inserted=2))
    assert [row["sku"] for row in products.rows()] == [item["sku"] for item in make_items(4)]


def test_a_keyless_row_that_was_rejected_is_tried_again_with_the_same_content(make_table: MakeTable) -> None:
    products = make_table(match_on=[])
    products.shop.insert("product", {"sku": "S-00002", "name": "in the way"})
    records = [{"id": None, **item} for item in make_items(2)]
    first = products.load(records, fingerprint="monday")
    products.shop.execute("DELETE FROM product WHERE name = 'in the way'")

    again = products.load(records, fingerprint="monday")

    assert (first, again) == (WriteCounts(inserted=1, rejected=1), WriteCounts(inserted=1, skipped=1))


@pytest.mark.parametrize("missing_key", ["insert", "reject"])
def test_the_contract_lets_a_generated_key_be_missing_only_where_the_feed_does(
    make_shop: MakeShop, sqlite_url: str, missing_key: str
) -> None:
    products = open_table(make_shop(sqlite_url), match_on=[], missing_key=missing_key)

    assert products.sink.target.contract.fields["id"].nullable == (missing_key == "insert")


def test_two_keys_that_the_database_finds_equal_are_told_apart_only_where_it_does(make_table: MakeTable) -> None:
    """MariaDB's usual collations ignore case and accents; a row is never updated twice in one chunk."""
    products = make_table()
    folds = products.sink.database.dialect == "mysql"
    products.load([{"sku": "ärmel", "name": "first"}])

    counts = products.load([{"sku": "Ärmel", "name": "second"}, {"sku": "ARMEL", "name": "third"}])

    assert counts == (WriteCounts(updated=1, rejected=1) if folds else WriteCounts(inserted=2))
    assert [reject.code for reject in products.rejects()] == (["duplicate_key"] if folds else [])
    assert {"sku": "ärmel", "name": "second" if folds else "first"} in products.rows("sku", "name")


def test_of_two_new_keys_that_the_database_finds_equal_one_is_loaded(make_shop: MakeShop, mariadb_url: str) -> None:
    products = open_table(make_shop(mariadb_url))
    records = [{"sku": sku, "name": sku} for sku in ("a1", "b", "A1")]

    counts = [products.load(records), products.load(records)]

    assert counts == [WriteCounts(inserted=2, rejected=1), WriteCounts(unchanged=2, rejected=1)]
    assert [reject.code for reject in products.rejects()] == ["duplicate_key"]


def test_keys_stay_the_text_they_are(make_table: MakeTable) -> None:
    products = make_table()
    keys = ["0012", "12", "4E12", "NA", "None", " 12", "a,b", "'; --", "%s", "%(sku)s", ":sku", "日本", "👟"]
    records = [{"sku": key, "name": "n"} for key in keys]

    counts = [products.load(records), products.load(records)]

    assert counts == [WriteCounts(inserted=13), WriteCounts(unchanged=13)]
    assert sorted(row["sku"] for row in products.rows()) == sorted(keys)


def test_more_keys_than_one_statement_looks_up_are_all_found(make_table: MakeTable) -> None:
    prices = make_table(KEYS, "Price", match_on=[])
    records = [{"shop": f"s{number % 7}", "number": number, "amount": None} for number in range(5_500)]
    prices.load(records)

    assert prices.load(records) == WriteCounts(unchanged=5_500)


STAMPED = """\
class Stamped(db.Model):
    __tablename__ = "stamped"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[uuid.UUID] = mapped_column(unique=True)
    made_at: Mapped[dt.datetime] = mapped_column(unique=True)
    day: Mapped[dt.date] = mapped_column(unique=True)
"""


@pytest.mark.parametrize("key", ["code", "made_at", "day"])
def test_keys_that_sqlite_has_in_another_form_than_the_app_writes_are_refused(
    make_shop: MakeShop, sqlite_url: str, key: str
) -> None:
    stamped = open_table(make_shop(sqlite_url, STAMPED), "Stamped", match_on=[key])
    record = {"code": uuid.uuid4(), "made_at": datetime(2026, 2, 1, 12), "day": date(2026, 2, 1)}  # noqa: DTZ001
    stamped.load([record])
    stamped.sink.check_table()
    other = {"code": str(uuid.uuid4()), "made_at": "2026-02-02 12:00:00", "day": "02.02.2026"}
    columns = ", ".join(other)
    stamped.shop.execute(f"INSERT INTO stamped ({columns}) VALUES (:code, :made_at, :day)", **other)

    with pytest.raises(ConfigurationError, match=f"rows whose key {key} is text of another form than the app writes"):
        stamped.sink.check_table()
