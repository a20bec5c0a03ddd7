"""What the sink reads out of a model, and the sentence it has for a feed and a model that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from contracts.loads import MakeTable, open_table
from fix_shop import MakeShop
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.ext.compiler import compiles

from restock.contract import Kind
from restock.errors import ConfigurationError
from sinks.model.column_specs import field_spec

MODELS = """\
class Animal(db.Model):
    __tablename__ = "animal"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Dog(Animal):
    __tablename__ = "dog"

    id: Mapped[int] = mapped_column(sa.ForeignKey("animal.id"), primary_key=True)
    bark: Mapped[str | None] = mapped_column(sa.String(20))
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Cat(Animal):
    purr: Mapped[str | None] = mapped_column(sa.String(20))
    __mapper_args__ = {"polymorphic_identity": "cat"}


cats = sa.select(Animal.__table__).where(Animal.kind == "cat").subquery()


class OnlyCat(db.Model):
    __table__ = cats
    __mapper_args__ = {"primary_key": [cats.c.id]}


class Words(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **_):
        return "TEXT"


class Offer(db.Model):
    __tablename__ = "offer"
    __table_args__ = (
        sa.UniqueConstraint("shop", "number"),
        sa.Index("ix_ean", "ean", unique=True),
        sa.Index("ix_live", "live", unique=True, sqlite_where=sa.text("live > 0")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    shop: Mapped[str] = mapped_column(sa.String(20))
    number: Mapped[int]
    ean: Mapped[str | None] = mapped_column(sa.String(13))
    live: Mapped[int | None]
    half: Mapped[int] = mapped_column(sa.SmallInteger, default=1)
    state: Mapped[str] = mapped_column(sa.String(5), server_default="new")
    gross: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 2))
    open: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric)
    ratio: Mapped[float | None]
    cents: Mapped[float | None] = mapped_column(sa.Numeric(10, 2, asdecimal=False))
    at: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    local: Mapped[dt.datetime | None]
    blob: Mapped[bytes | None] = mapped_column(sa.LargeBinary(16))
    size: Mapped[str | None] = mapped_column(sa.Enum("s", "l", native_enum=False, name="size"))
    double: Mapped[int] = mapped_column(sa.Computed("number * 2"))
    words: Mapped[str | None] = mapped_column(Words)


class Renamed(db.Model):
    __tablename__ = "renamed"

    id: Mapped[int] = mapped_column(primary_key=True)
    _old_price: Mapped[int | None] = mapped_column("price")
    prices: Mapped[int | None]


class Upper(sa.types.TypeDecorator):
    impl = sa.String(7)
    cache_ok = True


class Tiny(sa.types.TypeDecorator):
    impl = sa.SmallInteger
    cache_ok = True


class Never(sa.types.TypeDecorator):
    impl = sa.String(40)

    def process_bind_param(self, value, dialect):
        return value or ""


class Decorated(db.Model):
    __tablename__ = "decorated"

    code: Mapped[str] = mapped_column(Upper, primary_key=True)
    small: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.SmallInteger(), "postgresql"))
    tiny: Mapped[int | None] = mapped_column(Tiny)
    note: Mapped[str | None] = mapped_column(Never)
