"""Numbers: as feeds write them, as Parquet holds them, and as columns can hold them."""

from __future__ import annotations

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.contract import FieldSpec, Kind
from restock.csv_rules import CsvRules
from transforms import number_columns

US_PRICES = CsvRules(thousands=",", currency="$")
GERMAN_PRICES = CsvRules(decimal=",", thousands=".", currency=("€", "EUR"))
PRICE = {"precision": 10, "scale": 2}


@pytest.mark.parametrize(
    "text, price",
    [
        ("$1,849.77", "1849.77"),
        ("1,849.77", "1849.77"),
        ("1849.77", "1849.77"),
        ("-$5", "-5.00"),
        ("$-5", "-5.00"),
        ("+5", "5.00"),
        ("+99999999.99", "99999999.99"),
        ("5.00 $", "5.00"),
        ("$\u00a05.00", "5.00"),
        (" 7 ", "7.00"),
        (".5", "0.50"),
        ("1.500", "1.50"),
        ("007.10", "7.10"),
        ("-0", "0.00"),
        ("12,345,678.90", "12345678.90"),
    ],
)
def test_a_price_is_read_exactly_as_it_is_written(read, text, price):
    assert read(Kind.DECIMAL, [text], US_PRICES, **PRICE) == ([Decimal(price)], {})


@pytest.mark.parametrize(
    "text",
    [
        *["1,84", "1,8490", ",849", "1,,849", "1,849,7", "--5", "-$-5", "$5$", "$ $5", "€5", "5.", ".", "$", "4E12"],
        *["1e2", "NaN", "nan", "inf", "-Infinity", "0x10", "١٢", "1_000", "5 5", "five", " ", "5\n6"],
    ],
)
def test_what_is_not_plainly_a_price_is_a_reject(read, text):
    assert read(Kind.DECIMAL, [text, "1.00"], US_PRICES, **PRICE) == ([Decimal("1.00")], {0: "not_a_number"})


def test_without_declared_thousands_a_comma_never_becomes_a_point(read):
    assert read(Kind.DECIMAL, ["1,234"], **PRICE) == ([], {0: "not_a_number"})


def test_a_decimal_comma_and_a_thousands_point_are_not_mistaken_for_each_other(read):
    cells = ["1.849,77 €", "EUR 12,5", "1.234", "1.84", "12.345.678,90"]

    values, codes = read(Kind.DECIMAL, cells, GERMAN_PRICES, **PRICE)

    assert values == [Decimal("1849.77"), Decimal("12.50"), Decimal("1234.00"), Decimal("12345678.90")]
    assert codes == {3: "not_a_number"}


@pytest.mark.parametrize(
    "text, code",
    [("1.505", "scale"), ("123456789.00", "precision"), ("-99999999.99", None), ("100000000", "precision")],
)
def test_a_decimal_that_the_column_cannot_hold_exactly_is_a_reject(read, text, code):
    values, codes = read(Kind.DECIMAL, [text], **PRICE)

    assert (values, codes) == (([], {0: code}) if code else ([Decimal(text)], {}))


def test_a_column_of_thousands_points_only_is_read_as_thousands(read):
    assert read(Kind.DECIMAL, ["1.234", None], GERMAN_PRICES, **PRICE) == ([Decimal("1234.00"), None], {})


def test_a_negative_scale_keeps_whole_hundreds_only(read):
    cells = ["12300", "12350", "9999900", "10000000", "100000"]

    values, codes = read(Kind.DECIMAL, cells, precision=5, scale=-2)

    assert values == [Decimal(12300), Decimal(9999900), Decimal(100000)]
    assert codes == {1: "scale", 3: "precision"}


def test_a_scale_above_the_precision_leaves_room_for_small_numbers_only(read):
    values, codes = read(Kind.DECIMAL, ["0.0012", "0.0123", "0.00001", "1"], precision=2, scale=4)

    assert values == [Decimal("0.0012")]
    assert codes == {1: "precision", 2: "scale", 3: "precision"}


