"""From a spooled chunk to one that can be loaded: what becomes of each row, and which keys rows have."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from factories import make_feed, make_ref

import restock
from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SPOOL_COLUMNS, SUPERSEDED, Reject
from restock.contract import Contract, FieldSpec, Kind
from restock.errors import ChunkFailed
from restock.records import to_records
from transforms.apply import canonical_keys, transform_chunk

COLUMNS = {"sku": "Item", "name": "Title", "price": "Price"}
PRODUCT = Contract(
    {
        "sku": FieldSpec("sku", Kind.INTEGER, nullable=False, is_key=True, minimum=0),
        "name": FieldSpec("name", Kind.TEXT, length=20),
        "price": FieldSpec("price", Kind.DECIMAL, precision=8, scale=2),
        "stock": FieldSpec("stock", Kind.INTEGER),
    },
    key=("sku",),
)


NO_CELLS = dict.fromkeys(["Item", "Title", "Price", "Note"])


def spooled(*rows: dict, first: int = 101) -> pd.DataFrame:
    """Raw rows as the spool gives them back: text cells, then the spool's own columns."""
    frame = pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype="str") for name in ("Item", "Title", "Price", "Note")}
    )
    frame[ROW] = pd.Series(range(first, first + len(rows)), dtype="int64")
    frame[LINE] = pd.Series([row.get(LINE) for row in rows], dtype="Int64")
    frame[BYTE] = pd.Series([row.get(BYTE) for row in rows], dtype="Int64")
    frame[FAULT] = pd.Series([row.get(FAULT) for row in rows], dtype="str")
    frame[RAW] = pd.Series([row.get(RAW) for row in rows], dtype="str")
    frame[SUPERSEDED] = pd.Series([row.get(SUPERSEDED, False) for row in rows], dtype="bool")
    return frame


@pytest.fixture
def transform(refer):
    """Make a function the transform of a feed."""
    return lambda function: make_feed(columns=COLUMNS, transform=refer(function))


def test_each_row_becomes_one_thing():
    raw = spooled(
        {"Item": "1", "Title": "one", "Price": "1.50", "Note": "n"},
        {"Item": "2", "Title": "two", "Price": "cheap", "Note": "m", LINE: 7},
        {FAULT: "too_few_fields", RAW: "3;three", LINE: 8, BYTE: 90},
        {"Item": "4", SUPERSEDED: True},
        {"Item": "5", "Title": "five", FAULT: "duplicate_key"},
        {"Item": "6", FAULT: "duplicate_key", SUPERSEDED: True},
    )
    ref = make_ref(rows=6)

    chunk = transform_chunk(raw, ref, make_feed(columns=COLUMNS), PRODUCT)

    assert chunk.ref == ref
    assert to_records(chunk.frame) == [{"sku": 1, "name": "one", "price": Decimal("1.50")}]
    assert chunk.frame.index.tolist() == [101]
    assert chunk.rejects == [
        Reject(102, 7, "not_a_number", "price", "cheap", {"Item": "2", "Title": "two", "Price": "cheap", "Note": "m"}),
        Reject(103, 8, "too_few_fields", None, None, {**NO_CELLS, RAW: "3;three"}, byte=90),
        Reject(105, None, "duplicate_key", None, None, {"Item": "5", "Title": "five", "Price": None, "Note": None}),
    ]
    assert (chunk.superseded, chunk.skipped) == (2, 0)


def test_the_raw_frame_goes_on_under_the_rows_positions():
    raw = spooled({"Item": "1"}, {"Item": "2"})

    chunk = transform_chunk(raw, make_ref(), make_feed(columns=COLUMNS), PRODUCT)

    assert chunk.raw.index.tolist() == [101, 102]
    assert list(chunk.raw.columns) == ["Item", "Title", "Price", "Note", *SPOOL_COLUMNS]


@pytest.mark.parametrize(
    "where, names, codes",
    [(None, ["a", "b", "c"], []), ("price > 1", ["b"], ["not_a_number"]), ("price.isna()", ["a"], ["not_a_number"])],
)
def test_what_is_never_written_rejects_a_row_only_where_the_filter_cannot_judge_it(where, names, codes):
    columns = {"sku": "Item", "name": "Title", "price": {"from": "Price", "write": "never"}}
    needed = replace(PRODUCT, fields=PRODUCT.fields | {"price": replace(PRODUCT.fields["price"], nullable=False)})
    rows = [("1", "a", None), ("2", "b", "5"), ("3", "c", "cheap")]
    raw = spooled(*({"Item": item, "Title": title, "Price": price} for item, title, price in rows))

    chunk = transform_chunk(raw, make_ref(rows=3), make_feed(columns=columns, where=where), needed)

    assert [record["name"] for record in to_records(chunk.frame)] == names
    assert [reject.code for reject in chunk.rejects] == codes