"""


@pytest.mark.parametrize(
    "model, keys, sentence",
    [
        (
            "Offer",
            {"match_on": ["number"]},
            "match_on number is not unique in the model .*match on the primary key or on a column with a unique",
        ),
        ("Offer", {"match_on": ["live"]}, "match_on live is not unique"),
        ("Offer", {"match_on": ["shop", "ean"]}, "match_on shop, ean is not unique"),
        ("Offer", {"match_on": ["eam"]}, "match_on names 'eam', which is not a column of .*; did you mean 'ean'"),
        ("Offer", {"match_on": ["ean"], "columns": {"ean": "EAN", "gros": "Preis"}}, "did you mean 'gross'"),
        (
            "Offer",
            {"match_on": ["ean"], "columns": {"ean": "E", "zzz": "Z"}},
            "'zzz'.*; it has: id, shop",
        ),
        ("Offer", {"match_on": ["ean"], "columns": {"ean": "E", "double": "D"}}, "columns names 'double'"),
        ("Offer", {"match_on": ["ean"], "columns": {"gross": "Preis"}}, "match_on names 'ean', but columns does not"),
        (
            "Decorated",
            {"match_on": [], "columns": {"small": "S"}},
            "nothing fills code of the key .*; add it to",
        ),
        ("Offer", {"match_on": ["ean"], "version_column": "att"}, "version_column names 'att'.*; did you mean 'at'"),
        (
            "Decorated",
            {"match_on": [], "columns": {"code": "code", "small": "s", "note": {"from": "n", "blank": "keep"}}},
            "'note' cannot have `blank: keep`, because its type makes a value of a blank",
        ),
        (
            "Renamed",
            {"match_on": [], "columns": {"id": "id", "price": "p"}},
            "columns names 'price', which is not a column of .*; the model has that column as '_old_price'",
        ),
        ("Dog", {"match_on": []}, "is mapped to 2 tables; restock loads models of one table"),
        ("OnlyCat", {"match_on": []}, "is mapped to a query and not to a table"),
        ("db", {"match_on": []}, "is not a mapped SQLAlchemy class"),
        ("Nothing", {"match_on": []}, "Nothing"),
    ],
)
def test_a_feed_that_does_not_fit_its_model_is_refused_with_a_sentence(
    make_shop: MakeShop, sqlite_url: str, model: str, keys: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        open_table(make_shop(sqlite_url, MODELS), model, **keys)


def test_models_that_do_not_fit_together_are_refused_with_what_is_missing(make_shop: MakeShop, sqlite_url: str) -> None:
    lost = "class Lost(db.Model):\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
    lost += "    owner = sa.orm.relationship('Owner')\n"
    told = (
        r"around .*:Lost do not fit together: .*'Owner' failed to locate a name \('Owner'\)\. Import all of them where"
    )

    shop = make_shop(sqlite_url, lost)
    for _ in range(2):  # SQLAlchemy has other words the second time
        with pytest.raises(ConfigurationError, match=told):
            open_table(shop, "Lost", match_on=[])


@pytest.mark.parametrize("key", [[], ["id"], ["ean"], ["shop", "number"], ["number", "shop"]])
def test_a_key_may_be_whatever_the_model_keeps_unique(make_shop: MakeShop, sqlite_url: str, key: list[str]) -> None:
    target = open_table(make_shop(sqlite_url, MODELS), "Offer", match_on=key).sink.target

    assert target.key == (tuple(key) or ("id",))
    assert target.generates_key == (key in ([], ["id"]))


KIN = """\
class Shop(db.Model):
    __tablename__ = "shop"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


class Shelf(db.Model):
    __tablename__ = "shelf"
    __table_args__ = (sa.ForeignKeyConstraint(["shop", "owner"], ["shop.id", "shop.owner"]),)

    id: Mapped[int] = mapped_column(primary_key=True)
    shop: Mapped[int]
    owner: Mapped[str] = mapped_column(sa.String(20))
    ean: Mapped[str] = mapped_column(sa.String(13), unique=True)


class Room(db.Model):
    __tablename__ = "room"
    __table_args__ = (sa.ForeignKeyConstraint(["shop", "owner"], ["shop.id", "shop.owner"]),)

    id: Mapped[int] = mapped_column(primary_key=True)
    shop: Mapped[int]
    owner: Mapped[str] = mapped_column(sa.String(20))


