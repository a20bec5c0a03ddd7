"""The hard files that other people published, each with what its README says of it. See tests/data/README.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from factories import make_feed, make_ref

from restock.chunks import BYTE, FAULT, LINE, SPOOL_COLUMNS
from restock.contract import Contract, FieldSpec, Kind
from restock.errors import SourceError
from transforms.apply import transform_chunk


@dataclass(frozen=True)
class Hard:
    """What a file must come to under some rules: rows, columns, rows at fault by line, and some of its cells."""

    rows: int
    columns: int
    rules: dict[str, Any] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    cells: dict[tuple[int, str], str | None] = field(default_factory=dict)


SEMICOLON = {"delimiter": ";"}
HARD = {
    "mixed_decimal.csv": Hard(5, 2, SEMICOLON, cells={(0, "B"): "5,5", (3, "B"): "5.555"}),
    "decimal_separators.csv": Hard(5, 2, SEMICOLON, cells={(2, "commas"): "1,53e4", (3, "periods"): "+1.53e4"}),
    "leading_zeros.csv": Hard(6, 8, cells={(0, "CODGEO"): "09001"}),
    "big_number.csv": Hard(1, 1, cells={(0, "bignumber"): "82544000000000707.52"}),
    "integer_exponent.csv": Hard(3, 3, cells={(2, "c"): "1E-7"}),
    "mixed_new_line.csv": Hard(
        3, 3, {"header_rows": 0, "names": ["a", "b", "c"]}, cells={(1, "c"): "6", (2, "c"): "9"}
    ),
    "missing_many_col.csv": Hard(2, 13, {"names": list("abcdefghijklm")}, cells={(0, "m"): "value1", (0, "d"): None}),
    "utf8bom.csv": Hard(2, 2, cells={(0, "id"): "1", (1, "name"): "Hannes"}),
    "latin1.csv": Hard(12, 2, {"encoding": "latin-1"}, cells={(0, "name"): "José Álvarez", (1, "name"): "Müller"}),
    "only_utf16.csv": Hard(
        6, 2, {"encoding": "utf-16", "header_rows": 0, "names": ["a", "b"]}, cells={(5, "a"): "ŁŁŁŁ ŁŁŁŁŁŁ"}
    ),
    "nullbyte_header.csv": Hard(1, 2, {"delimiter": "|", "names": ["a", "b"]}, cells={(0, "b"): "val2"}),
    "invalid_utf_header.csv": Hard(10, 3, {"names": ["a", "b", "c"]}, cells={(9, "b"): "valid"}),
    "multiple_errors.csv": Hard(
        7,
        4,
        faults={
            4: "too_many_fields",
            5: "too_many_fields",
            6: "quote",
            7: "too_few_fields",
            8: "too_few_fields",
        },
        cells={(1, " barks"): " 5"},
    ),
    "unquoted_new_line.csv": Hard(7, 2, faults={5: "quote"}, cells={(4, "a"): "bla", (6, "b"): "3"}),
    "unescaped_quote.csv": Hard(
        6,
        2,
        {**SEMICOLON, "header_rows": 0, "names": ["a", "b"]},
        faults=dict.fromkeys(range(1, 7), "quote"),
    ),
    "invalid_rows.csv": Hard(
        2, 2, {**SEMICOLON, "comment": "#", "skip_until": "a;b"}, cells={(0, "b"): "3", (1, "a"): "6"}
    ),
    "multiple_quoted_nulls.csv": Hard(
        3, 3, cells={(1, "age"): "null", (1, "height"): None, (2, "height"): "none", (0, "height"): "1.73"}
    ),
    "locations_row_trailing_comma.csv": Hard(1, 4, faults={2: "too_many_fields"}),
    "locations_header_trailing_comma.csv": Hard(
        1, 5, {"names": ["id", "name", "lat", "lon", "x"]}, faults={2: "too_few_fields"}
    ),
    "double_trouble.csv": Hard(2736, 2, {"delimiter": "|"}, cells={(2735, "number"): "123,000"}),
    "banklist.csv": Hard(
        568, 7, {"encoding": "cp1252"}, cells={(1, "Acquiring Institution\xa0"): "Dream First Bank, N.A."}
    ),
    "test_apple_financial.csv.gz": Hard(
        2,
        18,
        {"delimiter": "\t", "skip_lines": 3, "trailing_delimiter": True},
        cells={(0, "Partner Share"): "99.99", (0, "Customer Price"): "99.990"},
    ),
    "structure-errors.csv": Hard(4, 3, faults={5: "too_many_fields"}, cells={(2, "id"): None, (2, "age"): None}),
    "duplicate-rows.csv": Hard(3, 3, cells={(0, "id"): "1101", (2, "id"): "1101"}),
    "blank-headers.csv": Hard(2, 3, {"names": ["id", "name", "age"]}, cells={(1, "name"): "Julie"}),
    "issue-1138.csv": Hard(
        7,
        3,
        {**SEMICOLON, "trailing_delimiter": True},
        cells={(0, "Zeit [MEZ]"): "09.07.2013 12:00:00", (6, "Wasserstand"): "142"},
    ),
    "escaping.csv": Hard(
        3,
        2,
        {"delimiter": ", ", "escape": "\\"},
        cells={(0, "Test"): "Test line 1", (1, "Test"): 'Test " line 2', (2, "Test"): 'Test " line 3'},
    ),
    "table-with-accents.csv": Hard(638, 8, {**SEMICOLON, "encoding": "latin-1"}, cells={(0, "Année"): "2013"}),
    "issue-825.csv": Hard(2, 3, cells={(0, "2011"): "23.824", (1, "2010"): "in restauro"}),
    "schema-errors.csv": Hard(4, 3, faults={5: "too_many_fields"}, cells={(2, "id"): "i_should_be_a_number"}),
    "numeric-labels.csv": Hard(3, 10, cells={(0, "100047"): "FALSE", (2, "id"): "id3"}),
    "table-infer-iso-8859-7.csv": Hard(4, 3, {"encoding": "iso-8859-7"}, cells={(0, "name"): "Λεωνιδας"}),
    # Its authors' JSON has CRLF in this cell; the file as they keep it has LF, and a cell is what the file says.
    "newlines_crlf.csv": Hard(3, 3, cells={(1, "a"): "Once upon \na time"}),
    "mac_newlines.csv": Hard(2, 3, cells={(1, "a"): "Once upon\ra time"}),
    "test_header_newline.csv": Hard(1, 3, cells={(0, "c"): "f"}),
    "test_locale.csv": Hard(1, 3, cells={(0, "a"): "1,7", (0, "b"): "200.000.000", (0, "c"): None}),
    "test_utf16_big.csv": Hard(2, 3, {"encoding": "utf-16"}, cells={(1, "c"): "ʤ"}),
    "bad.csv": Hard(
        3, 3, faults={2: "too_many_fields", 3: "too_few_fields"}, cells={(2, "column_b"): "mixed types.... uh oh"}
    ),
    "FY09_EDU_Recipients_by_State.csv": Hard(
        53, 9, {"trailing_delimiter": True}, cells={(0, "Code"): "01", (52, "State Name"): None}
    ),
    "airedale.csv": Hard(54, 8, cells={(0, "Amount"): "43,774.58", (0, "Payment Date"): "16/07/2010"}),
    "milk.csv": Hard(
        380, 23, {"delimiter": "\t", "names": [f"c{n}" for n in range(23)]}, cells={(0, "c0"): "1987", (0, "c1"): None}
    ),
    "hs17_product_codes.csv.gz": Hard(5384, 2, cells={(5383, "code"): "999999"}),
    "abtbuy_buy.csv": Hard(1092, 4),
}


@pytest.mark.parametrize("name", HARD)
def test_a_hard_file_is_read_right_once_its_dialect_is_declared(data, read, name):
    hard = HARD[name]

    frame = read(data / "csv" / name, rows=100, csv=hard.rules)

    names = [column for column in frame.columns if column not in SPOOL_COLUMNS]
    marked = frame[frame[FAULT].notna()]
    cells = {(row, column): frame[column].iloc[row] for row, column in hard.cells}
    assert (len(frame), len(names)) == (hard.rows, hard.columns)
    assert dict(zip(marked[LINE], marked[FAULT], strict=True)) == hard.faults
    assert marked[BYTE].notna().all()
    assert {place: None if pd.isna(cell) else cell for place, cell in cells.items()} == hard.cells


REFUSED = {
    "missing_many_col.csv": ({}, "without a name"),
    "nullbyte_header.csv": ({"delimiter": "|"}, "NUL"),
    "invalid_utf_header.csv": ({}, r"not in utf-8: byte 15 \(0xff\)"),
    "latin1.csv": ({"encoding": "ascii"}, "cannot be decoded"),
    "only_utf16.csv": ({}, r"not in utf-8: byte 0 \(0xff\).*looks like utf-16"),
    "test_utf16_big.csv": ({}, r"not in utf-8: byte 0 \(0xfe\).*looks like utf-16"),
    "banklist.csv": ({}, r"not in utf-8: byte 9 \(0xa0\)"),
    "locations_header_trailing_comma.csv": ({}, "without a name"),
    "blank-headers.csv": ({}, "without a name"),
    "milk.csv": ({"delimiter": "\t"}, "without a name"),
    "FY09_EDU_Recipients_by_State.csv": ({}, "without a name"),
    "issue-1138.csv": (SEMICOLON, "without a name"),
    "invalid_rows.csv": ({**SEMICOLON, "comment": "#", "names": ["a", "b"]}, "has 1 columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hard_file_is_refused_with_the_place_until_its_dialect_is_declared(data, read, name):
    rules, sentence = REFUSED[name]

    with pytest.raises(SourceError, match=sentence):
        read(data / "csv" / name, csv=rules)


EXPONENT = "not_a_number"  # 1,53e4 is not how the feed's rules write numbers, so it is a reject and no guess
NUMBERS = [
    ("mixed_decimal.csv", "B", {**SEMICOLON, "decimal": ","}, ["5.5", "5.5", "5", "not_a_number", "5.5"]),
    ("decimal_separators.csv", "commas", {**SEMICOLON, "decimal": ","}, ["1.1", "0.25", EXPONENT]),
    ("decimal_separators.csv", "periods", SEMICOLON, ["1.1", "0.25", EXPONENT]),
    ("big_number.csv", "bignumber", {}, ["82544000000000707.52"]),
    ("integer_exponent.csv", "c", {}, ["3", "6", EXPONENT]),
    ("issue-825.csv", "2011", {"thousands": ".", "decimal": ","}, ["23824", "not_a_number"]),
    ("test_locale.csv", "a", {"decimal": ",", "thousands": "."}, ["1.7"]),
    ("test_locale.csv", "b", {"decimal": ",", "thousands": "."}, ["200000000"]),
    ("airedale.csv", "Amount", {"thousands": ","}, ["43774.58"]),
    ("double_trouble.csv", "number", {"delimiter": "|", "thousands": ","}, ["123000"]),
    # Undeclared signs:
    ("double_trouble.csv", "number", {"delimiter": "|"}, ["not_a_number"]),
    ("airedale.csv", "Amount", {}, ["not_a_number"]),
    ("test_locale.csv", "a", {}, ["not_a_number"]),
]


@pytest.mark.parametrize("name,column,rules,values", NUMBERS)
def test_numbers_mean_what_the_feed_declares_and_nothing_else(data, read, name, column, rules, values):
    frame = read(data / "csv" / name, csv=rules).head(len(values))
    feed = make_feed(columns={"number": column}, csv=rules)
    contract = Contract({"number": FieldSpec("number", Kind.DECIMAL, precision=30, scale=10)}, ())

    chunk = transform_chunk(frame, make_ref(rows=len(frame)), feed, contract)

    found: dict[int, Any] = {reject.row: reject.code for reject in chunk.rejects}
    found |= chunk.frame["number"].to_dict()
    expected = [value if value == "not_a_number" else Decimal(value) for value in values]
    assert [found[row] for row in sorted(found)] == expected
