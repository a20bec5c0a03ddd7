"""The situations that other loaders get wrong without a word, as far as they are about files."""

from __future__ import annotations

import gzip
from typing import Any

import pyarrow as pa
import pytest
from shops import Shop
from stories.doorway import run_here
from stories.telling import counts, expected, product, products, sync, table

from flows.runs.progress import Progress
from flows.runs.workplace import open_workplace
from restock.errors import RunHeld, SourceChanged, SourceError

NIGHT = products(range(1, 101))


def csv_text(shop: Shop) -> str:
    return shop.write_csv("products.csv", NIGHT).read_text(encoding="utf-8")


def test_situation_1_a_packed_feed_that_is_cut_short_writes_nothing(sqlite_shop: Shop) -> None:
    whole = gzip.compress(csv_text(sqlite_shop).encode())
    (sqlite_shop.folder / "products.csv.gz").write_bytes(whole[:-20])
    sqlite_shop.feed(source="products.csv.gz", chunk_rows=10)

    with pytest.raises(SourceError, match="cut short"):
        sync(sqlite_shop)
    assert table(sqlite_shop) == {}


def test_situation_1_a_plain_feed_that_is_cut_short_is_held_and_its_half_row_is_a_reject(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(min_rows="90%", chunk_rows=10)
    text = csv_text(sqlite_shop)
    sync(sqlite_shop)
    lines = text.splitlines(keepends=True)
    cut = "".join(lines[:51]) + lines[51][:6]
    (sqlite_shop.folder / "products.csv").write_text(cut, encoding="utf-8")

    told = r"has 51 rows, and min_rows demands 90% of the 100 that run \S+ read; nothing was written\..*`force`\)\.$"
    with pytest.raises(RunHeld, match=told):
        sync(sqlite_shop)
    forced = sync(sqlite_shop, force=True)

    assert counts(forced) == {"unchanged": 50, "rejected": 1}
    assert [code for code, _, _ in forced.reasons] == ["too_few_fields"]
    assert table(sqlite_shop) == expected(NIGHT)


@pytest.mark.parametrize("limit", ["10%", 10])
def test_situation_2_an_export_of_nearly_nothing_leaves_the_catalogue_untouched(sqlite_shop: Shop, limit: Any) -> None:
    sqlite_shop.feed()
    sqlite_shop.write_csv("products.csv", NIGHT)
    sync(sqlite_shop)
    sqlite_shop.feed(min_rows=limit)
    sqlite_shop.write_csv("products.csv", products([1, 1], " changed"))

    with pytest.raises(RunHeld, match="has 2 rows, and min_rows demands 10"):
        sync(sqlite_shop)
    assert list(open_workplace().spool.folder.iterdir()) == []  # neither its chunk nor the list of its superseded row
    assert table(sqlite_shop) == expected(NIGHT)
    sqlite_shop.write_csv("products.csv", [], list(NIGHT[0]))
    with pytest.raises(SourceError, match="holds no rows"):
        sync(sqlite_shop, force=True)
    assert table(sqlite_shop) == expected(NIGHT)


class Overwrites(Progress):
    """Exports the feed anew when its first rows are read."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.is_done = shop, False

    def reading(self, rows: int) -> None:
        if not self.is_done:
            self.shop.write_csv("products.csv", products(range(1, 101), " again"))
        self.is_done = True


def test_situation_3_a_feed_that_is_overwritten_while_it_is_read_is_refused(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=1000)  # the first rows are told long before the last are read
    sqlite_shop.write_csv("products.csv", products(range(1, 100_000)))

    with pytest.raises(SourceChanged, match=r"products\.csv changed while it was read"):
        sync(sqlite_shop, progress=Overwrites(sqlite_shop))
    assert table(sqlite_shop) == {}


def test_situation_11_a_row_in_another_encoding_is_a_reject_and_its_neighbours_load(sqlite_shop: Shop) -> None:
    sqlite_shop.feed()
    rows = [product(1, name="Café"), product(2, name="Café"), product(3, name="Café")]
    lines = sqlite_shop.write_csv("products.csv", rows).read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].decode().encode("cp1252")
    (sqlite_shop.folder / "products.csv").write_bytes(b"".join(lines))

    report = sync(sqlite_shop)

    assert counts(report) == {"inserted": 2, "rejected": 1}
    [reject] = sqlite_shop.execute("SELECT line, byte, code FROM restock_reject")
    assert tuple(reject.values()) == (3, len(lines[0] + lines[1]) + len("S-002,Caf"), "encoding")
    assert table(sqlite_shop) == expected([rows[0], rows[2]])


def test_situation_11_text_that_was_encoded_twice_is_told_by_a_check(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sqlite_shop.folder)
    sqlite_shop.feed()
    names = ["CafÃ©", "Café", "MÃ¼nchen – grÃ¶ÃŸer", "SÃO PAULO", "Ã", "â€œquotedâ€\x9d"]
    sqlite_shop.write_csv("products.csv", [product(n, name=name) for n, name in enumerate(names)])

    told = run_here(capfd, "check", "products").out
    [check] = run_here(capfd, "check", "products", "--json").answer["checks"]

    assert "3 × name looks encoded twice, as CafÃ© for Café; it would be loaded [line 2, 4, 7]" in told
    assert [sample["line"] for sample in check["doubtful"][0]["samples"]] == [2, 4, 7]
    assert check["accepted"] == 6


def test_situation_7_a_number_that_a_spreadsheet_shortened_is_told_by_a_check_where_it_is_no_key(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sqlite_shop.folder)
    sqlite_shop.feed()
    names = ["4,01E+12", "4E12", "4006381333931"]
    sqlite_shop.write_csv("products.csv", [product(n, name=name) for n, name in enumerate(names)])

    told = run_here(capfd, "check", "products").out

    assert "1 × name looks like a long number that a spreadsheet shortened, as 4.00638E+12; it would be loaded" in told


def test_situation_11_control_characters_of_a_wrong_encoding_are_told_by_a_check(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sqlite_shop.folder)
    sqlite_shop.feed(csv={"encoding": "iso8859-1"})
    names = ["Jacke „XL“", "Säge", "Säge – groß", "5 €", "CafÃ©"]
    path = sqlite_shop.write_csv("products.csv", [product(n, name=name) for n, name in enumerate(names)])
    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))

    told = run_here(capfd, "check", "products").out
    [check] = run_here(capfd, "check", "products", "--json").answer["checks"]

    assert (
        "3 × name holds control characters (U+0080 to U+009F), as text of cp1252 does that is read as ISO 8859; "
        "it would be loaded [line 2, 4, 5]"
    ) in told
    assert {doubt["code"]: doubt["rows"] for doubt in check["doubtful"]} == {
        "control_characters": 3,
        "encoded_twice": 1,
    }
    assert check["accepted"] == 5


@pytest.mark.parametrize("chunk_rows", [1, 2, 1000])
def test_situation_12_the_row_that_counts_does_not_depend_on_where_a_chunk_or_a_file_ends(
    sqlite_shop: Shop, chunk_rows: int
) -> None:
    sqlite_shop.feed(source="?.csv", chunk_rows=chunk_rows)
    sqlite_shop.write_csv("a.csv", [product(1), product(2), product(1, name="second")])
    sqlite_shop.write_csv("b.csv", [product(2, name="of b"), product(3), product(1, name="last")])

    assert counts(sync(sqlite_shop)) == {"inserted": 3, "superseded": 3}
    assert table(sqlite_shop) == expected([product(2, name="of b"), product(3), product(1, name="last")])


def test_situation_14_parquet_files_that_drift_are_compared_before_anything_is_written(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(source="?.parquet")
    sqlite_shop.write_parquet("a.parquet", [{"sku": "00123", "name": "Hose"}])
    sqlite_shop.write_parquet("b.parquet", [{"sku": 124, "name": "Rake"}])

    with pytest.raises(
        SourceError, match=r"the column 'sku' of b\.parquet is an exact number \(int64\) and was text before"
    ):
        sync(sqlite_shop)
    assert table(sqlite_shop) == {}

    other_order = pa.schema({"name": pa.string(), "sku": pa.large_string()})
    sqlite_shop.write_parquet("b.parquet", [{"name": "Rake", "sku": "00124"}], other_order)
    assert counts(sync(sqlite_shop)) == {"inserted": 2}


def test_situation_20_a_quote_that_is_never_closed_refuses_the_file_from_its_line(sqlite_shop: Shop) -> None:
    sqlite_shop.feed()
    lines = csv_text(sqlite_shop).splitlines(keepends=True)
    lines[40] = lines[40].replace("Product", '"Product', 1)
    (sqlite_shop.folder / "products.csv").write_text("".join(lines), encoding="utf-8")

    with pytest.raises(SourceError, match="line 41"):
        sync(sqlite_shop)
    assert table(sqlite_shop) == {}
