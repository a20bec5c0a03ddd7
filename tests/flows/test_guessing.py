"""`restock feed guess`: what it prints is a feed that restock takes as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from fix_shop import MakeShop
from shops import Shop
from stories.doorway import run_here

from flows.looking.matching import match_columns
from restock.feeds_file import read_feeds

FILES = Path(__file__).parent.parent / "data" / "csv"

SURPLUS = """\
class Product(db.Model):
    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    nsn: Mapped[str] = mapped_column(sa.String(20))
    item_name: Mapped[str | None] = mapped_column(sa.String(100))
    quantity: Mapped[int]
    acquisition_cost: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(12, 2))
    ship_date: Mapped[dt.date]
"""
GERMAN = """\
class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 2))
    stock: Mapped[int | None]
    in_stock: Mapped[bool | None]
    updated_at: Mapped[dt.datetime | None]
    made_in: Mapped[str | None] = mapped_column(sa.String(2))
"""
GERMAN_ROWS = """\
Artikelnummer;Bezeichnung;Preis;Bestand;In Stock;Updated-At;Made in;Farbe
00123;Gartenschlauch;1.234,50 €;7;ja;31.12.2025 14:30;NA;grün
00124;Häcksler;99,00 €;-;nein;01.02.2026 08:00;DE;blau
00125;Rechen;12,00 €;3;ja;13.02.2026 08:00;DE;blau
"""


def guess(shop: Shop, capfd: pytest.CaptureFixture[str], file: str, *options: str) -> tuple[str, dict[str, Any]]:
    """What is proposed, put into feeds.yaml as it is: its text, and the one feed in it."""
    said = run_here(capfd, "feed", "guess", str(shop.folder / file), "--model", shop.model(), *options)
    assert said.status == 0, said.err
    (shop.folder / "feeds.yaml").write_text(said.out, encoding="utf-8")
    assert read_feeds(shop.folder / "feeds.yaml")
    [(name, feed)] = yaml.safe_load(said.out)["feeds"].items()
    return said.out, {"name": name, **feed}


def synced(capfd: pytest.CaptureFixture[str], name: str) -> dict[str, Any]:
    """The summary of the feed's sync, which must be what a check before it said."""
    [check] = run_here(capfd, "check", name, "--json").answer["checks"]
    said = run_here(capfd, "sync", name, "--json")
    assert said.status == 0, said.err
    assert check["accepted"] == said.answer["inserted"]
    assert check["rejected"] == said.answer["rejected"]
    return said.answer


