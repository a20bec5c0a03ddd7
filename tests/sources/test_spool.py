import datetime as dt
import os
import subprocess
import sys
import time
from decimal import Decimal

import pyarrow as pa
import pytest

from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SUPERSEDED, ChunkRef
from restock.errors import SourceError
from sources.chunks.framing import TEXT, chunked, with_column, with_spool_columns
from sources.chunks.spool import Spool

NAIVE = dt.datetime(2024, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)


def ref(spool_file, rows, number=1):
    return ChunkRef("run-1", number, spool_file, 1, rows, 0)


def table_of(values, kind=TEXT):
    """A chunk with the column `a`, its last row at fault and superseded."""
    rows = len(values)
    lines, faults, raws = [2] + [None] * (rows - 1), [None] * (rows - 1) + ["quote"], [None] * (rows - 1) + ['"x']
    [table] = chunked([with_spool_columns(pa.table({"a": pa.array(values, kind)}), lines, faults, raws)], rows)
    return with_column(table, SUPERSEDED, pa.array([False] * (rows - 1) + [True]))


def write(spool, number, table, run="run-1"):
    """Write a chunk of a run; its address."""
    return spool.of(run).write(number, table).spool_file


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.mark.parametrize(
    "values,kind",
    [
        (["a", None, "", "NA", "\0", "😀", "a\r\nb"], TEXT),
        ([None, None], TEXT),
        ([2**63 - 1, None], pa.int64()),
        ([2**64 - 1, None], pa.uint64()),
        ([1, None], pa.uint32()),
        ([1, None], pa.int8()),
        ([Decimal("1234567890123456789012345678.123456789"), None], pa.decimal128(38, 9)),
        ([Decimal("1e60"), None], pa.decimal256(70, 2)),
        ([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("ns", "Europe/Berlin")),
        ([NAIVE.replace(year=9999), None], pa.timestamp("us")),
        ([NAIVE, None], pa.timestamp("ms")),
        ([dt.date(1, 1, 1), None], pa.date32()),
        ([dt.time(1, 2, 3, 4), None], pa.time64("us")),
        ([dt.time(1, 2, 3, 4), None], pa.time64("ns")),
        ([dt.timedelta(days=-1), None], pa.duration("us")),
        ([True, None], pa.bool_()),
        ([0.1, None, float("nan"), float("-inf")], pa.float64()),
        ([0.5, None], pa.float32()),
        ([0.5, None], pa.float16()),
        ([b"\xff\0", None], pa.binary()),
        ([b"1234567890123456", None], pa.binary(16)),
        ([None, None], pa.null()),
    ],
    ids=str,
)
def test_a_chunk_comes_back_exactly(spool, values, kind):
    table = table_of(values, kind)

    back = spool.read_table(ref(write(spool, 1, table), len(values)))

    assert back.schema == table.schema
    assert repr(back.to_pylist()) == repr(table.to_pylist())


def test_a_chunk_is_read_as_a_frame_with_the_types_of_pandas(spool):
    table = table_of(["a", None], TEXT).add_column(1, "b", pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)))

    frame = spool.read(ref(write(spool, 1, table), 2))

    assert frame.dtypes.astype(str).to_dict() == {
        "a": "str", "b": "decimal128(5, 2)[pyarrow]", ROW: "int64", LINE: "Int64", BYTE: "Int64", FAULT: "str",
        RAW: "str", SUPERSEDED: "bool",
    }  # fmt: skip
    assert frame["a"].fillna("-").tolist() == ["a", "-"]
    assert frame[[ROW, SUPERSEDED]].to_numpy().tolist() == [[1, False], [2, True]]


def test_a_chunk_of_several_pieces_is_read_as_one(spool):
    pieces = pa.concat_tables([table_of(["a", "b"]), table_of(["c"])])

    read = spool.of("run-1").read(spool.of("run-1").write(1, pieces))

    assert read.equals(pieces)
    assert {column.num_chunks for column in read.columns} == {1}


def test_a_chunk_that_rotted_on_disk_is_refused(spool):
    """Its text stays sound text: only the checksum tells."""
    spool_file = write(spool, 1, table_of(["Garden hose 20 m", "y"]))
    path = spool.folder / spool_file
    path.write_bytes(path.read_bytes().replace(b"Garden hose 20 m", b"Garden hose 21 m"))

    with pytest.raises(SourceError, match="of chunk 1 of run run-1 cannot be read; begin a full feed anew"):
        spool.read(ref(spool_file, 2))


def test_a_chunk_has_an_address_under_its_run_and_leaves_no_other_file(spool):
    table = table_of(["x"])

    first, again = write(spool, 7, table), write(spool, 7, table)

    assert first == again == "run-1/00007.arrows"
    assert [path.name for path in spool.folder.rglob("*.*")] == ["00007.arrows"]


