"""The cast of whole frames: types, order, missing values, first faults, and every kind of column that is not a number
or a moment."""

from __future__ import annotations

import sys
import uuid
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.chunks import Fault
from restock.contract import Contract, FieldSpec, Kind
from restock.csv_rules import CsvRules
from restock.reasons import REASONS
from restock.records import to_records
from transforms.contract_check import cast, fitting

UUID = "12345678-1234-5678-9234-123456789012"


def contract(*fields: FieldSpec, key: tuple[str, ...] = ()) -> Contract:
    return Contract({field.name: field for field in fields}, key)


def arrow(cells, type_=None):
    return pd.arrays.ArrowExtensionArray(pa.array(cells, type_))


def plain_types(value) -> set[type]:
    if isinstance(value, dict):
        return {dict}.union(*map(plain_types, value.values()))
    return {list}.union(*map(plain_types, value)) if isinstance(value, list) else {type(value)}


def test_text_stays_as_it_was_written(read):
    cells = ["00123", "NA", "None", "4E12", " x ", "a\tb\nc", "", "Größe 👟", None]

    assert read(Kind.TEXT, cells) == (cells, {})


def test_text_is_measured_in_characters(read):
    assert read(Kind.TEXT, ["👟👟👟", "four", None], length=3) == (["👟👟👟", None], {1: "too_long"})


def test_nul_is_a_reject_only_where_the_database_cannot_store_it(read):
    assert read(Kind.TEXT, ["a\0b"], allows_nul=False) == ([], {0: "nul"})
    assert read(Kind.TEXT, ["a\0b"]) == (["a\0b"], {})


BYTES = [pa.binary(), pa.large_binary(), pa.binary(3)]


@pytest.mark.parametrize("type_", BYTES, ids=str)
@pytest.mark.parametrize(
    "kind,value", [(Kind.TEXT, "007"), (Kind.INTEGER, 7), (Kind.DECIMAL, Decimal(7)), (Kind.JSON, 7), (Kind.FLOAT, 7.0)]
)
def test_bytes_that_no_one_called_text_are_read_as_utf_8_or_rejected(read, type_, kind, value):
    """Old Parquet writers do not say which of their bytes are text."""
    cells = [b"7  ", b"\xff  ", None] if kind is Kind.JSON else [b"007", b"\xff7 ", None]

    values, faults = read(kind, arrow(cells, type_), dtype=None)

    assert values == [value, None]
    assert faults == {1: "json" if kind is Kind.JSON else "encoding"}


def test_bytes_without_a_type_are_read_as_utf_8_too(read):
    assert read(Kind.INTEGER, [b"7", b"\xff", "8", 9], dtype=object) == ([7, 8, 9], {1: "encoding"})


def test_a_lone_surrogate_is_a_reject_and_its_neighbours_stay(read):
    assert read(Kind.TEXT, ["a", "\ud800", None], dtype=object) == (["a", None], {1: "encoding"})


@pytest.mark.parametrize(
    "cells, type_, texts",
    [
        ([7, None], pa.int64(), ["7", None]),
        ([Decimal("1.50"), Decimal("0.00000001")], pa.decimal128(12, 8), ["1.50000000", "0.00000001"]),
        ([date(2026, 3, 1)], pa.date32(), ["2026-03-01"]),
        ([clock(10, 30)], pa.time32("s"), ["10:30:00"]),
        ([datetime(2026, 3, 1, 10)], pa.timestamp("s", "Europe/Berlin"), ["2026-03-01 10:00:00Z"]),  # noqa: DTZ001
        ([True], pa.bool_(), ["true"]),
        ([b"abc"], pa.binary(), ["abc"]),
        ([None], pa.null(), [None]),
        ([uuid.UUID(UUID).bytes, None], pa.uuid(), [UUID, None]),
        (["{}"], pa.json_(), ["{}"]),
        (["a", None], pa.dictionary(pa.int8(), pa.string()), ["a", None]),
        (["a"], pa.string_view(), ["a"]),
    ],
)
def test_other_exact_values_become_plain_text(read, cells, type_, texts):
    assert read(Kind.TEXT, arrow(cells, type_), dtype=None) == (texts, {})


@pytest.mark.parametrize(
    "cells, code", [([4006381333931.0], "wrong_type"), ([["a"]], "wrong_type"), ([b"\xff"], "encoding")]
)
def test_what_has_no_text_of_its_own_is_a_reject(read, cells, code):
    assert read(Kind.TEXT, arrow(cells), dtype=None) == ([], {0: code})


