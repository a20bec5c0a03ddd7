"""Files of one source that differ from its first one."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from restock.chunks import FAULT, RAW, ChunkRef
from restock.contract import Contract, FieldSpec, Kind
from restock.errors import SourceError
from sources.chunks.spool import Spool
from sources.extract import Chunking, extract
from sources.places.locations import find_source

KINDS = {
    "sku": Kind.TEXT,
    "name": Kind.TEXT,
    "stock": Kind.INTEGER,
    "price": Kind.DECIMAL,
    "weight": Kind.FLOAT,
    "seen": Kind.DATETIME,
    "sold": Kind.BOOLEAN,
    "tags": Kind.JSON,
}
CONTRACT = Contract({name: FieldSpec(name, kind) for name, kind in KINDS.items()}, ("sku",))


def keys_of(rows):
    return rows[["sku"]]


@pytest.fixture
def bring(tmp_path, make_feed, settings_in):
    """Extract files given as tables or as CSV, in the order of their names; the extraction and its rows."""

    def run(*contents, **keys):
        for number, content in enumerate(contents, 1):
            if isinstance(content, pa.Table):
                pq.write_table(content, tmp_path / f"{number}.parquet")
            else:
                (tmp_path / f"{number}.csv").write_text(content)
        feed = make_feed(source=["*.parquet", "*.csv"] if all_kinds(contents) else pattern(contents), **keys)
        spool, files = Spool(tmp_path / "spool"), find_source(feed, settings_in(tmp_path))
        done = extract(files, feed, spool.of("run-1"), Chunking(100), keys_of, CONTRACT, lambda rows: None)
        refs = [ChunkRef("run-1", each.number, each.spool_file, each.first_row, each.rows, 0) for each in done.chunks]
        return done, pd.concat([spool.read(ref) for ref in refs], ignore_index=True)

    return run


def all_kinds(contents):
    return len({isinstance(content, pa.Table) for content in contents}) == 2


def pattern(contents):
    return "*.parquet" if isinstance(contents[0], pa.Table) else "*.csv"


def table(**columns):
    return pa.table(
        {"sku": pa.array(["a"]), **{name: pa.array([value], kind) for name, (value, kind) in columns.items()}}
    )


NEW = ("sku,name\na,1\n", "sku,name,stock\nb,2,3\n")
MISSING = ("sku,name,stock\na,1,3\n", "sku,name\nb,2\n")
RENAMED = ("sku,name\na,1\n", "sku,stock\nb,2\n")


def test_reordered_columns_are_no_difference(bring):
    _, frame = bring("sku,name\na,1\n", "name,sku\n2,b\n")

    assert frame[["sku", "name"]].to_numpy().tolist() == [["a", "1"], ["b", "2"]]
    assert frame[FAULT].isna().all()


@pytest.mark.parametrize(
    "files,sentence",
    [
        (NEW, r"2.csv differs from 1.csv: the column 'stock' of 2.csv is new: 1.csv does not have it; have the files"),
        (
            MISSING,
            r"2.csv differs from 1.csv: the column 'stock' of 2.csv is missing; have the files exported alike",
        ),
        (RENAMED, r"the column 'stock' of 2.csv is new: .* \(and 1 more differences\)"),
        (
            (table(price=(Decimal("1.50"), pa.decimal128(9, 2))), table(price=(1.5, pa.float64()))),
            r"'price' of 2.parquet is a float \(double\) and was an exact number \(decimal128\(9, 2\)\) before",
        ),
    ],
)
def test_by_default_a_difference_refuses_the_source_before_anything_is_spooled(bring, tmp_path, files, sentence):
    with pytest.raises(SourceError, match=sentence):
        bring(*files)
    assert not (tmp_path / "spool").exists()


def test_ignore_new_leaves_new_columns_out_and_lists_them(bring):
    done, frame = bring(*NEW, on_drift="ignore_new")

    assert done.ignored_columns == ["stock"]
    assert "stock" not in frame.columns
    assert frame["name"].tolist() == ["1", "2"]
    assert frame[FAULT].isna().all()


@pytest.mark.parametrize("files", [MISSING, RENAMED])
def test_ignore_new_still_refuses_what_could_lose_something(bring, files):
    with pytest.raises(SourceError, match="is missing"):
        bring(*files, on_drift="ignore_new")


@pytest.mark.parametrize(
    "files,difference",
    [
        (NEW, "the column 'stock' of 2.csv is new: 1.csv does not have it"),
        (MISSING, "the column 'stock' of 2.csv is missing"),
        (
            (table(), table(stock=(1.5, pa.float64()))),
            "the column 'stock' of 2.parquet is new",
        ),
        (
            (table(stock=(1, pa.int64())), table(stock=(1.0, pa.float64()))),
            "2.parquet is a float (double) and was an exact number (int64)",
        ),
    ],
)
def test_reject_sets_every_row_of_the_differing_file_aside_and_names_the_difference(bring, files, difference):
    done, frame = bring(*files, on_drift="reject")

    assert frame[FAULT].fillna("-").tolist() == ["-", "drift"]
    assert difference in frame[RAW].iloc[1]
    assert done.rows == 2
    assert frame["sku"].tolist()[0] == "a"


def test_a_file_that_is_like_the_first_loads_beside_one_that_is_not(bring):
    _, frame = bring("sku,name\na,1\n", "sku\nb\n", "name,sku\n3,c\n", on_drift="reject")

    assert frame[FAULT].fillna("-").tolist() == ["-", "drift", "-"]
    assert frame["sku"].tolist() == ["a", "b", "c"]


INSTANT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
LOCAL = INSTANT.replace(tzinfo=None)


@pytest.mark.parametrize(
    "column,one,other,is_safe",
    [
        ("stock", (1, pa.int8()), (2**40, pa.int64()), True),
        ("stock", (1, pa.uint64()), (Decimal("2"), pa.decimal128(20, 0)), True),
        ("stock", (1, pa.int64()), (2.0, pa.float64()), False),
        ("stock", (1, pa.int64()), (None, pa.null()), True),
        ("stock", (1, pa.int64()), ("2", pa.string()), True),
        ("stock", (1, pa.int64()), (True, pa.bool_()), False),
        ("price", (1, pa.int64()), (Decimal("2.50"), pa.decimal256(60, 2)), True),
        ("price", (Decimal("2.50"), pa.decimal128(9, 2)), (2.5, pa.float32()), False),
        ("weight", (1, pa.int32()), (2.5, pa.float64()), True),
        ("weight", (1.0, pa.float16()), (2.5, pa.float64()), True),
        ("name", ("1", pa.string()), ("x", pa.large_string()), True),
        ("name", ("1", pa.string()), (b"x", pa.binary()), True),
        ("name", ("1", pa.string()), (2, pa.int64()), False),
        ("name", (None, pa.null()), (2, pa.int64()), True),
        ("seen", (LOCAL, pa.timestamp("ms")), (LOCAL, pa.timestamp("us")), True),
        ("seen", (LOCAL.date(), pa.date32()), (LOCAL, pa.timestamp("us")), True),
        ("seen", (LOCAL, pa.timestamp("us")), (INSTANT, pa.timestamp("us", "UTC")), False),
        ("seen", (INSTANT, pa.timestamp("ns", "Europe/Berlin")), (INSTANT, pa.timestamp("us", "UTC")), True),
        ("sold", (True, pa.bool_()), (1, pa.int8()), True),
        ("tags", (["x"], None), ('["x"]', pa.string()), True),
    ],
)
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_type_that_loses_nothing_is_taken_and_one_that_could_is_a_difference(bring, column, one, other, is_safe, way):
    files = [table(**{column: one}), table(**{column: other})]
    if way == "back":
        files.reverse()

    if is_safe:
        assert bring(*files)[0].rows == 2
    else:
        with pytest.raises(SourceError, match=f"the column '{column}' of 2.parquet is .* and was .* before"):
            bring(*files)


def test_files_of_two_formats_are_compared_too(bring):
    assert bring(table(stock=(1, pa.int64())), "sku,stock\nb,2\n")[0].rows == 2
    with pytest.raises(
        SourceError, match=r"the column 'name' of 2.csv is text and was an exact number \(int64\) before"
    ):
        bring(table(name=(1, pa.int64())), "sku,name\nb,x\n")


def test_a_column_that_nothing_takes_is_listed_whichever_file_has_it(bring):
    files = ("sku,old\na,1\n", "sku,new\nb,2\n")

    done, frame = bring(*files, unknown_columns="ignore")

    assert done.ignored_columns == ["old", "new"]
    assert frame["sku"].tolist() == ["a", "b"]
    assert bring(*files, columns={"sku": "sku"})[0].ignored_columns == ["old", "new"]


def test_an_unknown_column_of_a_later_file_is_a_difference(bring):
    with pytest.raises(SourceError, match=r"the column 'colour' of 2.csv is new"):
        bring("sku\na\n", "sku,colour\nb,red\n")


def test_a_column_that_may_be_missing_may_be_missing_in_one_file(bring):
    columns = {"sku": "sku", "name": {"from": "name", "optional": True}}

    _, there = bring("sku,name\na,1\n", "sku\nb\n", columns=columns)

    assert there[FAULT].isna().all()
    assert there["name"].fillna("-").tolist() == ["1", "-"]


def test_the_published_files_of_an_evolving_schema(data, make_feed, settings_in, tmp_path):
    feed = make_feed(source=["evo_old.parquet", "evo_new.parquet"], on_drift="ignore_new")
    contract = Contract(
        {name: FieldSpec(name, kind) for name, kind in (("name", Kind.TEXT), ("age", Kind.INTEGER))}, ()
    )
    files = sorted(find_source(feed, settings_in(data / "parquet")), key=lambda file: file.name, reverse=True)

    done = extract(
        files, feed, Spool(tmp_path).of("run-1"), Chunking(10), lambda rows: rows[["name"]], contract, lambda rows: None
    )

    assert (done.rows, done.ignored_columns) == (2, ["email"])
