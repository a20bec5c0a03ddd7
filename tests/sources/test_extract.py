import gzip
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from restock.chunks import FAULT, LINE, RAW, ROW, SUPERSEDED, ChunkRef
from restock.contract import Contract, FieldSpec, Kind
from restock.errors import SourceError
from sources.chunks.spool import Spool
from sources.extract import Chunking, extract
from sources.places.locations import find_source

CONTRACT = Contract({name: FieldSpec(name, Kind.TEXT) for name in ("sku", "name", "version")}, ("sku",))


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def bring(tmp_path, spool, make_feed, settings_in):
    """Extract files given by name and content; the extraction, and its rows as they wait in the spool."""

    def run(files, chunk_rows=2, keys=("sku",), on_rows=lambda rows: None, in_key_order=False, **feed_keys):
        def canonical(rows):
            return rows.rename(columns={"id": "sku"})[list(keys)]

        for name, content in files.items():
            if isinstance(content, pa.Table):
                pq.write_table(content, tmp_path / name)
            else:
                (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        feed = make_feed(source=list(files), **feed_keys)
        found = find_source(feed, settings_in(tmp_path))
        chunking = Chunking(chunk_rows, in_key_order)
        done = extract(found, feed, spool.of("run-1"), chunking, canonical, CONTRACT, on_rows)
        refs = [
            ChunkRef("run-1", chunk.number, chunk.spool_file, chunk.first_row, chunk.rows, 0) for chunk in done.chunks
        ]
        return done, pd.concat([spool.read(ref) for ref in refs], ignore_index=True)

    return run


FORMATS = ["csv", "csv.gz", "parquet"]


def content_of(kind, rows):
    """The same rows of (sku, name) in each format."""
    if kind == "parquet":
        return pa.table({"sku": [sku for sku, _ in rows], "name": [name for _, name in rows]})
    text = "sku,name\n" + "".join(f"{sku},{name or ''}\n" for sku, name in rows)
    return gzip.compress(text.encode(), mtime=0) if kind == "csv.gz" else text


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_gives_the_same_chunks(bring, kind):
    rows = [("001", "red"), ("NA", None), ("None", "größe"), ("4E12", "x"), ("e", "y")]
    spooled = []

    done, frame = bring({f"feed.{kind}": content_of(kind, rows)}, on_rows=spooled.append)

    assert [(chunk.number, chunk.first_row, chunk.rows) for chunk in done.chunks] == [(1, 1, 2), (2, 3, 2), (3, 5, 1)]
    assert (done.rows, done.ignored_columns, spooled) == (5, [], [2, 2, 1])
    assert frame["sku"].tolist() == [sku for sku, _ in rows]
    assert frame["name"].fillna("-").tolist() == [name or "-" for _, name in rows]
    assert frame[ROW].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_duplicates_are_settled_over_the_whole_source_whatever_the_chunks(bring, kind, chunk_rows):
    rows = [("a", "1"), ("b", "1"), ("a", "2"), (None if kind == "parquet" else "", "3"), ("a", "4"), ("c", "5")]

    _, frame = bring({f"feed.{kind}": content_of(kind, rows)}, chunk_rows)

    assert frame.loc[frame[SUPERSEDED], ROW].tolist() == [1, 3]


@pytest.mark.parametrize("rule,losers", [("first", [2, 4]), ("last", [1, 2]), ("newest", [1, 4])])
def test_the_rule_of_the_feed_decides(bring, rule, losers):
    text = "sku,version\na,1\na,3\nb,1\na,2\n"

    _, frame = bring(
        {"feed.csv": text},
        keys=("sku", "version") if rule == "newest" else ("sku",),
        on_duplicate=rule,
        version_column="version",
    )

    assert frame.loc[frame[SUPERSEDED], ROW].tolist() == losers


def test_under_reject_every_row_of_the_key_is_at_fault_and_keeps_its_cells(bring):
    _, frame = bring({"feed.csv": "sku,name\na,1\nb,2\na,3\n"}, on_duplicate="reject")

    assert frame[FAULT].fillna("-").tolist() == ["duplicate_key", "-", "duplicate_key"]
    assert frame[RAW].fillna("-").tolist() == ["line 4", "-", "line 2"]
    assert frame["name"].tolist() == ["1", "2", "3"]
    assert not frame[SUPERSEDED].any()


def test_faulty_rows_have_no_key(bring):
    _, frame = bring({"feed.csv": "sku,name\na,1\na\na,2,3\n"})

    assert frame[FAULT].fillna("-").tolist() == ["-", "too_few_fields", "too_many_fields"]
    assert not frame[SUPERSEDED].any()


def test_a_source_of_faulty_rows_only_is_extracted(bring):
    _, frame = bring({"feed.csv": "sku,name\na\nb\n"})

    assert frame[FAULT].tolist() == ["too_few_fields"] * 2


def test_several_files_are_one_source(bring):
    done, frame = bring(
        {"a.csv": "sku,name\na,1\nb,1\nc,1\n", "b.csv": "name,sku\n2,a\n2,d\n"}, columns={"sku": "sku", "name": "name"}
    )

    assert [chunk.rows for chunk in done.chunks] == [2, 2, 1]
    assert frame["sku"].tolist() == ["a", "b", "c", "a", "d"]
    assert frame[ROW].tolist() == [1, 2, 3, 4, 5]
    assert frame[LINE].tolist() == [2, 3, 4, 2, 3]
    assert frame.loc[frame[SUPERSEDED], ROW].tolist() == [1]


def test_files_of_different_types_share_no_chunk(bring):
    done, _ = bring(
        {"a.parquet": pa.table({"sku": ["a"], "name": [None]}), "b.parquet": pa.table({"sku": ["b"], "name": ["x"]})}
    )

    assert [(chunk.first_row, chunk.rows) for chunk in done.chunks] == [(1, 1), (2, 1)]


def test_ignored_columns_are_listed(bring):
    done, _ = bring({"feed.csv": "id,name,extra\na,1,2\n"}, columns={"sku": "id"})

    assert done.ignored_columns == ["name", "extra"]


@pytest.mark.parametrize(
    "files,sentence",
    [
        ({"feed.csv": "sku,nmae\na,1\n"}, "nmae"),
        ({"feed.csv": 'sku,name\na,1\nb,1\nc,"1\n'}, "never closed"),
        ({"feed.csv.gz": gzip.compress(b"sku,name\n" + b"a,1\n" * 50_000, mtime=0)[:-20]}, "cut short"),
        ({"a.csv": "sku,name\na,1\n", "b.csv": "sku\na\n"}, "the column 'name' of b.csv is missing"),
        ({"a.csv": "sku\na\n", "b.csv": "sku\n"}, "b.csv holds no rows"),
    ],
)
def test_a_source_that_cannot_be_read_whole_leaves_nothing_in_the_spool(bring, spool, files, sentence):
    with pytest.raises(SourceError, match=sentence):
        bring(files)
    assert spool.runs() == []


def test_a_spool_that_cannot_be_written_is_told_whatever_the_clearing_up_meets(bring, spool):
    spool.folder.write_text("a file where the folder should be")

    with pytest.raises(SourceError, match="RESTOCK_SPOOL"):
        bring({"feed.csv": "sku\na\n"})


def test_an_interruption_leaves_nothing_in_the_spool(bring, spool):
    def interrupt(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring({"feed.csv": "sku\na\nb\nc\n"}, on_rows=interrupt)
    assert spool.runs() == []


def scattered_csv(rows=12_000):
    """Every third key, then every third from the next one on, and then the others."""
    return "sku,name\n" + "".join(f"{each:05},n\n" for start in range(3) for each in range(start, rows, 3))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_scattered_source_is_put_in_the_order_of_its_keys_where_that_is_asked_for(bring, kind):
    keys = [line.split(",")[0] for line in scattered_csv().splitlines()[1:]]
    files = {f"feed.{kind}": content_of(kind, [(key, "n") for key in keys])}
    called = []

    as_it_is, plain = bring(files, 2_000)
    in_order, frame = bring(files, 2_000, on_rows=called.append, in_key_order=True)

    assert plain["sku"].tolist() == keys
    assert [chunk.unmoved for chunk in as_it_is.chunks] == [None] * 6
    assert [chunk.unmoved for chunk in in_order.chunks] == [()] * 6
    assert frame.sort_values(ROW, ignore_index=True).equals(plain)
    chunks = [frame["sku"][first : first + 2_000].astype(int) for first in range(0, 12_000, 2_000)]
    assert all(chunk.max() - chunk.min() < 3_000 for chunk in chunks)
    assert called == [2_000] * 6 + [0] * 12


def test_an_interruption_while_rows_are_put_in_order_leaves_nothing_in_the_spool(bring, spool):
    def interrupt(rows):
        if not rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring({"feed.csv": scattered_csv()}, 2_000, on_rows=interrupt, in_key_order=True)
    assert spool.runs() == []


@pytest.mark.parametrize(
    "values",
    [
        pa.nulls(3),
        pa.array([1.5, 1.5, None], pa.float16()),
        pa.array([b"a" * 16, b"a" * 16, None], pa.uuid()),
        pa.array([b"a", b"a", None], pa.binary_view()),
        pa.array([Decimal("1.5")] * 2 + [None], pa.decimal256(70, 2)),
        pa.array([7, 7, None], pa.time64("ns")),
        pa.array([7, 7, None], pa.duration("us")),
        pa.array([2**64 - 1] * 2 + [None], pa.uint64()),
        pa.array(["x", "x", None]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_equal_rows_of_any_type_are_settled(bring, values):
    _, frame = bring({"feed.parquet": pa.table({"sku": ["a", "a", "b"], "name": values})}, chunk_rows=10)

    assert frame[SUPERSEDED].tolist() == [True, False, False]


@pytest.mark.parametrize("items", [pa.dictionary(pa.int32(), pa.string()), pa.string_view()], ids=str)
def test_rows_with_lists_of_any_text_are_settled_and_moved(bring, monkeypatch, items):
    taking_lists = Contract(CONTRACT.fields | {"name": FieldSpec("name", Kind.ARRAY)}, ("sku",))
    monkeypatch.setitem(globals(), "CONTRACT", taking_lists)
    keys = [line.split(",")[0] for line in scattered_csv().splitlines()[1:]]
    lists = pa.array([["x", key] for key in keys], pa.list_(pa.string())).cast(pa.list_(items))

    done, frame = bring(
        {"feed.parquet": pa.table({"sku": [*keys[:-1], keys[0]], "name": lists})}, 2_000, in_key_order=True
    )

    assert [chunk.unmoved for chunk in done.chunks] == [()] * 6
    assert frame.loc[frame[SUPERSEDED], ROW].tolist() == [1]
    in_order = frame.sort_values(ROW)["name"]
    assert [list(cells) for cells in in_order] == [["x", key] for key in keys]