def test_moments_that_python_cannot_hold_still_have_a_text_for_the_report(read):
    spec = FieldSpec("day", Kind.DATE)

    _, faults = cast(pd.DataFrame({"day": arrow([2**30], pa.date32())}, index=[5]), contract(spec), CsvRules())

    assert faults[5][0].code == "out_of_range"
    assert faults[5][0].value is not None


def test_an_enum_takes_its_choices_exactly(read):
    values, codes = read(Kind.ENUM, ["new", "New", "old", "", None], choices=("new", "old"))

    assert (values, codes) == (["new", "old", None], {1: "not_in_enum", 3: "not_in_enum"})


def test_flags_are_read_from_the_declared_words_whatever_their_case(read):
    rules = CsvRules(true_values=("Ja", "1"), false_values=("nein",))

    values, codes = read(Kind.BOOLEAN, ["JA", " nein ", "1", "yes", None], rules)

    assert (values, codes) == ([True, False, True, None], {3: "not_a_flag"})


@pytest.mark.parametrize("type_", [pa.int8(), pa.uint64(), pa.float64(), pa.decimal128(20, 0)])
def test_zero_and_one_are_flags_and_other_numbers_are_not(read, type_):
    cells = pa.array([1, 0, 2, None], pa.int32()).cast(type_)

    assert read(Kind.BOOLEAN, arrow(cells), dtype=None) == ([True, False, None], {2: "not_a_flag"})


@pytest.mark.parametrize("kind", [Kind.BOOLEAN, Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT])
def test_nan_in_a_column_of_floats_is_no_value_and_an_infinite_number_is_a_reject(read, kind):
    values, codes = read(kind, arrow([1.0, float("nan"), float("-inf")]), dtype=None, precision=10, scale=2)

    assert (values, list(codes)) == ([1, None], [2])


def test_words_that_arrow_knows_are_flags_only_where_the_feed_knows_them(read):
    german = CsvRules(true_values=("ja", "1"), false_values=("nein", "0"))

    assert read(Kind.BOOLEAN, ["TRUE", "true", "1", "0", None]) == ([True, True, True, False, None], {})
    assert read(Kind.BOOLEAN, ["true", "1"], german) == ([True], {0: "not_a_flag"})
    assert read(Kind.BOOLEAN, ["true"], CsvRules(true_values=("0",), false_values=("true",))) == ([False], {})


def test_flags_stay_flags_and_other_types_are_none(read):
    assert read(Kind.BOOLEAN, arrow([True, None]), dtype=None) == ([True, None], {})
    assert read(Kind.BOOLEAN, arrow([date(2026, 3, 1)]), dtype=None) == ([], {0: "wrong_type"})


@pytest.mark.parametrize("cell", [UUID, UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f" {UUID} "])
def test_uuids_are_read_in_their_usual_spellings(read, cell):
    assert read(Kind.UUID, [cell, None]) == ([uuid.UUID(UUID), None], {})


@pytest.mark.parametrize("cell", ["12345678", UUID[:-1], UUID + "0", "urn:uuid:" + UUID, "1-" + UUID[2:]])
def test_other_text_is_no_uuid(read, cell):
    assert read(Kind.UUID, [cell]) == ([], {0: "not_a_uuid"})


def test_uuids_of_parquet_and_of_transforms_are_kept(read):
    of_parquet = pd.arrays.ArrowExtensionArray(pa.array([uuid.UUID(UUID).bytes], pa.uuid()))

    assert read(Kind.UUID, of_parquet, dtype=None) == ([uuid.UUID(UUID)], {})
    assert read(Kind.UUID, [uuid.UUID(UUID), 7], dtype=object) == ([uuid.UUID(UUID)], {1: "wrong_type"})


def test_uuids_of_transforms_become_text(read):
    assert read(Kind.TEXT, [uuid.UUID(UUID), "x"], dtype=object) == ([UUID, "x"], {})


def test_json_text_becomes_what_it_stands_for(read):
    cells = ['{"a": [1, "x", null]}', "[]", "null", '"text"', "1.5", None]

    assert read(Kind.JSON, cells) == ([{"a": [1, "x", None]}, [], None, "text", 1.5, None], {})


@pytest.mark.parametrize("cell", ["{", "NaN", '{"a": Infinity}', "'a'", "", "[" * 100_000, "1" * 5000])
def test_what_is_not_json_is_a_reject(read, cell):
    assert read(Kind.JSON, [cell]) == ([], {0: "json"})


