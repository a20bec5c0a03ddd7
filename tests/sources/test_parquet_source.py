import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from restock.chunks import FAULT, LINE, RAW, ROW, SUPERSEDED
from restock.errors import SourceChanged, SourceError
from sources.parquet_source import ParquetSource

ZONED = dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC)
NAIVE = ZONED.replace(tzinfo=None)


@pytest.fixture
def read_table(tmp_path, read):
    def read_back(table, rows=1000, **keys):
        pq.write_table(table, tmp_path / "feed.parquet")
        return read(tmp_path / "feed.parquet", rows, **keys)

    return read_back


@pytest.mark.parametrize(
    "values,kind",
    [
        ([2**63 - 1, None], pa.int64()),
        ([2**64 - 1, None], pa.uint64()),
        ([7, None], pa.int8()),
        ([True, None], pa.bool_()),
        ([Decimal("12345678901234567890.123456789"), None], pa.decimal128(38, 9)),
        ([ZONED, None], pa.timestamp("us", "UTC")),
        ([ZONED, None], pa.timestamp("ns", "Europe/Berlin")),
        ([NAIVE, None], pa.timestamp("ms")),
        ([dt.date(9999, 12, 31), None], pa.date32()),
        ([dt.time(23, 59, 59, 999999), None], pa.time64("us")),
        ([dt.timedelta(seconds=5), None], pa.duration("us")),
        ([b"\x00\xff", None], pa.binary()),
        ([float("nan"), None, 0.1], pa.float64()),
        ([None, None], pa.null()),
    ],
)
def test_types_and_values_stay_exactly_what_they_are(read_table, values, kind):
    column = read_table(pa.table({"a": pa.array(values, kind)}))["a"]

    assert column.dtype == pd.ArrowDtype(kind)
    assert repr(pa.array(column).to_pylist()) == repr(pa.array(values, kind).to_pylist())


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_text_is_str_and_null_words_are_text(read_table, kind):
    frame = read_table(pa.table({"a": pa.array(["00123", "NA", "", None, "😀\0"]).cast(kind)}))

    assert frame["a"].dtype == "str"
    assert frame["a"].fillna("<missing>").tolist() == ["00123", "NA", "", "<missing>", "😀\0"]


def test_dictionaries_of_other_types_are_decoded(read_table):
    frame = read_table(pa.table({"a": pa.array([5, None, 5]).dictionary_encode()}))

    assert frame["a"].dtype == pd.ArrowDtype(pa.int64())


def test_rows_carry_positions_and_no_lines(read_table):
    frame = read_table(pa.table({"a": range(10)}), rows=3)

    assert frame[ROW].tolist() == list(range(1, 11))
    assert frame[[LINE, FAULT, RAW]].isna().all(axis=None)
    assert not frame[SUPERSEDED].any()


def test_frames_have_the_size_asked_for(tmp_path, found):
    pq.write_table(pa.table({"a": range(50_000)}), tmp_path / "feed.parquet", row_group_size=777)
    source = ParquetSource(*found(tmp_path / "feed.parquet"))

    assert [len(frame) for frame in source.frames(20_000)] == [20_000, 20_000, 10_000]


def test_a_nested_column_matters_only_where_the_feed_takes_it(read_table):
    table = pa.table({"a": ["x"], "tags": [["y"]]})

    assert list(read_table(table, columns={"name": "a"}).columns[:1]) == ["a"]
    with pytest.raises(SourceError, match=r"column 'tags' of feed.parquet is nested \(list<.*string>\)"):
        read_table(table)


@pytest.mark.parametrize(
    "table,sentence",
    [
        (pa.table({"a": pa.array([], pa.int64())}), "holds no rows"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns named 'a'"),
        (pa.table({"": [1]}), "without a name"),
        (pa.table({"_fault": [1]}), "restock uses itself"),
    ],
)
def test_a_table_that_cannot_be_loaded_gets_a_sentence(read_table, table, sentence):
    with pytest.raises(SourceError, match=sentence):
        read_table(table)


@pytest.mark.parametrize(
    "name",
    [
        "bad_PARQUET-1481.parquet",
        "datapage_v1-corrupt-checksum.parquet",
        "incorrect_map_schema.parquet",
        "rle_malicious_bitwidth.parquet",
    ],
)
def test_a_file_that_cannot_be_read_is_refused(data, read, name):
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        read(data / "parquet" / name)


@pytest.mark.parametrize(
    "name,columns",
    [
        ("uniform_encryption.parquet.encrypted", None),
        ("encrypt_columns_plaintext_footer.parquet.encrypted", {"a": "double_field", "b": "float_field"}),
    ],
)
def test_an_encrypted_file_is_called_so(data, read, name, columns):
    with pytest.raises(SourceError, match="it is encrypted"):
        read(data / "parquet" / name, format="parquet", columns=columns)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"PAR1", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_a_file_of_another_format_is_refused(tmp_path, read, content):
    (tmp_path / "feed.parquet").write_bytes(content)

    with pytest.raises(SourceError, match="not a readable Parquet file"):
        read(tmp_path / "feed.parquet")


def test_a_file_cut_anywhere_is_refused(tmp_path, read):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"a": range(100), "b": ["x"] * 100}), path)
    whole = path.read_bytes()

    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match="not a readable Parquet file"):
            read(path)


def test_a_file_that_changes_after_its_schema_was_read_is_refused(tmp_path, found):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"a": range(10)}), path)
    source = ParquetSource(*found(path))
    pq.write_table(pa.table({"a": range(1, 11)}), path)

    with pytest.raises(SourceChanged):
        list(source.frames(10))


def test_old_spark_timestamps_do_not_wrap_within_the_calendar(data, read):
    stamps = read(data / "parquet" / "int96_from_spark.parquet").iloc[:, 0]

    assert stamps.dtype == pd.ArrowDtype(pa.timestamp("us"))
    assert str(stamps[2]) == "9999-12-31 03:00:00"


def test_real_files_keep_their_numbers(data, read):
    unsigned = read(data / "parquet" / "unsigned.parquet")
    gap = read(data / "parquet" / "test-null.parquet")
    groups = read(data / "parquet" / "manyrowgroups.parquet", rows=100)

    assert unsigned.iloc[:, 3].max() == 18446744073709551615
    assert gap.iloc[:, 0].dropna().tolist()[0].__class__ is int
    assert len(groups) == 1001
    assert groups[ROW].tolist() == np.arange(1, 1002).tolist()


def test_text_that_is_no_utf_8_is_refused(tmp_path, read):
    """Found by changing single bytes of files: the fault showed only when somebody looked at the text."""
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"sku": ["aaaa", "bbbb"]}), path, compression="none", use_dictionary=False)
    path.write_bytes(path.read_bytes().replace(b"bbbb", b"bb\xffb"))

    with pytest.raises(SourceError, match="not a readable Parquet file"):
        read(path)


def test_a_column_name_that_is_no_utf_8_is_refused(tmp_path, read):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"sku": ["a"], "colour": ["b"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"colour", b"col\xffur"))

    with pytest.raises(SourceError, match="not a readable Parquet file"):
        read(path)
