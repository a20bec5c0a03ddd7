"""What other people's Parquet files become: every file of tests/data/parquet, read exactly or refused in a sentence."""

import datetime as dt
from decimal import Decimal
from math import nan

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from restock.errors import SourceError


def naive(*parts):
    """A moment without a zone."""
    return dt.datetime(*parts, tzinfo=dt.UTC).replace(tzinfo=None)


# Of each column that is named: its first values, by which a wrong type, order or number would show.
READ = {
    "alltypes_plain.parquet": (
        8,
        {
            "id": [4, 5, 6, 7, 2, 3, 0, 1],
            "bool_col": [True, False],
            "float_col": [0.0, 1.100000023841858],
            "date_string_col": [b"03/01/09", b"03/01/09", b"04/01/09"],
            "timestamp_col": [naive(2009, 3, 1), naive(2009, 3, 1, 0, 1)],
        },
    ),
    "int32_decimal.parquet": (24, {"value": [Decimal("1.00"), Decimal("2.00")]}),
    "byte_array_decimal.parquet": (24, {"value": [Decimal("1.00"), Decimal("2.00")]}),
    "fixed_length_decimal_legacy.parquet": (24, {"value": [Decimal("1.00"), Decimal("2.00")]}),
    "decimals.parquet": (2, {f"l{n}": [Decimal("0.10"), Decimal("-0.10")] for n in range(1, 5)}),
    "unsigned.parquet": (6, {"a": [1, 2, 3, 4, 5, 255], "d": [1, 2, 3, 4, 5, 18446744073709551615]}),
    "nullbyte.parquet": (1, {"42": [42], "hello world": ["hello\0world"]}),
    "null_type_column.parquet": (3, {"id": [1, 2, 3], "val": [None, None, None]}),
    "timetz-nanos.parquet": (20, {"pruefbahn_id": [58981], "arbeits_beginn": [dt.time(7, 20)]}),
    "spark-store.parquet": (
        12,
        {
            "s_store_id": ["AAAAAAAABAAAAAAA", "AAAAAAAACAAAAAAA"],
            "s_rec_start_date": [dt.date(1997, 3, 13)],
            "s_closed_date_sk": [2451189, -1],
            "s_gmt_offset": [Decimal("-0.05")],
        },
    ),
    "manyrowgroups.parquet": (1001, {"42": [42, 42, 43, 44, 45]}),
    "test-null.parquet": (2, {"foo": [1, 1], "bar": [2, None]}),
    "mr_times.parq": (10, {"id": ["1", "2"], "date_added": [naive(2016, 8, 1, 23, 8, 1)]}),
    "evo_old.parquet": (1, {"name": ["Bob"], "age": [20]}),
    "evo_new.parquet": (1, {"name": ["John"], "age": [56], "email": ["email@email.email"]}),
    "single_nan.parquet": (1, {"mycol": [None]}),
    "float16_nonzeros_and_nans.parquet": (8, {"x": [None, 1.0, -2.0, nan, 0.0, -1.0, -0.0, 2.0]}),
    "datapage_v2_empty_datapage.snappy.parquet": (1, {"value": [None]}),
    "unknown-logical-type.parquet": (
        3,
        {"column with known type": ["known string 1"], "column with unknown type": [b"unknown string 1"]},
    ),
    "hadoop_lz4_compressed.parquet": (4, {"c0": [1593604800], "c1": [b"abc", b"def"], "v11": [42.0, 7.7, 42.125]}),
}
# Nested columns, where the model's column holds JSON.
NESTED = {
    "nulls.snappy.parquet": (8, {"b_struct": ['{"b_c_int": null}'] * 8}),
    "nested_lists.snappy.parquet": (3, {"a": ['[[["a", "b"], ["c"]], [null, ["d"]]]'], "b": [1, 1, 1]}),
    "nested_maps.snappy.parquet": (
        6,
        {"a": ['{"a": {"1": true, "2": false}}', '{"b": {"1": true}}', '{"c": null}', '{"d": {}}']},
    ),
    "null_list.parquet": (1, {"emptylist": ["[]"]}),
    "map_no_value.parquet": (3, {"my_map": ['{"1": null, "2": null, "3": null}'], "my_list": ["[1, 2, 3]"]}),
}
REFUSED = {
    "int96_from_spark.parquet": "The column 'a' of .* holds in row 6 a timestamp too far from today",
    "uniform_encryption.parquet.encrypted": "is encrypted",
    "encrypt_columns_plaintext_footer.parquet.encrypted": "is encrypted",
    "incorrect_map_schema.parquet": "not a readable Parquet file",
    "datapage_v1-corrupt-checksum.parquet": "not a readable Parquet file",
    "bad_PARQUET-1481.parquet": "not a readable Parquet file",
    "bad_ARROW-RS-GH-6229-LEVELS.parquet": "not a readable Parquet file",
    "bad_ARROW-GH-41317.parquet": "not a readable Parquet file",
    "rle_malicious_bitwidth.parquet": "not a readable Parquet file",
}


@pytest.fixture
def read_file(data, read):
    """A file, read for a model whose every column holds JSON."""

    def read_back(name, rows=1000):
        path = data / "parquet" / name
        try:
            names = tuple(pq.read_schema(path).names)
        except (OSError, pa.ArrowException):
            names = ()
        return read(path, rows, json=names, format="parquet")

    return read_back


@pytest.mark.parametrize("name", [*READ, *NESTED])
@pytest.mark.parametrize("rows", [3, 1000])
def test_a_file_is_read_exactly(read_file, name, rows):
    expected_rows, expected = (READ | NESTED)[name]

    frame = read_file(name, rows)

    assert len(frame) == expected_rows
    for column, values in expected.items():
        cells = pa.array(frame[column], from_pandas=True).to_pylist()
        assert repr(cells[: len(values)]) == repr(values)


@pytest.mark.parametrize("name", NESTED)
def test_a_nested_column_is_refused_where_the_model_holds_no_json(data, read, name):
    with pytest.raises(
        SourceError, match=f"The column .* of {name} is nested .*, which fits only a column that holds JSON"
    ):
        read(data / "parquet" / name)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_lies_is_refused(read_file, name):
    with pytest.raises(SourceError, match=REFUSED[name]):
        read_file(name)


def test_every_file_has_an_expectation(data):
    assert {path.name for path in (data / "parquet").iterdir()} == READ.keys() | NESTED.keys() | REFUSED.keys()