def test_removing_the_last_chunk_removes_the_folder_of_the_run(spool):
    files = [write(spool, number, table_of(["x"])) for number in (1, 2)]

    spool.remove(files[0])
    assert spool.runs() == ["run-1"]
    (spool.folder / files[1]).unlink()  # a process was killed right then
    spool.remove(files[1])
    assert spool.runs() == []
    spool.remove(files[1])


def test_runs_and_lists_of_superseded_rows_are_told_apart_and_go_each_with_its_run(spool):
    assert (spool.runs(), spool.runs_with_lists()) == ([], [])
    for number in (3, 5, 1, 4, 2):
        write(spool, 1, table_of(["x"]), f"run-{number}")
        spool.of(f"run-{number}").superseded_file.touch()

    spool.of("run-1").remove()
    spool.of("run-1").remove()
    spool.of("run-4").forget()
    spool.of("run-4").forget()

    assert spool.runs() == ["run-2", "run-3", "run-5"]
    assert spool.runs_with_lists() == ["run-1", "run-2", "run-3", "run-5"]


def test_a_run_was_last_written_when_the_newest_of_its_chunks_and_its_list_was(spool):
    write(spool, 1, table_of(["x"]))
    run = spool.of("run-1")
    run.superseded_file.touch()
    places = [run.folder, run.folder / "00001.arrows", run.superseded_file]
    for newest in places:
        for place in places:
            os.utime(place, (0, 0))
        os.utime(newest, (1000, 1000))
        assert run.last_written == 1000

    run.remove()
    assert run.last_written == 1000  # that of the list, which outlives the chunks


def test_what_goes_away_while_it_is_looked_at_counts_as_just_written(spool):
    before = time.time()
    write(spool, 1, table_of(["x"]))
    os.utime(spool.folder / "run-1", (0, 0))
    os.utime(spool.folder / "run-1" / "00001.arrows", (0, 0))

    assert spool.of("run-1").last_written == 0
    assert spool.of("run-2").last_written >= before

    (spool.folder / "run-1" / "loaded").symlink_to("nowhere")  # listed, but not there any more
    assert spool.of("run-1").last_written >= before


def test_a_chunk_that_is_gone_or_broken_gets_a_sentence(spool):
    spool_file = write(spool, 1, table_of(["x", "y"]))

    for rows in (1, 3):
        with pytest.raises(SourceError, match=f"holds 2 rows, not {rows}"):
            spool.read(ref(spool_file, rows))
    content = (spool.folder / spool_file).read_bytes()
    for rest in (content[:-10], content[:10], b""):
        (spool.folder / spool_file).write_bytes(rest)
        with pytest.raises(SourceError, match="of chunk 1 of run run-1 cannot be read"):
            spool.read(ref(spool_file, 2))
    spool.remove(spool_file)
    with pytest.raises(
        SourceError,
        match=r"run-1/00001\.arrows of chunk 1 of run run-1 is not in this spool; reprocess it in the folder",
    ):
        spool.read(ref(spool_file, 2))


@pytest.mark.parametrize("address", ["../outside.parquet", "/etc/passwd", "", "run-1/../.."])
@pytest.mark.parametrize("folder", [".", "elsewhere/.."])
def test_an_address_outside_the_spool_is_refused(spool, folder, address):
    with pytest.raises(SourceError, match="no address in the spool"):
        Spool(spool.folder / folder).remove(address)


def test_a_file_that_cannot_be_removed_gets_a_sentence(spool):
    (spool.folder / "run-1" / "00001.arrows").mkdir(parents=True)

    with pytest.raises(SourceError, match=r"run-1/00001\.arrows cannot be removed from the spool: .*RESTOCK_SPOOL"):
        spool.remove("run-1/00001.arrows")


def test_a_chunk_that_cannot_take_its_place_gets_a_sentence_and_leaves_nothing(spool):
    (spool.folder / "run-1" / "00001.arrows").mkdir(parents=True)

    with pytest.raises(SourceError, match=r"The spool …/\w+/spool cannot be written: .*RESTOCK_SPOOL"):
        write(spool, 1, table_of(["x"]))
    assert [path.name for path in (spool.folder / "run-1").iterdir()] == ["00001.arrows"]


def test_a_spool_that_cannot_be_written_gets_a_sentence(tmp_path):
    (tmp_path / "spool").write_text("a file where the folder should be")

    with pytest.raises(SourceError, match="RESTOCK_SPOOL"):
        write(Spool(tmp_path / "spool"), 1, table_of(["x"]))


def test_a_full_disk_gets_a_sentence_and_leaves_nothing(tmp_path):
    pytest.importorskip("resource", reason="needs limits on the size of files")
    script = (
        "import resource, signal, sys, pathlib, pyarrow as pa\n"
        "from sources.chunks.spool import Spool\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "table = pa.table({'a': [str(n) for n in range(10000)], '_row': range(10000)})\n"
        "Spool(pathlib.Path(sys.argv[1])).of('run-1').write(1, table)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "spool")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert "spool cannot be written" in done.stderr
    assert [path for path in (tmp_path / "spool").rglob("*") if path.is_file()] == []
