"""Apps with whose engines rows and ledger would not be written together are refused before anything is written."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from contracts.loads import open_table
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop
from sqlalchemy.orm import DeclarativeBase, Session

from restock.chunks import WriteCounts
from restock.errors import ConfigurationError
from sinks.database.engine_rules import engine_of

ITEM = """\
class Item(db.Model):
    __tablename__ = "item"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(40))
"""
# The recipe of SQLAlchemy's manual.
ROUTING = """\
from sqlalchemy.orm import Session


class Routing(Session):
    def __init__(self, db, **options):
        super().__init__(**options)

    def get_bind(self, mapper=None, clause=None, **options):
        is_written = self._flushing or isinstance(clause, sa.Update | sa.Delete)
        return db.engines[None if is_written else "follower"]


"""


def models(**options: str) -> str:
    """The models of a shop whose `db` takes these options, as they are written there."""
    listed = "".join(f", {name}={written}" for name, written in options.items())
    return f"db = SQLAlchemy(model_class=Base{listed})\n\n\n{ITEM}"


def test_an_app_that_translates_schemas_is_refused(make_shop: MakeShop, sqlite_url: str) -> None:
    translating = models(engine_options='{"execution_options": {"schema_translate_map": {"shop": "main"}}}')
    shop = make_shop(sqlite_url, translating)

    with pytest.raises(ConfigurationError, match="schema_translate_map"):
        open_table(shop, "Item", match_on=[])


def test_a_password_with_an_at_sign_is_not_shown_as_a_host() -> None:
    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __table__ = sa.Table("item", Base.metadata, sa.Column("id", sa.Integer, primary_key=True))

    session = Session(sa.create_engine("postgresql+psycopg://shop:pass@word@127.0.0.1/shop"))

    with pytest.raises(ConfigurationError, match=r"an @ too many.*as %40") as raised:
        engine_of(session, Item, "shop:create_app")
    assert "word@" not in str(raised.value)


def test_a_database_in_memory_is_refused(make_shop: MakeShop) -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:shop?mode=memory&cache=shared&uri=true"):
        shop = make_shop(url, ITEM)
        with pytest.raises(ConfigurationError, match="in memory"):
            open_table(shop, "Item", match_on=[])


@pytest.mark.parametrize("pool", ["StaticPool", "SingletonThreadPool"])
def test_an_app_whose_transactions_share_a_connection_is_refused(
    make_shop: MakeShop, sqlite_url: str, pool: str
) -> None:
    shop = make_shop(sqlite_url, models(engine_options=f'{{"poolclass": sa.{pool}}}'))

    with pytest.raises(ConfigurationError, match=pool):
        open_table(shop, "Item", match_on=[])


@pytest.mark.parametrize(
    "options",
    [
        '{"isolation_level": "AUTOCOMMIT"}',
        '{"execution_options": {"isolation_level": "AUTOCOMMIT"}}',
        '{"connect_args": {"isolation_level": None}}',
    ],
)
def test_an_app_without_transactions_is_refused(make_shop: MakeShop, sqlite_url: str, options: str) -> None:
    _is_refused_for_autocommit(make_shop(sqlite_url, models(engine_options=options)))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_an_app_whose_driver_commits_each_statement_is_refused(
    make_shop: MakeShop, make_database: MakeDatabase, kind: str
) -> None:
    options = '{"connect_args": {"autocommit": True}}'
    _is_refused_for_autocommit(make_shop(make_database(kind), models(engine_options=options)))


def _is_refused_for_autocommit(shop: Shop) -> None:
    items = open_table(shop, "Item", match_on=[])

    with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
        items.sink.check_table()
    with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
        items.load([{"sku": "A"}])
    assert items.rows() == []


def test_an_app_that_begins_its_transactions_itself_is_taken(make_shop: MakeShop, sqlite_url: str) -> None:
    """By the recipe of SQLAlchemy's manual: so that what is read is in the transaction as well."""
    items = open_table(make_shop(sqlite_url, models()), "Item", match_on=[])
    engine = items.sink.database.engine
    engine.dispose()
    sa.event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    items.sink.check_table()

    assert items.load([{"sku": "A"}, {"sku": "B"}]) == WriteCounts(inserted=2)


def test_an_app_that_reads_in_one_database_and_writes_in_another_is_refused(
    make_shop: MakeShop, make_database: MakeDatabase
) -> None:
    written = ROUTING + models(session_options='{"class_": Routing}')
    shop = make_shop(make_database("sqlite"), written, {"follower": make_database("sqlite")})

    with pytest.raises(ConfigurationError, match="read Item from one database and write it to another"):
        open_table(shop, "Item", match_on=[])
