"""Rejects files as they travel: through encodings, editors, and feeds whose files have different columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from shops import Shop
from stories.telling import correct, counts, export, mend, product, sync


def night(shop: Shop, text: str, encoding: str = "utf-8") -> Path:
    shop.feed(csv={"encoding": encoding})
    (shop.folder / "products.csv").write_bytes(text.encode(encoding))
    return export(shop, sync(shop).run.run_id)


@pytest.mark.parametrize(
    "encoding, name",
    [("iso2022_jp", "日本"), ("utf-16-le", "Öl"), ("utf-16", "Öl"), ("cp1252", "CafÃ©"), ("cp1252", "Öl")],
)
def test_a_rejects_file_comes_back_as_it_was_written_whatever_the_feed_s_encoding(
    sqlite_shop: Shop, encoding: str, name: str
) -> None:
    path = night(sqlite_shop, f"sku,name,price,stock\nS-1,{name},cheap,1\nS-2,{name},dear,2\n", encoding)
    content = path.read_bytes()
    saved_as = "utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else encoding
    path.write_bytes(content.decode(saved_as).replace("cheap", "1.00").encode(saved_as))

    done = correct(sqlite_shop, path)

    assert (done.taken, done.unmended) == (1, 1)
    assert [(row["sku"], row["name"]) for row in sqlite_shop.rows("product")] == [("S-1", name)]


@pytest.mark.parametrize("ends", ["\r", "\r\n"])
def test_line_ends_in_cells_are_kept_and_what_an_editor_makes_of_them_is_no_change(
    sqlite_shop: Shop, ends: str
) -> None:
    lines = f'sku,name,price,stock\nS-1,"A{ends}lamp",cheap,1\nS-2,"A{ends}rake",dear,2\n'
    path = night(sqlite_shop, lines)
    text = path.read_bytes().decode().replace("cheap", "1.00")
    path.write_bytes(text.replace("\r\n", "\n").replace("\r", "\n").encode())

    done = correct(sqlite_shop, path)

    assert (done.taken, done.unmended) == (1, 1)
    assert [row["name"] for row in sqlite_shop.rows("product")] == [f"A{ends}lamp"]


def test_files_with_different_columns_are_mended_each_in_its_own(sqlite_shop: Shop) -> None:
    """A column that the row's file did not have is left alone, not emptied."""
    columns = {name: name for name in ("sku", "name", "price")} | {"stock": {"from": "stock", "optional": True}}
    sqlite_shop.feed(source="in-*.csv", columns=columns)
    sqlite_shop.write_csv("in-1.csv", [product(1, price="cheap")])
    second = {name: cell for name, cell in product(2, price="cheap").items() if name != "stock"}
    sqlite_shop.write_csv("in-2.csv", [second])
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    sqlite_shop.insert("product", {"sku": "S-002", "name": "of yesterday", "stock": 77})
    mend(path, {"S-001": {"price": "1.00"}, "S-002": {"price": "2.00"}})

    done = correct(sqlite_shop, path)

    assert counts(done.reports[0]) == {"inserted": 1, "updated": 1}
    assert {row["sku"]: row["stock"] for row in sqlite_shop.rows("product")} == {"S-001": 1, "S-002": 77}