def test_a_catalogue_with_prices_in_dollars_loads_as_guessed(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(FILES / "abtbuy_buy.csv", sqlite_shop.folder)

    text, feed = guess(sqlite_shop, capfd, "abtbuy_buy.csv")

    assert feed["columns"] == {"sku": "unique_id", "name": "title", "price": "price"}
    assert feed["match_on"] == ["sku"]
    assert feed["csv"] == {"encoding": "utf-8", "currency": ["$"], "thousands": ","}
    assert "# not used: description" in text
    assert synced(capfd, "abtbuy-buy")["inserted"] == 1092
    prices = {row["sku"]: row["price"] for row in sqlite_shop.rows("product", "sku", "price")}
    assert len([price for price in prices.values() if price is not None]) == 590


def test_a_gzipped_catalogue_loads_as_guessed(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(
        sqlite_url,
        'class Product(db.Model):\n    __tablename__ = "product"\n\n'
        "    code: Mapped[str] = mapped_column(sa.String(6), primary_key=True)\n"
        "    description: Mapped[str] = mapped_column(sa.Text)\n",
    )
    shutil.copy(FILES / "hs17_product_codes.csv.gz", shop.folder)

    _, feed = guess(shop, capfd, "hs17_product_codes.csv.gz", "--name", "customs")

    assert feed["match_on"] == ["code"]
    assert synced(capfd, "customs")["inserted"] == 5384


def test_rows_without_a_key_and_dates_of_another_country_load_as_guessed(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, SURPLUS)
    shutil.copy(FILES / "us_surplus_ks_1033.csv", shop.folder)

    text, feed = guess(shop, capfd, "us_surplus_ks_1033.csv", "--name", "surplus")

    assert "match_on" not in feed
    assert "doubt: no column fills id, so rows cannot be recognised" in text
    assert feed["csv"]["date_format"] == "%m/%d/%Y %H:%M:%S"
    assert synced(capfd, "surplus")["inserted"] == 1575


def test_a_supplier_of_another_language_is_understood_and_doubts_are_said(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, GERMAN)
    (shop.folder / "Preise 2026.csv").write_text(GERMAN_ROWS, encoding="cp1252")

    text, feed = guess(shop, capfd, "Preise 2026.csv")

    assert feed["name"] == "preise-2026"
    assert feed["columns"] == {
        "sku": "Artikelnummer",
        "name": "Bezeichnung",
        "price": "Preis",
        "stock": "Bestand",
        "in_stock": "In Stock",
        "updated_at": "Updated-At",
        "made_in": "Made in",
    }
    rules = feed["csv"]
    assert (rules["delimiter"], rules["decimal"], rules["thousands"], rules["currency"]) == (";", ",", ".", ["€"])
    assert rules["null_values"] == ["", "-"]
    assert rules["datetime_format"] == "%d.%m.%Y %H:%M"
    assert {"ja", "nein"} <= {*rules["true_values"], *rules["false_values"]}
    assert "doubt: NA stands in 1 row and stays text unless null_values names it" in text
    assert (
        "doubt: timestamps that name no zone are taken for UTC; name theirs, such as Europe/Berlin: a column without a "
        "zone then gets UTC, so leave timezone out to store the clock time as it is written"
    ) in text
    assert "doubt: no UTF-8; its letters look like cp1252, or else" in text
    assert "# not used: Farbe # grün | blau" in text
    assert synced(capfd, "preise-2026")["inserted"] == 3
    assert [row["made_in"] for row in shop.rows("product")] == ["NA", "DE", "DE"]


@pytest.mark.parametrize(
    "text, rules",
    [
        ("Report of May\nby the till\n\nsku;name\n1;Hose\n2;Rake\n", {"delimiter": ";", "skip_lines": 3}),
        ("Report,,\n,,\nsku,name,price\n1,Hose,2\n2,Rake,3\n", {"skip_lines": 2}),
        ("Report,,\nsku,name,\n1,Hose,\n2,Rake,\n", {"trailing_delimiter": True, "skip_lines": 1}),
        ("Report of May\nsku,name,price\n1,Hose,2\n", {"skip_lines": 1}),
        ("# of May\nsku,name\n1,Hose\n# middle\n2,Rake\n", {"comment": "#"}),
        ("sku|name|\n1|Hose|\n2|Rake|\n", {"delimiter": "|", "trailing_delimiter": True}),
        ("sku,name,\n1,Hose,\n2,Rake,\n", {"trailing_delimiter": True}),
        ('sku\tname\n1\tHose 3/4"\n2\tRake 1"\n', {"delimiter": "\t", "quote": None}),
        ("sku,name\n1,'Hose, green'\n2,'Rake, red'\n", {"quote": "'"}),
        ("sku||name\n1||Hose\n2||Rake\n", {"delimiter": "||"}),
        ('sku, name\n1, "Hose, green"\n2, Rake\n', {"delimiter": ", "}),
        ('sku,\tname\n1,\t"Hose, green"\n2,\tRake\n', {"delimiter": ",\t"}),
        ("sku;name;price;\n;;net;gross\n1;Hose;2;3\n2;Rake;3;4\n", {"delimiter": ";", "header_rows": 2}),
        (
            "Shop\n;;A;B\nsku;name;price;price\n1;Hose;2;3\n2;Rake;3;4\n",
            {"delimiter": ";", "header_rows": 2, "skip_lines": 1},
        ),
        ("sku::name::\n1::Hose::\n2::Rake::\n", {"delimiter": "::", "trailing_delimiter": True}),
    ],
)
def test_the_layout_of_a_table_is_guessed(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], text: str, rules: dict[str, Any]
) -> None:
    (sqlite_shop.folder / "f.csv").write_text(text, encoding="utf-8")

    _, feed = guess(sqlite_shop, capfd, "f.csv")

    assert feed["csv"] == {"encoding": "utf-8"} | rules
    assert synced(capfd, "f")["inserted"] == text.count("Hose") + text.count("Rake")


def test_a_header_above_each_page_of_a_report_is_skipped(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    page = "Report;;;\n\nsku;;name;price\n{0}1;;Hose;2,50\n{0}2;;Rake;3,00\n"
    (sqlite_shop.folder / "f.csv").write_text("".join(map(page.format, "ABC")), encoding="utf-8")

    text, feed = guess(sqlite_shop, capfd, "f.csv")

    names = ["sku", "column 2", "name", "price"]
    layout = {"skip_lines": 2, "comment": "sku;;name;price", "header_rows": 0, "names": names}
    assert {key: feed["csv"][key] for key in layout} == layout
    assert feed["columns"] == {"sku": "sku", "name": "name", "price": "price"}
    assert "doubt: the header stands there again and again; every line that begins so is skipped" in text
    summary = synced(capfd, "f")
    assert (summary["read"], summary["inserted"]) == (8, 6)


def test_long_texts_do_not_hide_the_delimiter(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    text = "<div>\n  <h3>Hose green</h3>\n" + "  <p>Une coupe moderne, dans une nuance facile à assortir.</p>\n" * 9
    rows = "".join(f'{n},"Hose {n}","{text}{n}",{n}\n' for n in range(9))
    (sqlite_shop.folder / "f.csv").write_text(f"sku,name,description,price\n{rows}", encoding="utf-8")

    _, feed = guess(sqlite_shop, capfd, "f.csv")

    assert feed["columns"] == {"sku": "sku", "name": "name", "price": "price"}
    assert synced(capfd, "f")["inserted"] == 9


def test_what_stands_beside_numbers_and_is_no_known_currency_is_a_doubt(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    (sqlite_shop.folder / "f.csv").write_text("sku,name,price\n1,Hose,Fr 4\n2,Rake,$5\n3,Axe,Fr 6\n", encoding="utf-8")

    text, feed = guess(sqlite_shop, capfd, "f.csv")

    assert feed["csv"]["currency"] == ["Fr", "$"]
    assert "doubt: Fr stands beside most numbers of a column; take it out if it is no currency" in text
    assert "doubt: $" not in text


def test_a_first_row_that_looks_like_values_is_a_doubt(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    (sqlite_shop.folder / "f.csv").write_text("sku,name,17\n1,Hose,4\n", encoding="utf-8")

    text, _ = guess(sqlite_shop, capfd, "f.csv")

    assert "doubt: the first row looks like values" in text


@pytest.mark.parametrize(
    "text, names",
    [
        ("sku;;name;price\n1;;Hose;2\n2;x;Rake;3\n", ["sku", "column 2", "name", "price"]),
        ("Report;;;\n\nsku; ;name;\n1;;Hose;\n2;x;Rake;\n", ["sku", "column 2", "name"]),
    ],
)
def test_columns_without_a_name_are_given_one(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], text: str, names: list[str]
) -> None:
    (sqlite_shop.folder / "f.csv").write_text(text, encoding="utf-8")

    said, feed = guess(sqlite_shop, capfd, "f.csv")

    assert feed["csv"]["names"] == names
    assert "doubt: the header names only some of its columns: give the others their own" in said
    assert (feed["columns"]["sku"], feed["columns"]["name"]) == ("sku", "name")
    assert synced(capfd, "f")["inserted"] == 2


def test_a_file_without_a_header_is_matched_by_its_values_with_doubts(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, GERMAN)
    rows = "A1;4,50;Gartenschlauch;7\nA2;1.099,00;Rechen;3\nA3;12,00;Rechen;12\n"
    (shop.folder / "f.csv").write_text(rows, encoding="utf-8")

    text, feed = guess(shop, capfd, "f.csv")

    assert feed["columns"] == {"sku": "column 1", "price": "column 2", "name": "column 3", "stock": "column 4"}
    assert (feed["csv"]["header_rows"], feed["csv"]["names"][0]) == (0, "column 1")
    assert "doubt: the first row looks like the others, so there seems to be no header" in text
    assert text.count("doubt: matched by its values and its place alone") == 4
    assert synced(capfd, "f")["inserted"] == 3


@pytest.mark.parametrize(
    "attribute, column",
    [
        ("status", "Zustand"),
        ("updated_at", "Geändert"),
        ("active", "Aktiv"),
        ("warehouse", "Lager"),
        ("sku", "Art.-Nr."),
        ("net_price", "VK netto"),
        ("weight_kg", "Gewicht (kg)"),
        ("net_price", "Nettopreis €"),
        ("net_price", "Prix HT (€)"),
        ("sku", "Référence"),
        ("name", "Nazwa"),
        ("stock", "Giacenza"),
        ("price", "Цена"),
    ],
)
def test_a_column_is_matched_by_its_meaning_in_another_language(attribute: str, column: str) -> None:
    [match] = match_columns(["Farbe", column], ["weight", attribute])

    assert (match.attribute, match.column, match.doubt) == (attribute, column, "matched by its meaning")


@pytest.mark.parametrize(
    "attribute, column", [("name", "NombreProducto"), ("price", "PrecioUnidad"), ("name", "artikelname")]
)
def test_the_words_of_a_column_are_told_apart_though_no_sign_parts_them(attribute: str, column: str) -> None:
    [match] = match_columns(["KeyProducto", column], ["weight", attribute])

    assert (match.column, match.doubt) == (column, "matched because its name holds the attribute's")


def test_columns_whose_names_tell_nothing_are_matched_by_values_that_one_attribute_alone_takes(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, GERMAN.replace("[decimal.Decimal | None]", "[decimal.Decimal]"))
    rows = "Код1;Товар;Стоимость;Осталось;Вид\n{}"
    lines = [f"A{n};Лопата № {n} с длинной ручкой из дерева;1 249,{n}0;{n};\n" for n in range(3)]
    (shop.folder / "f.csv").write_text(rows.format("".join(lines)), encoding="utf-8")

    text, feed = guess(shop, capfd, "f.csv")

    assert feed["columns"] == {"sku": "Код1", "name": "Товар", "price": "Стоимость"}
    assert feed["match_on"] == ["sku"]
    assert text.count("doubt: matched by its values alone") == 3
    assert "doubt: stock: nothing fills it; Осталось could, by its values alone" in text
    assert synced(capfd, "f")["inserted"] == 3


def test_a_column_that_two_attributes_could_take_or_that_is_named_as_something_else_is_matched_with_none(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, GERMAN)
    (shop.folder / "f.csv").write_text("sku,name,x,weight\nA1,Hose,3,1.5\nA2,Rake,4,2.5\n", encoding="utf-8")

    text, feed = guess(shop, capfd, "f.csv")

    assert feed["columns"] == {"sku": "sku", "name": "name"}
    assert "by its values" not in text


def test_spaces_and_gaps_are_no_values_of_what_must_have_one(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, GERMAN)
    (shop.folder / "f.csv").write_text("sku,x,y,price\nA1,, ,3.5\nA2,Rake, ,4\n", encoding="utf-8")

    text, feed = guess(shop, capfd, "f.csv")

    assert feed["columns"] == {"sku": "sku", "price": "price"}
    assert "doubt: name: nothing fills it" in text


@pytest.mark.parametrize(
    "prices, is_doubt", [(("1.234", "2.345"), True), (("1.234", "2,50"), False), (("1.234.567", "2.345"), False)]
)
def test_thousands_that_may_be_decimals_are_a_doubt(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str], prices: tuple[str, str], is_doubt: bool
) -> None:
    shop = make_shop(sqlite_url, GERMAN)
    rows = "".join(f"{number};Hose;{price}\n" for number, price in enumerate(prices))
    (shop.folder / "f.csv").write_text(f"sku;name;price\n{rows}", encoding="utf-8")

    text, feed = guess(shop, capfd, "f.csv")

    assert (feed["csv"]["decimal"], feed["csv"]["thousands"]) == (",", ".")
    assert ("doubt: 1.234 is read as 1234" in text) is is_doubt


def test_a_number_that_may_mean_two_things_is_a_doubt(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, GERMAN.replace("sa.Numeric(10, 2)", "sa.Numeric(10, 3)"))
    (shop.folder / "f.csv").write_text('sku,name,price\n1,Hose,"1,234"\n2,Rake,"2,500"\n', encoding="utf-8")

    text, _ = guess(shop, capfd, "f.csv")

    assert "doubt: 1,234 is read as 1.234; with decimal '.' it is 1234.000" in text


def test_a_day_that_may_be_a_month_is_a_doubt(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, SURPLUS)
    header = "nsn,item_name,quantity,acquisition_cost,ship_date"
    (shop.folder / "f.csv").write_text(f"{header}\n1,Hose,1,1.00,03/04/2026\n", encoding="utf-8")

    text, feed = guess(shop, capfd, "f.csv")

    assert feed["csv"]["date_format"] == "%d/%m/%Y"
    assert "doubt: %m/%d/%Y would read the sample as well, as other days" in text


def test_what_does_not_fit_is_counted_beside_its_column(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{number},Hose,{price}\n" for number, price in enumerate(["1.00", "ask us", "2.00", "1.005"]))
    (sqlite_shop.folder / "f.csv").write_text("sku,name,price\n" + rows, encoding="utf-8")

    text, _ = guess(sqlite_shop, capfd, "f.csv")

    assert "doubt: 1 of the 4 cells does not fit (not_a_number)" in text
    assert "doubt: 1 of the 4 cells does not fit (scale)" in text


def test_words_that_an_enumeration_does_not_store_are_a_doubt_that_lists_those_it_does(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(
        sqlite_url,
        'class Status(enum.Enum):\n    ACTIVE = "aktiv"\n    GONE = "ausgelaufen"\n\n\n'
        + GERMAN
        + "    status: Mapped[Status | None]\n",
    )
    (shop.folder / "f.csv").write_text("sku,name,status\n1,Hose,aktiv\n2,Rake,GONE\n", encoding="utf-8")

    text, _ = guess(shop, capfd, "f.csv")

    assert (
        "doubt: 1 of the 2 cells does not fit (not_in_enum); the model's Enum stores ACTIVE, GONE; "
        "a transform can make these words of others" in text
    )


def test_keys_that_repeat_or_were_shortened_by_a_spreadsheet_are_doubts(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    (sqlite_shop.folder / "f.csv").write_text("sku,name\n4.00638E+12,Hose\n4.00638E+12,4E+12\n", encoding="utf-8")

    text, _ = guess(sqlite_shop, capfd, "f.csv")

    assert "doubt: 1 of the first 2 rows with the key of another one" in text
    assert text.count("such as 4.00638E+12") == 2


def test_spaces_around_keys_are_a_doubt(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    (sqlite_shop.folder / "f.csv").write_text("name,\tsku\nHose,\t1\nRake,2\nAxe,3 \n", encoding="utf-8")

    text, feed = guess(sqlite_shop, capfd, "f.csv")

    assert feed["match_on"] == ["sku"]
    doubt = "doubt: 2 of the first 3 rows with spaces around sku, which count; `key_form: {trim: true}` leaves them out"
    assert doubt in text


def test_spaces_around_a_key_of_numbers_are_none(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(
        sqlite_url,
        GERMAN.replace("sku: Mapped[str] = mapped_column(sa.String(32),", "sku: Mapped[int] = mapped_column("),
    )
    (shop.folder / "f.csv").write_text("name,\tsku\nHose,\t1\nRake,2\n", encoding="utf-8")

    assert "spaces around" not in guess(shop, capfd, "f.csv")[0]


def test_keys_that_may_have_lost_their_zeros_are_a_doubt(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    codes = ["10121", "101290", "101310", "999999"]

    def guessed(*skus: str) -> str:
        lines = "".join(f"{sku},Hose\n" for sku in skus)
        (sqlite_shop.folder / "f.csv").write_text(f"sku,name\n{lines}", encoding="utf-8")
        return guess(sqlite_shop, capfd, "f.csv")[0]

    assert "1 of 4 with fewer than 6 digits" in guessed(*codes)
    assert "`key_form: {zero_pad: 6}` puts them back" in guessed(*codes)
    assert "zero_pad" not in guessed(*codes, "012345")
    assert "zero_pad" not in guessed(*codes, "A-1234")
    assert "zero_pad" not in guessed("1", "20", "30", "99")


def test_a_column_without_values_is_a_doubt(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    (sqlite_shop.folder / "f.csv").write_text("sku,name,price\n1,Hose,\n2,Rake,\n", encoding="utf-8")

    text, feed = guess(sqlite_shop, capfd, "f.csv")

    assert "# doubt: no values: it would empty what the table has; leave it out, or say `blank: keep`" in text
    assert feed["columns"] == {"sku": "sku", "name": "name", "price": "price"}


def test_samples_cannot_break_out_of_their_comment(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    name = '"a\nfeeds: {}\u2028- b\x85c"'
    (sqlite_shop.folder / "f.csv").write_text(f"sku,name,# x: [\n1,{name},y\n", encoding="utf-8")

    _, feed = guess(sqlite_shop, capfd, "f.csv")

    assert feed["columns"] == {"sku": "sku", "name": "name"}


def test_a_parquet_file_is_guessed_by_its_columns(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_parquet("f.parquet", [{"SKU": "1", "name": "Hose", "tags": ["a"], "colour": "red"}])

    text, feed = guess(sqlite_shop, capfd, "f.parquet")

    assert feed["columns"] == {"sku": "SKU", "name": "name"}
    assert "# not used: colour" in text
    assert synced(capfd, "f")["inserted"] == 1


def test_nested_columns_fill_what_holds_json_and_are_a_doubt_elsewhere(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, f"{GERMAN}    tags: Mapped[dict | None] = mapped_column(sa.JSON)\n")
    shop.write_parquet("f.parquet", [{"sku": "1", "name": "Hose", "tags": ["a"], "made_in": {"country": "DE"}}])

    text, feed = guess(shop, capfd, "f.parquet")

    assert feed["columns"] == {"sku": "sku", "name": "name", "tags": "tags"}
    assert "made_in: nothing fills it; made_in is nested, which fits only a column that holds JSON" in text
    assert synced(capfd, "f")["inserted"] == 1


def test_lists_fill_what_holds_lists(
    make_shop: MakeShop, postgresql_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(postgresql_url, f"{GERMAN}    tags: Mapped[list[str] | None] = mapped_column(sa.ARRAY(sa.Text))\n")
    shop.write_parquet("f.parquet", [{"sku": "1", "name": "Hose", "tags": ["a", "b"], "made_in": ["DE"]}])

    text, feed = guess(shop, capfd, "f.parquet")

    assert feed["columns"] == {"sku": "sku", "name": "name", "tags": "tags"}
    assert 'tags: tags # ["a", "b"]' in text
    assert "made_in is nested, which fits only a column that holds JSON or lists" in text
    assert synced(capfd, "f")["inserted"] == 1


def test_a_file_that_resembles_nothing_is_refused_with_both_lists(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    (sqlite_shop.folder / "f.csv").write_text('aaa,"bbb, ccc"\n1,2\n', encoding="utf-8")

    said = run_here(capfd, "feed", "guess", str(sqlite_shop.folder / "f.csv"), "--model", sqlite_shop.model())

    assert said.status == 2
    assert "the file has 'aaa', 'bbb, ccc', the model has id, sku, name" in said.sentence
    assert "write the feed yourself, with `columns: {attribute: column}`, as docs/feeds.md shows" in said.sentence


def test_a_model_without_an_app_beside_it_asks_for_one(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    (sqlite_shop.folder / "f.csv").write_text("sku,name\n1,Hose\n", encoding="utf-8")
    (sqlite_shop.folder / f"lonely_{sqlite_shop.package}.py").write_text("class Product: pass\n", encoding="utf-8")

    said = run_here(
        capfd, "feed", "guess", str(sqlite_shop.folder / "f.csv"), "--model", f"lonely_{sqlite_shop.package}:Product"
    )

    assert said.status == 2
    assert "name it with --app" in said.sentence
