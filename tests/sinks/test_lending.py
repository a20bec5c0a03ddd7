"""The app's own code meets the session of a chunk as `db.session`, and may not end its transaction."""

from __future__ import annotations

import pytest
from contracts.loads import MakeTable, Record, Table

from restock.chunks import WriteCounts
from restock.errors import ConfigurationError
from sinks.ledger.lease import keeping

MODELS = """\
class Kind(db.Model):
    __tablename__ = "kind"

    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


class Note(db.Model):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(sa.String(80))


def places():
    return db.session.scalar(sa.select(sa.func.count()).select_from(Kind))


class Item(db.Model):
    __tablename__ = "item"
    __table_args__ = (sa.CheckConstraint("name <> 'unwanted'"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(20), unique=True)
    name: Mapped[str | None] = mapped_column(sa.String(40))
    place: Mapped[int | None] = mapped_column(default=places)

    def __init__(self, **values):
        super().__init__(**values)
        if self.name == "a new kind":
            db.session.add(Kind(name=self.sku))
            db.session.flush()
            db.session.add(self)

    @validates("name")
    def check_name(self, _attribute, name):
        if name == "commit":
            db.session.commit()
        if name == "commit, whatever comes":
            try:
                db.session.commit()
            except Exception:
                db.session.rollback()
        if name == "roll back":
            db.session.rollback()
        if name == "refused":
            raise ValueError("a secret name")
        if name == "a savepoint":
            with db.session.begin_nested():
                db.session.add(Note(text="within"))
        return name


@sa.event.listens_for(db.session, "before_flush")
def keep_history(session, context, instances):
    # As SQLAlchemy-Continuum does: another session on the same connection, which stays open.
    if any(isinstance(each, Item) and each.name == "a version" for each in session.new):
        session.info["versions"] = other = sa.orm.Session(bind=session.connection())
        other.execute(sa.insert(Note).values(text="a version"))


@sa.event.listens_for(Item, "after_insert")
@sa.event.listens_for(Item, "after_update")
def note(mapper, connection, item):
    if item.name == "commit in a flush":
        db.session.commit()
    kinds = db.session.scalar(sa.select(sa.func.count()).select_from(Kind))
    db.session.add(Note(text=f"{item.sku}: {item.name}, beside {kinds} kinds"))
"""


@pytest.fixture
def items(make_table: MakeTable) -> Table:
    return make_table(MODELS, "Item")


def notes(items: Table) -> list[str]:
    return [row["text"] for row in items.shop.rows("note")]


def load_badly(items: Table, records: list[Record]) -> str:
    """What is said of records that are refused as a whole; the lease is given back."""
    items.sink.ledger.create()
    with keeping(items.sink.database, lease := items.take_lease()):
        [ref] = items.admit(lease, [len(records)])
        with pytest.raises(ConfigurationError) as refused:
            items.load_chunk(items.chunk(records, ref))
    return str(refused.value)


@pytest.mark.filterwarnings("ignore:Usage of the 'Session.add")
def test_what_listeners_add_to_db_session_is_committed_with_the_rows(items: Table) -> None:
    items.load([{"sku": "a", "name": "x"}, {"sku": "b", "name": "y"}])
    counts = items.load([{"sku": "a", "name": "z"}, {"sku": "b", "name": "y"}])

    assert counts == WriteCounts(updated=1, unchanged=1)
    assert notes(items) == ["a: x, beside 0 kinds", "b: y, beside 0 kinds", "a: z, beside 0 kinds"]


@pytest.mark.filterwarnings("ignore:Usage of the 'Session.add")
def test_what_a_rejected_row_brought_with_it_goes_with_it(items: Table) -> None:
    counts = items.load([{"sku": "a", "name": "x"}, {"sku": "b", "name": "y" * 41}, {"sku": None, "name": "z"}])

    assert counts.inserted + counts.rejected == 3
    assert len(notes(items)) == counts.inserted


@pytest.mark.filterwarnings("ignore:Usage of the 'Session.add")
def test_the_apps_code_finds_in_db_session_what_it_has_added_beside_the_rows(items: Table) -> None:
    counts = items.load([{"sku": "a", "name": "a new kind"}, {"sku": "b", "name": "a savepoint"}])

    assert counts == WriteCounts(inserted=2)
    assert [row["name"] for row in items.shop.rows("kind")] == ["a"]
    assert set(notes(items)) == {"within", "a: a new kind, beside 1 kinds", "b: a savepoint, beside 1 kinds"}
    assert [row["place"] for row in items.shop.rows("item")] == [1, 1]


@pytest.mark.filterwarnings("ignore:Usage of the 'Session.add")
@pytest.mark.parametrize("name", ["commit", "commit in a flush", "commit, whatever comes", "roll back"])
@pytest.mark.parametrize("among", [False, True], ids=["alone", "beside a row at fault"])
def test_code_of_the_model_may_not_end_the_transaction(items: Table, name: str, among: bool) -> None:
    clash = [{"sku": "a", "name": "x"}, {"sku": "c", "name": "y"}]
    items.load(clash)
    before = items.shop.rows("item")

    told = load_badly(items, [*([{"sku": None, "name": "no key"}] if among else []), {"sku": "d", "name": name}])

    assert f"Code of the model {items.shop.model('Item')} (a listener, validator, constructor or default)" in told
    assert ("rolls back" if name == "roll back" else "commits") + " db.session while a chunk is written" in told
    assert items.shop.rows("item") == before


@pytest.mark.filterwarnings("ignore:Usage of the 'Session.add")
def test_the_next_chunk_has_a_session_of_its_own(items: Table) -> None:
    load_badly(items, [{"sku": "d", "name": "commit"}])

    assert items.load([{"sku": "d", "name": "x"}]) == WriteCounts(inserted=1)
    with items.sink.database.app.app_context():
        assert not items.sink.database.db_session.registry.has()


@pytest.mark.filterwarnings("ignore:Usage of the 'Session.add")
def test_a_session_of_the_apps_own_on_the_same_connection_ends_with_the_chunk_and_without_a_word(
    items: Table, recwarn: pytest.WarningsRecorder
) -> None:
    names = ["x", "refused", "a version", "unwanted", "y", "a version"]

    counts = items.load([{"sku": str(place), "name": name} for place, name in enumerate(names)])

    assert counts == WriteCounts(inserted=4, rejected=2)
    assert notes(items).count("a version") == 2
    assert [row["name"] for row in items.shop.rows("item", "name", "id")] == ["x", "a version", "y", "a version"]
    assert [str(each.message) for each in recwarn if "deassociated" in str(each.message)] == []