def test_an_empty_chunk_stays_empty():
    chunk = transform_chunk(spooled(), make_ref(rows=0), make_feed(columns=COLUMNS), PRODUCT)

    assert (len(chunk.frame), chunk.rejects, chunk.skipped, chunk.superseded) == (0, [], 0, 0)
    assert list(chunk.frame.columns) == ["sku", "name", "price"]


def test_a_key_that_is_missing_is_a_reject():
    chunk = transform_chunk(spooled({"Title": "x"}), make_ref(), make_feed(columns=COLUMNS), PRODUCT)

    assert [(reject.code, reject.column, reject.value) for reject in chunk.rejects] == [("missing_key", "sku", None)]


def test_the_original_of_a_parquet_row_is_text_that_can_be_mended():
    raw = spooled({"Item": "1"}, {"Item": "x"})
    raw["Title"] = pd.Series([1.5, 2.5], dtype=pd.ArrowDtype(pa.float64()))
    raw["Note"] = pd.Series([None, Decimal("2.50")], dtype=pd.ArrowDtype(pa.decimal128(5, 2)))

    chunk = transform_chunk(raw, make_ref(), make_feed(columns=COLUMNS), PRODUCT)

    assert [(reject.code, reject.value, reject.original) for reject in chunk.rejects] == [
        ("wrong_type", "1.5", {"Item": "1", "Title": "1.5", "Price": None, "Note": None}),
        ("not_a_number", "x", {"Item": "x", "Title": "2.5", "Price": None, "Note": "2.50"}),
    ]


def test_a_transform_sees_attributes_positions_and_the_names_of_the_key(transform):
    seen = {}

    def look(frame):
        seen.update(columns=list(frame.columns), index=frame.index.tolist(), key=frame.attrs["key"])
        return frame

    transform_chunk(spooled({"Item": "1"}, {"Item": "2"}), make_ref(), transform(look), PRODUCT)

    assert seen == {"columns": ["sku", "name", "price"], "index": [101, 102], "key": ("sku",)}


def test_what_a_transform_drops_is_skipped_and_what_it_rejects_is_a_reject(transform):
    def choose(frame):
        frame = frame[frame["name"] != "drop"]
        frame = restock.reject(frame, frame["name"] == "refuse", "not_for_sale", "name")
        return restock.reject(frame, frame["name"] == "hidden", "hidden")

    raw = spooled(
        *[{"Item": str(n), "Title": title} for n, title in enumerate(["keep", "drop", "refuse", "hidden", "keep"])]
    )

    chunk = transform_chunk(raw, make_ref(), transform(choose), PRODUCT)

    assert to_records(chunk.frame[["sku"]]) == [{"sku": 0}, {"sku": 4}]
    assert chunk.skipped == 1
    assert [(reject.row, reject.code, reject.column, reject.value) for reject in chunk.rejects] == [
        (103, "not_for_sale", "name", "refuse"),
        (104, "hidden", None, None),
    ]


def test_a_rejected_row_that_comes_back_all_the_same_is_rejected_once(transform):
    def forget(frame):
        restock.reject(frame, [True, False], "first", "sku")
        restock.reject(frame, [True, False], "second", "sku")
        return frame

    chunk = transform_chunk(spooled({"Item": "x"}, {"Item": "2"}), make_ref(), transform(forget), PRODUCT)

    assert [(reject.row, reject.code) for reject in chunk.rejects] == [(101, "first")]
    assert (len(chunk.frame), chunk.skipped) == (1, 0)


def test_a_transform_may_add_attributes_and_leave_out_columns_that_are_not_key(transform):
    def add(frame):
        return frame.assign(stock=5).drop(columns=["price"])

    chunk = transform_chunk(spooled({"Item": "1", "Price": "x"}), make_ref(), transform(add), PRODUCT)

    assert to_records(chunk.frame) == [{"sku": 1, "name": None, "stock": 5}]


def test_transforms_run_in_order(refer):
    functions = [lambda frame: frame.assign(name="x"), lambda frame: frame.assign(name=frame["name"] + "2")]
    feed = make_feed(columns=COLUMNS, transform=[refer(function) for function in functions])

    chunk = transform_chunk(spooled({"Item": "1"}), make_ref(), feed, PRODUCT)

    assert to_records(chunk.frame)[0]["name"] == "x2"