def test_a_decimal_that_is_kept_as_a_float_has_no_more_digits_than_a_float(read):
    cells = ["0.1234567890123456", "0.123456789012345", "0.0000123456789012345"]

    values, codes = read(Kind.DECIMAL, cells, precision=20, scale=20, significant=15)

    assert values == [Decimal(cells[1]), Decimal(cells[2])]
    assert codes == {0: "precision"}


def test_a_decimal_column_without_digits_takes_any(read):
    number = "1234567890123456789012345678901234567890.123456789012345678901234567890"

    assert read(Kind.DECIMAL, [number, None]) == ([Decimal(number), None], {})


def test_decimals_of_more_than_38_digits_are_kept(read):
    number = "9" * 50 + ".12"

    assert read(Kind.DECIMAL, [number], precision=60, scale=2) == ([Decimal(number)], {})


@pytest.mark.parametrize(
    "cells, type_, prices",
    [
        ([1, None], pa.int64(), ["1.00", None]),
        ([0.1, 12.35], pa.float64(), ["0.10", "12.35"]),
        ([0.1, 12.35], pa.float32(), ["0.10", "12.35"]),
        ([0.5, 2.0], pa.float16(), ["0.50", "2.00"]),
        ([Decimal("1.5")], pa.decimal128(9, 4), ["1.50"]),
        ([Decimal("1.50")], pa.decimal128(10, 2), ["1.50"]),
        ([True], pa.bool_(), ["1.00"]),
    ],
)
def test_numbers_of_parquet_become_exact_decimals(read, cells, type_, prices):
    column = pd.arrays.ArrowExtensionArray(
        pa.array([np.float16(c) for c in cells] if type_ == pa.float16() else cells, type_)
    )

    values, codes = read(Kind.DECIMAL, column, dtype=None, **PRICE)

    assert (values, codes) == ([None if price is None else Decimal(price) for price in prices], {})


def test_a_float_keeps_its_shortest_text_and_no_more(read):
    cells = [0.1 + 0.2, 1e-07, float("inf"), 2.5]

    assert read(Kind.DECIMAL, cells, dtype="float64", **PRICE) == (
        [Decimal("2.50")],
        {0: "scale", 1: "scale", 2: "not_a_number"},
    )


@pytest.mark.parametrize("text, code", [("7.0", "not_an_integer"), ("7.5", "not_an_integer"), ("4E12", "not_a_number")])
def test_text_that_is_not_a_whole_number_is_no_integer(read, text, code):
    assert read(Kind.INTEGER, [text]) == ([], {0: code})


def test_integers_are_read_with_signs_zeros_and_separators(read):
    cells = ["7", "007", "+5", "-3", "1,234", None, " 8"]

    assert read(Kind.INTEGER, cells, US_PRICES) == ([7, 7, 5, -3, 1234, None, 8], {})


def test_integers_outside_the_column_are_rejects_however_long_they_are(read):
    cells = ["2147483647", "2147483648", "-2147483649", "9" * 30, "9" * 5000, "00000000000000000000000000000001"]

    values, codes = read(Kind.INTEGER, cells, minimum=-(2**31), maximum=2**31 - 1)

    assert values == [2**31 - 1, 1]
    assert codes == dict.fromkeys([1, 2, 3, 4], "out_of_range")


@pytest.mark.parametrize(
    "demands, beyond",
    [
        ({"minimum": -128, "maximum": 127}, "-129"),
        ({"minimum": -128, "maximum": 127}, "128"),
        ({"minimum": 0, "maximum": 2**64 - 1}, "-1"),
        ({"maximum": 100}, "101"),
        ({"minimum": 1}, "0"),
    ],
)
def test_one_end_is_enough_for_an_integer_to_be_outside_its_column(read, demands, beyond):
    assert read(Kind.INTEGER, ["7", beyond, None], **demands) == ([7, None], {1: "out_of_range"})


