"""A feed whose model is another table from one night to the next: what it did to the one says nothing of the other."""

from __future__ import annotations

import pytest
from fix_shop import MakeShop
from shops import Shop
from stories.telling import BROKEN, add_transform, correct, counts, export, mend_transform, reprocess, sync, sync_all

from restock.errors import ConfigurationError

MODELS = """\
class Here(db.Model):
    __tablename__ = "here"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(20))


class There(db.Model):
    __tablename__ = "there"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(20))
"""
KEYED = [{"id": number, "name": "POISON" if number == 4 else "fine"} for number in range(1, 5)]
KEYLESS = [{"name": "a"}, {"name": "b"}]
REFUSED = "has brought run .* into the table here, and lands in the table there now"


@pytest.fixture
def moving(make_shop: MakeShop, database_url: str) -> Shop:
    return make_shop(database_url, MODELS)


def feed(shop: Shop, model: str, **keys: object) -> None:
    shop.feed(model=shop.model(model), match_on=["id"], chunk_rows=2, **keys)


def names(shop: Shop, table: str) -> list[str]:
    return [row["name"] for row in shop.rows(table, "name", "id")]


def test_a_delta_feed_takes_no_file_of_another_table_for_loaded(moving: Shop) -> None:
    feed(moving, "Here", kind="delta", transform=add_transform(moving, "broken", BROKEN))
    moving.write_csv("products.csv", KEYED)
    run_id = sync(moving).run.run_id
    before = everything_of(moving)

    feed(moving, "There", kind="delta")

    for deed in (lambda: sync(moving), lambda: reprocess(moving), lambda: reprocess(moving, run_id)):
        with pytest.raises(ConfigurationError, match=REFUSED):
            deed()
    assert everything_of(moving) == before

    moving.feeds({"moved": {"model": moving.model("There"), "kind": "delta", "source": "products.csv"}})
    assert counts(sync(Shop(moving.folder, moving.package, moving.engine, "moved"))) == {"inserted": 4}


def test_a_feed_that_rejects_rows_without_a_key_may_bring_them_to_another_table(moving: Shop) -> None:
    """None of them is known by its place, so the history of the first table is not asked."""
    moving.write_csv("products.csv", [{"id": 1, "name": "a"}, {"id": "", "name": "b"}])
    for model in ("Here", "There"):
        feed(moving, model, missing_key="reject")
        assert counts(sync(moving)) == {"inserted": 1, "rejected": 1}

    assert names(moving, "there") == ["a"]


def test_rows_without_a_key_are_not_taken_for_loaded_either(moving: Shop) -> None:
    feed(moving, "Here")
    moving.write_csv("products.csv", KEYLESS)
    sync(moving)
    before = everything_of(moving)

    feed(moving, "There")
    with pytest.raises(ConfigurationError, match=REFUSED):
        sync(moving)

    assert everything_of(moving) == before
    assert not list((moving.folder / ".restock" / "spool").glob("*"))


def test_a_full_feed_of_rows_with_keys_may_move(moving: Shop) -> None:
    feed(moving, "Here", transform=add_transform(moving, "broken", BROKEN))
    moving.write_csv("products.csv", KEYED)
    sync(moving)

    mend_transform(moving, model=moving.model("There"), match_on=["id"])

    assert counts(sync(moving)) == {"inserted": 4}
    assert names(moving, "there") == ["fine", "fine", "fine", "cured"]


def test_a_correction_is_not_loaded_into_another_table(moving: Shop) -> None:
    feed(moving, "Here", kind="delta")
    moving.write_csv("products.csv", [*KEYED, {"id": 5, "name": "much too long for its column"}])
    mended = export(moving, sync(moving).run.run_id)
    mended.write_text(mended.read_text().replace("much too long for its column", "short"))
    before = everything_of(moving)

    feed(moving, "There", kind="delta")
    with pytest.raises(ConfigurationError, match=REFUSED):
        correct(moving, mended)

    assert everything_of(moving) == before


def test_a_table_that_was_renamed_is_the_same_table(moving: Shop) -> None:
    feed(moving, "Here")
    moving.write_csv("products.csv", KEYLESS)
    sync(moving)
    moving.execute("DROP TABLE there")
    moving.execute("ALTER TABLE here RENAME TO there")

    feed(moving, "There")

    assert counts(sync(moving)) == {"skipped": 2}


def test_a_table_that_is_named_with_its_usual_schema_is_the_same_table(
    make_shop: MakeShop, postgresql_url: str
) -> None:
    shop = make_shop(postgresql_url, MODELS)
    feed(shop, "Here", kind="delta")
    shop.write_csv("products.csv", KEYED)
    sync(shop)
    shop.execute("UPDATE restock_run SET target = 'public.here'")

    assert sync_all(shop) == []


def everything_of(shop: Shop) -> tuple[object, ...]:
    return names(shop, "here"), names(shop, "there"), [shop.rows(name) for name in ("restock_run", "restock_chunk")]