def test_json_that_the_database_cannot_store_is_a_reject(read):
    cells = ['"\\u0000"', '"\\\\u0000"', '"\\ud800"', '"ü"']

    values, codes = read(Kind.JSON, cells, allows_nul=False)

    assert (values, codes) == (["\\u0000", "ü"], {0: "nul", 2: "encoding"})


def test_nested_values_of_parquet_become_json_if_json_can_hold_them(read):
    assert read(Kind.JSON, arrow([{"a": [1, None]}, None]), dtype=None) == ([{"a": [1, None]}, None], {})
    assert read(Kind.JSON, arrow([[date(2026, 3, 1)]]), dtype=None) == ([], {0: "json"})
    assert read(Kind.JSON, [np.int64(7), {"a": 1}], dtype=object) == ([7, {"a": 1}], {})


@pytest.mark.parametrize(
    "cell, span",
    [
        ("P1W", timedelta(weeks=1)),
        ("P1DT2H30M", timedelta(days=1, hours=2, minutes=30)),
        ("-PT1.5S", timedelta(seconds=-1.5)),
        ("PT0.1234567S", timedelta(microseconds=123456)),
    ],
)
def test_spans_of_time_are_read_from_iso_text(read, cell, span):
    assert read(Kind.INTERVAL, [cell, None]) == ([span, None], {})


@pytest.mark.parametrize(
    "cell, code",
    [
        *[(cell, "not_an_interval") for cell in ("P", "PT", "P1M", "1 day", "P1DT", "PT1S2M", "P" + "1" * 5000 + "D")],
        ("P999999999999D", "out_of_range"),
    ],
)
def test_other_text_is_no_span_of_time(read, cell, code):
    assert read(Kind.INTERVAL, [cell]) == ([], {0: code})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_of_parquet_are_spans_of_time(read, unit):
    assert read(Kind.INTERVAL, arrow([timedelta(days=2), None], pa.duration(unit)), dtype=None) == (
        [timedelta(days=2), None],
        {},
    )


def test_durations_that_python_cannot_hold_are_rejects(read):
    values, codes = read(Kind.INTERVAL, arrow([2**62, 1], pa.duration("s")), dtype=None)

    assert (values, codes) == ([timedelta(seconds=1)], {0: "out_of_range"})