class Part(db.Model):
    __tablename__ = "part"
    __table_args__ = (sa.ForeignKeyConstraint(["whole", "owner"], ["part.id", "part.owner"]),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    whole: Mapped[int | None]
"""


@pytest.mark.parametrize(
    "model, key, is_so",
    [
        ("Shop", [], True),
        ("Shop", ["id", "owner"], True),
        ("Room", [], True),
        ("Shelf", [], False),
        ("Shelf", ["ean"], False),
        ("Part", [], False),
    ],
)
def test_a_table_lies_in_the_order_of_its_primary_key(
    make_shop: MakeShop, sqlite_url: str, model: str, key: list[str], is_so: bool
) -> None:
    assert open_table(make_shop(sqlite_url, KIN), model, match_on=key).sink.target.lies_in_key_order == is_so


def test_required_is_what_neither_the_model_nor_the_database_fills(make_shop: MakeShop, sqlite_url: str) -> None:
    shop = make_shop(sqlite_url, MODELS)

    assert open_table(shop, "Offer", match_on=["ean"]).sink.target.required == ("shop", "number")
    assert open_table(shop, "Decorated", match_on=[]).sink.target.required == ("code", "small")


def test_a_model_that_shares_its_table_is_loaded_as_itself(make_table: MakeTable) -> None:
    cats = make_table(MODELS, "Cat", match_on=[])

    cats.load([{"id": 1, "purr": "loud"}])

    assert cats.rows() == [{"id": 1, "kind": "cat", "purr": "loud"}]


class FineTime(sa.DateTime):
    """As an app has it that writes a rule for its moments on MariaDB."""


@compiles(FineTime, "mysql")
def _as_fine_time(_type: Any, _compiler: Any, **_keys: Any) -> str:
    return "DATETIME(6)"


@pytest.mark.parametrize(
    "type_, digits",
    [(sa.DateTime(), 0), (mysql.DATETIME(fsp=3), 3), (mysql.TIMESTAMP(fsp=6), 6), (sa.Time(), 0), (FineTime(), 6)],
)
def test_the_digits_of_a_second_are_those_that_the_table_was_made_with(type_: Any, digits: int) -> None:
    dialect = mysql.dialect()

    assert field_spec("at", sa.Column("at", type_), dialect, is_key=False, nullable=True).fraction == digits


@pytest.mark.parametrize(
    "type_, items",
    [
        (sa.ARRAY(sa.String(5)), (Kind.TEXT, 5)),
        (sa.ARRAY(sa.Integer, dimensions=2), (Kind.INTEGER, None)),
        (sa.ARRAY(sa.JSON), None),  # a text in it is a value of JSON, and not the text of one
    ],
)
def test_the_values_of_a_list_have_the_limits_of_their_own_type(type_: Any, items: tuple[Kind, int | None]) -> None:
    spec = field_spec("words", sa.Column(type_), postgresql.dialect(), is_key=False, nullable=True)

    assert (spec.items and (spec.items.kind, spec.items.length)) == items


@pytest.mark.parametrize(
    "type_, length",
    [
        *((sa.BINARY(4), 4), (sa.VARBINARY(8), 8)),
        *((type_, None) for type_ in (mysql.BLOB(), mysql.TINYBLOB(), mysql.MEDIUMBLOB(), mysql.LONGBLOB())),
    ],
)
def test_every_type_of_bytes_takes_text_and_bytes(type_: Any, length: int | None) -> None:
    spec = field_spec("mark", sa.Column(type_), mysql.dialect(), is_key=False, nullable=True)

    assert (spec.kind, spec.length) == (Kind.BINARY, length)


def test_the_contract_holds_the_kinds_and_limits_of_each_database(make_table: MakeTable) -> None:
    sink = make_table(MODELS, "Offer", match_on=["ean"]).sink
    fields = sink.target.contract.fields
    dialect = sink.database.dialect

    assert {name: spec.kind for name, spec in fields.items()} == {
        **dict.fromkeys(["id", "number", "live", "half"], Kind.INTEGER),
        **dict.fromkeys(["shop", "ean", "state"], Kind.TEXT),
        **dict.fromkeys(["gross", "open"], Kind.DECIMAL),
        **dict.fromkeys(["at", "local"], Kind.DATETIME),
        **dict.fromkeys(["ratio", "cents"], Kind.FLOAT),
        "blob": Kind.BINARY,
        "size": Kind.ENUM,
        "words": Kind.OTHER,
    }
    bits = {"sqlite": (64, 64), "postgresql": (32, 16), "mysql": (32, 16)}[dialect]
    limits = [(spec.minimum, spec.maximum) for spec in (fields["number"], fields["half"])]
    assert limits == [(-(2 ** (size - 1)), 2 ** (size - 1) - 1) for size in bits]
    digits = {"sqlite": [(10, 2), (None, 10)], "postgresql": [(10, 2), (None, None)], "mysql": [(10, 2), (10, 0)]}
    assert [(spec.precision, spec.scale) for spec in (fields["gross"], fields["open"])] == digits[dialect]
    assert [(fields[name].precision, fields[name].scale) for name in ("ratio", "cents")] == [(None, None), (10, 2)]
    assert fields["gross"].significant == (15 if dialect == "sqlite" else None)
    assert [fields[name].timezone for name in ("at", "local")] == [dialect == "postgresql", False]
    assert fields["at"].fraction == (0 if dialect == "mysql" else 6)
    assert (fields["shop"].length, fields["blob"].length, fields["size"].choices) == (20, 16, ("s", "l"))
    assert (fields["ean"].is_key, fields["ean"].nullable, fields["shop"].nullable) == (True, False, False)
    assert {spec.allows_nul for spec in fields.values()} == {dialect != "postgresql"}


def test_a_decorated_type_and_a_variant_have_the_limits_of_what_is_behind_them(make_table: MakeTable) -> None:
    sink = make_table(MODELS, "Decorated", match_on=[]).sink
    code, small, tiny, _ = sink.target.contract.fields.values()

    assert (code.kind, code.length) == (Kind.TEXT, 7)
    assert small.maximum == (2**15 - 1 if sink.database.dialect == "postgresql" else 2**63 - 1)
    assert tiny.maximum == (2**63 - 1 if sink.database.dialect == "sqlite" else 2**15 - 1)