def test_integers_beyond_64_bits_survive_where_the_column_has_no_limit(read):
    assert read(Kind.INTEGER, ["9" * 30, "7"]) == ([int("9" * 30), 7], {})


def test_unsigned_integers_of_parquet_are_checked_too(read):
    cells = pd.array([2**64 - 1, 7], dtype=pd.ArrowDtype(pa.uint64()))

    assert read(Kind.INTEGER, cells, dtype=None, maximum=2**63 - 1) == ([7], {0: "out_of_range"})


def test_floats_of_parquet_that_are_whole_become_integers(read):
    cells = [7.0, 7.5, float("nan"), float("inf"), 2.0**62]

    values, codes = read(Kind.INTEGER, cells, dtype="float64")

    assert values == [7, None, 2**62]
    assert codes == {1: "not_an_integer", 3: "not_a_number"}


def test_decimals_of_parquet_that_are_whole_become_integers(read):
    cells = pd.array([Decimal("7.00"), Decimal("7.50")], dtype=pd.ArrowDtype(pa.decimal128(5, 2)))

    assert read(Kind.INTEGER, cells, dtype=None) == ([7], {1: "not_an_integer"})


def test_floats_may_have_an_exponent_but_must_be_finite(read):
    cells = ["1e5", "$1,000.5", "1e999", "NaN", "inf", "1.5E-3", None]

    values, codes = read(Kind.FLOAT, cells, US_PRICES)

    assert values == [100000.0, 1000.5, 0.0015, None]
    assert codes == {2: "out_of_range", 3: "not_a_number", 4: "not_a_number"}


def test_a_float_that_the_column_would_round_is_a_reject(read):
    values = ["19.99", "19.999", "1e1", "123456789", "inf"]

    assert read(Kind.FLOAT, values, **PRICE) == ([19.99, 10.0], {1: "scale", 3: "precision", 4: "not_a_number"})
    assert read(Kind.FLOAT, [0.1, 0.125], dtype="float[pyarrow]", **PRICE)[1] == {1: "scale"}


def test_a_float_of_parquet_that_is_not_a_number_is_missing_and_an_infinite_one_a_reject(read):
    cells = pd.arrays.ArrowExtensionArray(pa.array([1.5, float("nan"), float("inf"), None]))

    assert read(Kind.FLOAT, cells, dtype=None) == ([1.5, None, None], {2: "not_a_number"})


@pytest.mark.parametrize("type_", [pa.int32(), pa.decimal128(12, 0)])
def test_other_numbers_of_parquet_become_floats(read, type_):
    cells = pd.arrays.ArrowExtensionArray(pa.array([7, None], pa.int32()).cast(type_))

    assert read(Kind.FLOAT, cells, dtype=None) == ([7.0, None], {})
    assert read(Kind.FLOAT, [2**60 + 1], dtype="int64") == ([float(2**60)], {})


@pytest.mark.parametrize("kind", [Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT])
def test_a_column_that_cannot_be_numbers_is_rejected_row_by_row(read, kind):
    cells = pd.array([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int64())))

    assert read(kind, cells, dtype=None, **PRICE) == ([None], {0: "wrong_type"})


def test_the_real_prices_of_a_retailer_add_up_to_the_cent(read):
    catalogue = Path(__file__).parents[2] / "data" / "abtbuy_buy.csv"
    with catalogue.open(encoding="utf-8", newline="") as file:
        cells = [row["price"] or None for row in csv.DictReader(file)]

    values, codes = read(Kind.DECIMAL, cells, US_PRICES, **PRICE)

    prices = [value for value in values if value is not None]
    assert (codes, len(values), len(prices), sum(prices)) == ({}, 1092, 590, Decimal("254085.81"))