@pytest.mark.parametrize("kind", [Kind.UUID, Kind.JSON, Kind.INTERVAL, Kind.BINARY, Kind.OTHER])
@pytest.mark.parametrize(
    "type_",
    [
        pa.timestamp("us"),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ms", "Europe/Berlin"),
        pa.timestamp("s"),
        pa.date64(),
    ],
)
def test_moments_that_python_cannot_hold_are_rejects_of_any_kind(read, type_, kind):
    far = pa.array([2**62 // 86_400_000 * 86_400_000, None]).cast(type_)

    assert read(kind, pd.arrays.ArrowExtensionArray(far), dtype=None) == ([None], {0: "out_of_range"})


def test_nanoseconds_of_a_duration_are_cut_off(read):
    assert read(Kind.INTERVAL, arrow([1999, -1], pa.duration("ns")), dtype=None)[0] == [
        timedelta(microseconds=1),
        timedelta(microseconds=-1),
    ]


def test_a_number_is_no_span_of_time(read):
    assert read(Kind.INTERVAL, arrow([7]), dtype=None) == ([], {0: "wrong_type"})


def test_bytes_stay_bytes_and_text_becomes_utf_8(read):
    assert read(Kind.BINARY, arrow([b"\xff\0", None]), dtype=None) == ([b"\xff\0", None], {})
    assert read(Kind.BINARY, ["ü", "ab", None], length=2) == ([b"\xc3\xbc", b"ab", None], {})
    assert read(Kind.BINARY, ["üb", "\ud800", 7], dtype=object, length=2) == (
        [],
        {0: "too_long", 1: "encoding", 2: "wrong_type"},
    )


def test_an_array_is_a_list_and_no_text(read):
    assert read(Kind.ARRAY, arrow([["red", "blue"], None]), dtype=None) == ([["red", "blue"], None], {})
    assert read(Kind.ARRAY, ["{red,blue}", None, "12"]) == ([None], {0: "not_a_list", 2: "not_a_list"})
    assert read(Kind.ARRAY, ['["red", "blue"]', "[]", '"red"']) == ([["red", "blue"], []], {2: "not_a_list"})


def test_a_column_of_unknown_type_is_passed_on_as_python_values(read):
    assert read(Kind.OTHER, ["(1,2)", None]) == (["(1,2)", None], {})
    assert read(Kind.OTHER, arrow([[1, 2], None]), dtype=None) == ([[1, 2], None], {})


@pytest.mark.parametrize("kind", list(Kind))
def test_a_missing_value_is_a_reject_where_the_column_needs_one(read, kind):
    assert read(kind, [None], nullable=False) == ([], {0: "null"})
    assert read(kind, [None], nullable=False, is_key=True) == ([], {0: "missing_key"})
    assert read(kind, [None]) == ([None], {})


def test_beside_a_missing_value_the_others_stay_also_where_no_array_holds_them(read):
    cells = ["9" * 80, None, "1.5"]

    assert read(Kind.DECIMAL, cells, nullable=False) == ([Decimal("9" * 80), Decimal("1.5")], {1: "null"})


def test_a_column_in_pieces_is_read_whole(read):
    column = pd.arrays.ArrowExtensionArray(pa.chunked_array([["7"], [None, "8.5"]], pa.string()))

    assert read(Kind.DECIMAL, column, dtype=None, precision=4, scale=1) == ([Decimal(7), None, Decimal("8.5")], {})


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_type_whatever_the_frame_holds(read, kind):
    types = {
        Kind.TEXT: "str",
        Kind.ENUM: "str",
        Kind.INTEGER: "int64[pyarrow]",
        Kind.DECIMAL: "decimal128(10, 2)[pyarrow]",
        Kind.FLOAT: "double[pyarrow]",
        Kind.BOOLEAN: "bool[pyarrow]",
        Kind.DATE: "date32[day][pyarrow]",
        Kind.TIME: "time64[us][pyarrow]",
        Kind.DATETIME: "timestamp[us, tz=UTC][pyarrow]",
        Kind.BINARY: "binary[pyarrow]",
    }
    spec = FieldSpec("cell", kind, precision=10, scale=2, timezone=True)

    for cells in ([], [None], [None, object()]):
        for dtype in ("str", object) if len(cells) < 2 else (object,):
            frame = pd.DataFrame({"cell": pd.Series(cells, dtype=dtype)})
            values, _ = cast(frame, contract(spec), CsvRules())
            assert str(values["cell"].dtype) == types.get(kind, "object")


def test_columns_come_in_the_order_of_the_contract_and_others_are_left_out():
    frame = pd.DataFrame({"c": ["3"], "b": ["2"], "a": ["1"]}, index=[9], dtype="str")
    fields = [FieldSpec("a", Kind.INTEGER), FieldSpec("absent", Kind.TEXT, nullable=False), FieldSpec("b", Kind.TEXT)]

    values, faults = cast(frame, contract(*fields), CsvRules())

    assert faults == {}
    assert list(values.columns) == ["a", "b"]
    assert values.index.tolist() == [9]
    assert to_records(values) == [{"a": 1, "b": "2"}]


def test_all_faults_of_a_row_are_told_in_the_order_of_the_contract():
    frame = pd.DataFrame({"b": ["x", "2"], "a": ["z", "y" * 300]}, index=[4, 7], dtype="str")

    values, faults = cast(frame, contract(FieldSpec("a", Kind.INTEGER), FieldSpec("b", Kind.INTEGER)), CsvRules())

    assert len(fitting(values, faults)) == 0
    assert faults == {
        4: [Fault("not_a_number", "a", "z"), Fault("not_a_number", "b", "x")],
        7: [Fault("not_a_number", "a", "y" * 199 + "…")],
    }


def test_a_column_of_many_python_types_is_read_value_by_value(read):
    cells = [1, "2", Decimal("3"), np.int64(4), 2**70, True, None, pd.NA, float("nan"), object()]

    values, codes = read(Kind.INTEGER, cells, dtype=object)

    assert (values, codes) == ([1, 2, 3, 4, 2**70, 1, None, None, None], {9: "wrong_type"})


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64", "category", "complex128", "bool"])
def test_columns_that_a_transform_made_never_stop_the_cast(read, dtype):
    for kind in Kind:
        values, codes = read(kind, [1, 0], dtype=dtype)
        assert len(values) + len(codes) == 2
        assert set(codes.values()) <= set(REASONS)


# pandas itself cannot look at a signalling NaN.
decimals = st.decimals().filter(lambda number: not number.is_snan())
cells = st.one_of(
    *[st.none(), st.booleans(), st.integers(), st.floats(), decimals, st.text(), st.binary(), st.dates()],
    *[st.datetimes(), st.times(), st.timedeltas(), st.uuids(), st.lists(st.integers())],
    *[st.integers(0, 9).map(np.int64), st.floats(width=32).map(np.float32), st.booleans().map(np.bool_)],
)


@given(st.sampled_from(list(Kind)), st.lists(cells))
def test_no_cell_stops_the_cast_and_no_numpy_or_pandas_value_comes_out(read, kind, cells):
    values, codes = read(kind, cells, dtype=object, precision=10, scale=2, length=20, allows_nul=False)

    assert len(values) + len(codes) == len(cells)
    assert set(codes.values()) <= set(REASONS)
    for value in values:
        assert {type_.__module__.partition(".")[0] for type_ in plain_types(value)} <= {
            *("builtins", "decimal", "datetime", "uuid"),
        }


@given(st.sampled_from(list(Kind)), st.lists(st.none() | st.text(st.characters(codec="utf-8"))))
def test_no_text_stops_the_cast(read, kind, cells):
    values, codes = read(kind, cells, CsvRules(thousands=",", currency="$", timezone="Europe/Berlin"))

    assert len(values) + len(codes) == len(cells)


def test_a_clean_chunk_is_cast_column_by_column_and_not_row_by_row():
    rows = range(50_000)
    columns = {
        "id": (Kind.INTEGER, [str(row) for row in rows]),
        "sku": (Kind.TEXT, [f"S-{row:07}" for row in rows]),
        "name": (Kind.TEXT, [f"Product number {row}" for row in rows]),
        "price": (Kind.DECIMAL, [f"${row / 7:,.2f}" for row in rows]),
        "stock": (Kind.INTEGER, [str(row % 50) for row in rows]),
        "active": (Kind.BOOLEAN, [("yes", "no")[row % 2] for row in rows]),
        "since": (Kind.DATE, [f"2026-01-{1 + row % 28:02}" for row in rows]),
        "updated_at": (Kind.DATETIME, [f"2026-01-01T{row % 24:02}:{row % 60:02}:00" for row in rows]),
    }
    frame = pd.DataFrame({name: cells for name, (_, cells) in columns.items()}, dtype="str")
    specs = [FieldSpec(name, kind, precision=10, scale=2) for name, (kind, _) in columns.items()]
    rules = CsvRules(thousands=",", currency="$", timezone="Europe/Berlin")

    calls = 0

    def count(*_):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        values, faults = cast(frame, contract(*specs), rules)
    finally:
        sys.setprofile(None)

    assert (len(values), faults) == (50_000, {})
    assert calls < 50_000  # of all functions, so not even one for each row


def test_a_frame_that_fits_is_given_back_as_it_is():
    frame = pd.DataFrame({"sku": pd.Series(["a", None], dtype="str"), "stock": pd.Series(arrow([1, 2], pa.int64()))})
    demands = (FieldSpec("sku", Kind.TEXT, length=1), FieldSpec("stock", Kind.INTEGER, minimum=1, maximum=2))

    assert cast(frame, contract(*demands), CsvRules())[0] is frame
    assert list(cast(frame, contract(*reversed(demands)), CsvRules())[0]) == ["stock", "sku"]
    assert list(cast(frame, contract(demands[0]), CsvRules())[0]) == ["sku"]


@pytest.mark.parametrize(
    "kind,cells",
    [
        (Kind.TEXT, arrow(["a", None], pa.large_string())),
        (Kind.TEXT, pd.array(["a", None], dtype=pd.StringDtype("pyarrow", na_value=pd.NA))),
        (Kind.INTEGER, arrow(pa.array([1, None]).dictionary_encode())),
        (Kind.INTEGER, pd.array([1, None], dtype="Int64")),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_columns_that_hold_what_is_asked_for_in_another_type_get_the_type_of_a_cast(kind, cells):
    values, faults = cast(pd.DataFrame({"cell": cells}), contract(FieldSpec("cell", kind)), CsvRules())

    assert not faults
    assert values["cell"].dtype == (pd.StringDtype(na_value=np.nan) if kind is Kind.TEXT else pd.ArrowDtype(pa.int64()))
    assert to_records(values) == [{"cell": "a" if kind is Kind.TEXT else 1}, {"cell": None}]