def test_what_a_transform_does_to_its_frame_in_place_leaves_the_originals_alone(transform):
    def overwrite(frame):
        frame["price"] = "x"
        return frame

    chunk = transform_chunk(spooled({"Item": "1", "Price": "2"}), make_ref(), transform(overwrite), PRODUCT)

    assert (chunk.rejects[0].value, chunk.rejects[0].original["Price"]) == ("x", "2")


def test_rows_may_come_back_in_another_order(transform):
    raw = spooled({"Item": "1"}, {"Item": "2"})

    chunk = transform_chunk(raw, make_ref(), transform(lambda frame: frame.iloc[::-1]), PRODUCT)

    assert chunk.frame["sku"].to_dict() == {102: 2, 101: 1}


def test_a_column_that_the_model_does_not_have_fails_the_chunk():
    feed = make_feed(columns={**COLUMNS, "remark": "Note"})

    with pytest.raises(ChunkFailed, match="chunk 1 of run run-1 has the column remark, which the model does not have"):
        transform_chunk(spooled({"Item": "1"}), make_ref(), feed, PRODUCT)


def test_a_chunk_without_the_column_that_orders_versions_fails_unless_none_of_its_rows_can_be_loaded():
    contract = replace(PRODUCT, version="stock")
    feed = make_feed(columns=COLUMNS | {"stock": {"from": "Stock", "optional": True}}, version_column="stock")

    with pytest.raises(ChunkFailed, match=r"does not have stock, by which feed 'products' tells newer rows"):
        transform_chunk(spooled({"Item": "1", "Title": "one"}), make_ref(rows=1), feed, contract)
    chunk = transform_chunk(spooled({"Item": "1", FAULT: "drift"}), make_ref(rows=1), feed, contract)
    assert [reject.code for reject in chunk.rejects] == ["drift"]


def keys_of(raw: pd.DataFrame, contract: Contract = PRODUCT, **keys) -> list[dict]:
    return to_records(canonical_keys(raw, make_feed(**{"columns": COLUMNS} | keys), contract))


def test_two_spellings_of_a_number_are_one_key():
    raw = spooled({"Item": "7"}, {"Item": "007"}, {"Item": "+7"}, {"Item": "x"}, {"Item": None}, {FAULT: "quote"})

    assert keys_of(raw) == [{"sku": 7}] * 3 + [{"sku": None}] * 3


def test_bytes_that_are_text_are_keys_in_the_form_of_the_feed():
    cells = pd.array([b"a ", b"A", b"\xff", None], dtype=pd.ArrowDtype(pa.binary()))
    raw = spooled(*[{"Item": None}] * 4).assign(Item=cells)
    feed = make_feed(columns={"sku": "Item"}, key_form={"trim": True, "case": "upper"})

    chunk = transform_chunk(raw, make_ref(), feed, Contract({"sku": FieldSpec("sku", Kind.TEXT)}, key=("sku",)))

    assert chunk.frame["sku"].dropna().tolist() == ["A", "A"]
    assert [reject.code for reject in chunk.rejects] == ["encoding"]


def test_keys_keep_the_index_of_the_raw_frame():
    raw = spooled({"Item": "1"}, {"Item": "x"}).set_axis([3, 3], axis="index")

    assert canonical_keys(raw, make_feed(columns=COLUMNS), PRODUCT).index.tolist() == [3, 3]


def test_a_key_that_fits_in_part_only_is_missing_as_a_whole():
    contract = Contract(PRODUCT.fields, key=("sku", "name"))

    assert keys_of(spooled({"Item": "1", "Title": "a"}, {"Item": "1"}, {"Item": "x", "Title": "a"}), contract) == [
        {"sku": 1, "name": "a"},
        {"sku": None, "name": None},
        {"sku": None, "name": None},
    ]


def test_a_key_that_the_feed_does_not_fill_is_missing_in_every_row():
    contract = Contract(PRODUCT.fields, key=("stock", "sku"))

    assert keys_of(spooled({"Item": "1"}), contract) == [{"stock": None, "sku": None}]


def test_the_version_comes_last_where_the_newest_row_counts():
    contract = Contract(PRODUCT.fields, key=("sku",), version="price")
    raw = spooled({"Item": "1", "Price": "2.5"}, {"Item": "2", "Price": "x"})

    assert keys_of(raw, contract, version_column="price") == [
        {"sku": 1, "price": Decimal("2.50")},
        {"sku": 2, "price": None},
    ]
    assert keys_of(raw, contract, version_column="price", on_duplicate="last") == [{"sku": 1}, {"sku": 2}]