@pytest.mark.parametrize("dtype", ["str", "int64[pyarrow]"])
def test_whole_numbers_beyond_the_column_are_rejects_though_64_bits_hold_them(read, dtype):
    cells = pd.array(["-32769", "-32768", "32767", "32768", None], dtype="str").astype(dtype)

    assert read(Kind.INTEGER, cells, dtype=None, minimum=-(2**15), maximum=2**15 - 1) == (
        [-32768, 32767, None],
        dict.fromkeys((0, 3), "out_of_range"),
    )


@pytest.mark.parametrize("infinite", [float("inf"), float("-inf")])
def test_finite_numbers_are_no_faults_however_large_their_sum(read, infinite):
    large = [1.5e308, 1.5e308, None]

    assert read(Kind.FLOAT, pd.array(large, dtype="double[pyarrow]"), dtype=None) == (large, {})
    assert read(Kind.FLOAT, pd.array([1.0, infinite, -infinite], dtype="double[pyarrow]"), dtype=None) == (
        [1.0],
        dict.fromkeys((1, 2), "not_a_number"),
    )


decimals = st.decimals(-(10**8) + 1, 10**8 - 1, places=2, allow_nan=False)


@given(st.lists(st.none() | decimals))
def test_any_price_written_by_python_is_read_back(read, prices):
    cells = [None if price is None else str(price) for price in prices]

    assert read(Kind.DECIMAL, cells, **PRICE) == (prices, {})


@given(st.lists(decimals, min_size=1))
def test_any_price_written_with_separators_and_currency_is_read_back(read, prices):
    cells = [f"{'-' if price < 0 else ''}${abs(price):,.2f}" for price in prices]

    assert read(Kind.DECIMAL, cells, US_PRICES, **PRICE) == (prices, {})


@given(st.lists(st.none() | st.integers()))
def test_any_integer_written_by_python_is_read_back_if_the_column_can_hold_it(read, numbers):
    least, most = -(2**63), 2**63 - 1
    fits = [number is None or least <= number <= most for number in numbers]

    values, codes = read(Kind.INTEGER, [None if n is None else str(n) for n in numbers], minimum=least, maximum=most)

    assert values == [number for number, fit in zip(numbers, fits, strict=True) if fit]
    assert codes == {row: "out_of_range" for row, fit in enumerate(fits) if not fit}


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_any_float_written_by_python_is_read_back(read, numbers):
    assert read(Kind.FLOAT, [repr(number) for number in numbers]) == (numbers, {})


