"""`restock rejects` shows the rejected rows, each with the key by which its product is found."""

from __future__ import annotations

import pytest
from fix_shop import MakeShop
from shops import Shop
from stories.doorway import run_here
from stories.telling import product, products, sync


def test_a_reject_is_shown_with_its_key_and_told_whole_in_json(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    row = product(2, price="cheap", name="")
    sqlite_shop.write_csv("products.csv", [product(1), row])
    run_id = sync(sqlite_shop).run.run_id

    shown, told = run_here(capfd, "rejects", run_id), run_here(capfd, "rejects", run_id, "--json")

    assert "S-002" in shown.out
    faults = [
        {"code": "null", "column": "name", "value": None},
        {"code": "not_a_number", "column": "price", "value": "cheap"},
    ]
    place = {"chunk": 1, "row": 2, "line": 3, "byte": None, "key": "S-002"}
    assert told.answer == {
        "run_id": run_id,
        "rejects": [{**place, "faults": faults, "original": {**row, "name": None}}],
    }


def test_the_key_of_several_columns_stands_under_the_names_of_the_source(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = """\
class Stock(db.Model):
    __tablename__ = "stock"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    pieces: Mapped[int]
"""
    shop = make_shop(sqlite_url, model)
    columns = {"sku": "Artikel", "place": "Lager", "pieces": "Menge"}
    shop.feeds({"products": {"model": shop.model("Stock"), "match_on": [], "columns": columns}})
    shop.write_csv("products.csv", [{"Artikel": "A-1", "Lager": "7", "Menge": "many"}])
    run_id = sync(shop).run.run_id

    told = run_here(capfd, "rejects", run_id, "--json").answer

    assert [each["key"] for each in told["rejects"]] == ["A-1, 7"]


def test_without_rejects_there_is_an_empty_list(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_csv("products.csv", products([1]))
    run_id = sync(sqlite_shop).run.run_id

    assert run_here(capfd, "rejects", run_id, "--json").answer == {"run_id": run_id, "rejects": []}
