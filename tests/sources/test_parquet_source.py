import datetime as dt
import random
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from restock.chunks import FAULT, LINE, RAW, ROW, SUPERSEDED
from restock.contract import Contract
from restock.errors import SourceChanged, SourceError
from sources.chunks.framing import chunked
from sources.parquet_files.opening import batches
from sources.parquet_files.pages import pages_of
from sources.parquet_files.source import ParquetSource

ZONED = dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC)
NO_CONTRACT = Contract({}, ())
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
        ([Decimal("9" * 70 + ".123456"), None], pa.decimal256(76, 6)),
        ([dt.time(7, 20), None], pa.time64("ns")),
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


def test_chunks_have_the_size_asked_for(tmp_path, found):
    pq.write_table(pa.table({"a": range(50_000)}), tmp_path / "feed.parquet", row_group_size=777)
    source = ParquetSource(*found(tmp_path / "feed.parquet"), NO_CONTRACT)

    assert [len(table) for table in chunked(source.tables(), 20_000)] == [20_000, 20_000, 10_000]


def test_a_nested_column_matters_only_where_the_feed_takes_it(read_table):
    table = pa.table({"a": ["x"], "tags": [["y"]]})

    assert list(read_table(table, columns={"name": "a"}).columns[:1]) == ["a"]
    with pytest.raises(SourceError, match=r"column 'tags' of feed.parquet is nested \(list<.*string>\)"):
        read_table(table)


def test_a_nested_column_that_the_model_does_not_know_may_be_ignored(read_table):
    table = pa.table({"a": pa.array([["x"], None]), "tags": [["y"], ["z"]]})

    frame = read_table(table, json=("a",), unknown_columns="ignore")

    assert list(frame.columns[:2]) == ["a", ROW]


@pytest.mark.parametrize(
    "value,kind,text",
    [
        ([["a", None], [], None], pa.list_(pa.list_(pa.string())), '[["a", null], [], null]'),
        ({"n": 1, "d": Decimal("12.50")}, None, '{"n": 1, "d": "12.50"}'),
        ([(1, True), (2, None)], pa.map_(pa.int32(), pa.bool_()), '{"1": true, "2": null}'),
        ([("größe", [1])], pa.map_(pa.string(), pa.list_(pa.int8())), '{"größe": [1]}'),
        ([ZONED], None, '["2024-03-31T01:30:00+00:00"]'),
        ([b"text"], None, '["text"]'),
        ([2**63], pa.list_(pa.uint64()), "[9223372036854775808]"),
        ([float("nan")], None, "[NaN]"),
    ],
)
def test_a_nested_value_is_its_json_where_the_model_holds_json(read_table, value, kind, text):
    frame = read_table(pa.table({"a": pa.array([value, None], kind)}), json=("attribute",), columns={"attribute": "a"})

    assert frame["a"].fillna("<missing>").tolist() == [text, "<missing>"]


@pytest.mark.parametrize(
    "value,kind,sentence",
    [
        ([b"\xff"], None, "bytes that are not UTF-8"),
        ([("a", 1), ("a", 2)], pa.map_(pa.string(), pa.int8()), "a key twice"),
        ([2**62], pa.list_(pa.timestamp("us")), "after the year 9999"),
        ([dt.timedelta(1)], None, "spans of time"),
    ],
)
def test_a_nested_value_that_json_cannot_hold_is_refused(read_table, value, kind, sentence):
    with pytest.raises(SourceError, match=f"The column 'a' of feed.parquet cannot become JSON: .*{sentence}"):
        read_table(pa.table({"a": pa.array([value], kind)}), json=("a",))


@pytest.mark.parametrize(
    "kind", [pa.binary_view(), pa.opaque(pa.binary(), "a", "b"), pa.dictionary(pa.int8(), pa.binary())]
)
def test_bytes_under_other_names_are_bytes(read_table, kind):
    plain = pa.array([b"x", None, b"\xff"])
    table = pa.table({"a": plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain.cast(kind)})

    frame = read_table(table, rows=2)

    assert pa.array(frame["a"], from_pandas=True).to_pylist() == [b"x", None, b"\xff"]
    assert frame.take([2, 0])["a"].tolist() == [b"\xff", b"x"]


def test_half_floats_become_floats_of_the_same_value(read_table):
    column = read_table(pa.table({"a": pa.array([1.5, None, -0.0, float("nan")], pa.float16())}))["a"]

    assert column.dtype == pd.ArrowDtype(pa.float32())
    assert repr(pa.array(column).to_pylist()) == "[1.5, None, -0.0, nan]"


def test_uuids_stay_uuids(read_table):
    ids = [uuid.UUID(int=5), None]

    assert (
        pa.array(read_table(pa.table({"a": pa.array([i and i.bytes for i in ids], pa.uuid())}))["a"]).to_pylist() == ids
    )


def test_a_name_with_points_is_no_path(read_table):
    frame = read_table(pa.table({"a.b": [1], "a": [{"b": 2}]}), columns={"name": "a.b"})

    assert frame["a.b"].tolist() == [1]