@given(
    st.builds(lambda digits, places: Decimal(digits).scaleb(-places), st.integers(), st.integers(-5, 25)),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_a_decimal_fits_a_column_just_when_decimal_arithmetic_says_so(read, number, precision, scale):
    units = Fraction(number) * 10**scale  # of the last digit that the column keeps
    is_exact = units.denominator == 1
    expected = [number] if is_exact and abs(units) < 10**precision else []

    values, codes = read(Kind.DECIMAL, [format(number, "f")], precision=precision, scale=scale)

    assert values == expected
    assert codes == ({} if expected else {0: "precision" if is_exact else "scale"})


@pytest.mark.parametrize(
    "text, demands, value",
    [
        ("19.5" + "0" * 37, PRICE, "19.50"),
        ("-" + "0" * 80 + "19.5" + "0" * 40, PRICE, "-19.50"),
        ("." + "0" * 90, PRICE, "0.00"),
        ("-." + "0" * 90, {"precision": 10, "scale": 0}, "0"),
        ("6745238477290622913868094943433", {"precision": 38, "scale": 10}, None),
        ("9" * 28 + "." + "0" * 30, {"precision": 38, "scale": 10}, "9" * 28),
        ("91505027288742149783870975142687290", {"precision": 76, "scale": 75}, None),
        ("-" + "9" * 38 + "." + "9" * 38, {"precision": 76, "scale": 38}, "-" + "9" * 38 + "." + "9" * 38),
    ],
)
@pytest.mark.parametrize("beside", [[], [" 1 "]], ids=["at once", "with care"])
def test_a_number_of_more_digits_than_arrow_computes_with_is_what_it_says_or_a_reject(
    read, text, demands, value, beside
):
    values, codes = read(Kind.DECIMAL, [text, *beside], **demands)

    assert values[: len(values) - len(beside)] == ([] if value is None else [Decimal(value)])
    assert codes.get(0) == ("precision" if value is None else None)


def fits(number: Decimal, precision: int, scale: int) -> bool:
    units = Fraction(number) * 10**scale
    return units.denominator == 1 and abs(units) < 10**precision


@given(
    numbers=st.lists(
        st.builds(
            lambda digits, places: Decimal(f"{digits}e-{places}"),
            st.integers(-(10**76) + 1, 10**76 - 1) | st.integers(-(10**12), 10**12),
            st.integers(0, 76),
        ),
        min_size=1,
        max_size=3,
    ),
    type_=st.sampled_from([None, pa.decimal128(38, 0), pa.decimal128(38, 10), pa.decimal256(76, 38)]),
    column=st.sampled_from([(10, 2), (38, 10), (38, 0), (38, 38), (60, 41), (76, 75)]),
    zeros=st.sampled_from(["", "0" * 37, "0" * 80]),
)
def test_wide_decimals_and_their_text_are_taken_exactly_or_set_aside(read, numbers, type_, column, zeros):
    if type_ is None:
        texts = [format(number, "f") for number in numbers]
        cells = pd.array([text + zeros if "." in text else text for text in texts], dtype="str")
    else:
        numbers = [number for number in numbers if fits(number, type_.precision, type_.scale)]
        cells = pd.arrays.ArrowExtensionArray(pa.array(numbers, type_))
    precision, scale = column

    values, codes = read(Kind.DECIMAL, cells, dtype=None, precision=precision, scale=scale)

    assert values == [number for number in numbers if fits(number, precision, scale)]
    assert len(codes) == len(numbers) - len(values)


@pytest.mark.parametrize("type_", [pa.decimal128(9, 4), pa.decimal128(20, 2), pa.decimal256(60, 8), pa.decimal32(7, 3)])
@given(cents=st.lists(st.integers(-99_999, 99_999), max_size=5), odd=st.integers(0, 3))
def test_decimals_of_any_type_are_taken_exactly_or_set_aside(read, type_, cents, odd):
    values = [Decimal(cent).scaleb(-2) for cent in cents] + ([Decimal("0.125")] if odd and type_.scale >= 3 else [])

    numbers, faults = read(Kind.DECIMAL, values, dtype=pd.ArrowDtype(type_), **PRICE)

    assert numbers == [value for value in values if value != Decimal("0.125")]
    assert set(faults.values()) == ({"scale"} if Decimal("0.125") in values else set())


READERS = {
    "integer": (number_columns.read_integer, {"minimum": -(2**31), "maximum": 2**31 - 1}),
    "decimal": (number_columns.read_decimal, PRICE),
    "decimal of six digits": (number_columns.read_decimal, {**PRICE, "significant": 6}),
    "whole decimal": (number_columns.read_decimal, {"precision": 4, "scale": 0, "significant": 15}),
    "float": (number_columns.read_float, {}),
}


@pytest.mark.parametrize("reader", READERS)
@given(
    text=st.text(st.sampled_from("0123456789019-.,+eExX "), min_size=1, max_size=14),
    rules=st.sampled_from([CsvRules(), GERMAN_PRICES, US_PRICES]),
)
def test_a_column_read_at_once_reads_like_one_that_needs_care(reader, text, rules):
    read, demands = READERS[reader]
    spec = FieldSpec("cell", Kind.OTHER, **demands)
    at_once, with_care = (read(pa.array(cells, pa.large_string()), spec, rules) for cells in ([text], [text, " 1 "]))
    [found], [same, last] = (pa.array(column.values).to_pylist() for column in (at_once, with_care))

    assert (str(same), with_care.faults, last) == (str(found), at_once.faults, 1)