@pytest.mark.parametrize("day,refused", [(5_373_484, False), (110_000_000, True)])  # 9999-12-31, and the year 296455
def test_int96_beyond_microseconds_is_refused_and_never_wrapped(tmp_path, read, day, refused):
    """Arrow itself writes INT96 only of moments that nanoseconds hold, so the day is put in by hand."""
    path = tmp_path / "feed.parquet"
    table = pa.table({"day": pa.array([0, 0], pa.timestamp("ns"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True, use_dictionary=False, compression="none")
    epoch = bytes(8) + (2_440_588).to_bytes(4, "little")
    value = (86_399_999_999_000).to_bytes(8, "little") + day.to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(epoch + epoch, epoch + value))

    if refused:
        with pytest.raises(SourceError, match=r"The column 'day' of feed.parquet holds in row 2 a timestamp too far"):
            read(path)
    else:
        assert str(read(path)["day"][1]) == "9999-12-31 23:59:59.999999"


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
    source = ParquetSource(*found(path), NO_CONTRACT)
    pq.write_table(pa.table({"a": range(1, 11)}), path)

    with pytest.raises(SourceChanged):
        list(source.tables())


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


@pytest.mark.parametrize(
    "of_file,of_group,of_column", [(6, 5, 5), (4, 5, 5), (5, 6, 5), (5, 4, 5), (4, 4, 5), (6, 6, 5)]
)
def test_a_footer_that_lies_about_its_rows_is_refused(tmp_path, read, of_file, of_group, of_column):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"a": list("abcde")}), path, compression="none", store_schema=False)
    content = path.read_bytes()
    for before, after, rows in [("", "191c19", of_file), ("9e01", "2608", of_group), ("1500", "169e01", of_column)]:
        place = bytes.fromhex(f"{before}160a{after}")
        assert content.count(place) == 1
        content = content.replace(place, bytes.fromhex(f"{before}16{2 * rows:02x}{after}"))
    path.write_bytes(content)

    with pytest.raises(SourceError, match="not a readable Parquet file"):
        read(path)


def test_a_small_file_that_decodes_to_a_gigabyte_meets_the_limit(tmp_path, read):
    path = tmp_path / "feed.parquet"
    rows = 2_000_000
    pq.write_table(pa.table({f"c{n}": pa.array(np.zeros(rows, np.int64)) for n in range(20)}), path, compression="zstd")
    assert path.stat().st_size < 1_000_000

    with pytest.raises(SourceError, match=r"unpacks to more than 256 MiB.*`max_unpacked`"):
        read(path, rows=50_000)


def test_the_feed_says_how_much_a_file_may_unpack_to(tmp_path, read):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"a": np.zeros(10_000, np.int64)}), path)

    assert len(read(path, max_unpacked="82 kB")) == 10_000
    with pytest.raises(SourceError, match=r"feed.parquet has .* and unpacks to more than 78 KiB"):
        read(path, max_unpacked=80_000)


def test_a_footer_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path, read):
    path = tmp_path / "feed.parquet"
    footer = 33 * 2**20
    path.write_bytes(b"PAR1" + bytes(footer) + footer.to_bytes(4, "little") + b"PAR1")

    with pytest.raises(SourceError, match="footer of 34603008 bytes, and restock reads up to 33554432"):
        read(path)


HUGE = pa.array(["x", "y" * 100_000])


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": ["x" * 100_000] * 1_000}),
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([1] * 1_000), HUGE)}),
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 1_000 + [1] * 1_000), HUGE)}),
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 1_000 + [1] * 1_000), HUGE).dictionary_decode()}),
    ],
    ids=["text", "dictionary", "late in a dictionary", "late in text"],
)
@pytest.mark.parametrize("group", [50, 1_100, 10_000])
def test_huge_rows_come_in_small_batches(tmp_path, table, group):
    """A value that is stored once may stand in every row, and first rows say nothing of later ones."""
    path = tmp_path / "feed.parquet"
    pq.write_table(table, path, compression="zstd", row_group_size=group)
    assert path.stat().st_size < 20_000

    with path.open("rb") as handle:
        pages = list(pages_of(handle, "feed", ["a"]))
        sizes = [batch.nbytes for batch in batches(handle, "feed", ["a"], pages)]

    assert max(sizes) <= 40 * 2**20
    assert sum(sizes) > 90 * 2**20


NOISE = random.Random(7).randbytes(50_000).hex()


@pytest.mark.parametrize(
    "values, told",
    [
        ([NOISE] * 1_000, {}),
        (
            [f"{'x' * 100_000}{n:04}" for n in range(1_000)],
            {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}},
        ),
    ],
    ids=["once in a dictionary, and too long to repeat itself", "by the end of the one before"],
)
def test_huge_rows_take_little_memory_however_they_are_stored(tmp_path, values, told):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"a": values}), path, **told)
    assert path.stat().st_size < 200_000

    before = pa.total_allocated_bytes()
    with path.open("rb") as handle:
        pages = list(pages_of(handle, "feed", ["a"]))
        held = [pa.total_allocated_bytes() for _batch in batches(handle, "feed", ["a"], pages)]

    assert max(held) - before <= 60 * 2**20


def test_rows_of_usual_size_come_in_batches_of_usual_size(tmp_path):
    path = tmp_path / "feed.parquet"
    rows = {"a": [f"{n % 10_000:06}" * 5 for n in range(40_000)], "n": range(40_000)}
    pq.write_table(pa.table(rows), path, compression="zstd")

    with path.open("rb") as handle:
        pages = list(pages_of(handle, "feed", ["a", "n"]))
        read = [batch.num_rows for batch in batches(handle, "feed", ["a", "n"], pages)]

    assert read == [16_384, 16_384, 7_232]
