import datetime as dt
import os
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from restock.chunks import FAULT, LINE, RAW, ROW, SUPERSEDED, ChunkRef
from restock.errors import SourceError
from sources.spool import Spool

NAIVE = dt.datetime(2024, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)


def ref(spool_file, rows, number=1):
    return ChunkRef("run-1", number, spool_file, 1, rows, 0)


def frame_of(**columns):
    rows = len(next(iter(columns.values())))
    return pd.DataFrame(
        {
            **columns,
            ROW: np.arange(1, rows + 1),
            LINE: pd.array([2] + [None] * (rows - 1), dtype="Int64"),
            FAULT: pd.array([None] * (rows - 1) + ["quote"], dtype="str"),
            RAW: pd.array([None] * (rows - 1) + ['"x'], dtype="str"),
            SUPERSEDED: [False] * (rows - 1) + [True],
        }
    )


def arrow(values, kind):
    return pd.array(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)])))


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.mark.parametrize(
    "column",
    [
        pd.array(["a", None, "", "NA", "\0", "😀", "a\r\nb"], dtype="str"),
        pd.array([None, None], dtype="str"),
        arrow([2**63 - 1, None], pa.int64()),
        arrow([2**64 - 1, None], pa.uint64()),
        arrow([1, None], pa.uint32()),
        arrow([1, None], pa.int8()),
        arrow([Decimal("1234567890123456789012345678.123456789"), None], pa.decimal128(38, 9)),
        arrow([Decimal("1e60"), None], pa.decimal256(70, 2)),
        arrow([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("ns", "Europe/Berlin")),
        arrow([NAIVE.replace(year=9999), None], pa.timestamp("us")),
        arrow([NAIVE, None], pa.timestamp("ms")),
        arrow([dt.date(1, 1, 1), None], pa.date32()),
        arrow([dt.time(1, 2, 3, 4), None], pa.time64("us")),
        arrow([dt.time(1, 2, 3, 4), None], pa.time64("ns")),
        arrow([dt.timedelta(days=-1), None], pa.duration("us")),
        arrow([True, None], pa.bool_()),
        arrow([0.1, None, float("nan"), float("-inf")], pa.float64()),
        arrow([0.5, None], pa.float32()),
        arrow([0.5, None], pa.float16()),
        arrow([b"\xff\0", None], pa.binary()),
        arrow([b"1234567890123456", None], pa.binary(16)),
        arrow([None, None], pa.null()),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_chunk_comes_back_exactly(spool, column):
    frame = frame_of(a=column)

    back = spool.read(ref(spool.write("run-1", 1, frame), len(frame)))

    pd.testing.assert_frame_equal(back, frame)
    assert pa.array(back["a"], from_pandas=False).is_null().equals(pa.array(frame["a"], from_pandas=False).is_null())


def test_a_chunk_has_an_address_under_its_run_and_leaves_no_other_file(spool):
    frame = frame_of(a=["x"])

    first, again = spool.write("run-1", 7, frame), spool.write("run-1", 7, frame)

    assert first == again == "run-1/00007.parquet"
    assert [path.name for path in spool.folder.rglob("*.*")] == ["00007.parquet"]


def test_removing_the_last_chunk_removes_the_folder_of_the_run(spool):
    files = [spool.write("run-1", number, frame_of(a=["x"])) for number in (1, 2)]

    spool.remove(files[0])
    assert spool.runs() == ["run-1"]
    spool.remove(files[1])
    spool.remove(files[1])

    assert spool.runs() == []


def test_removing_a_run_leaves_the_others(spool):
    for run in ("run-2", "run-1"):
        spool.write(run, 1, frame_of(a=["x"]))

    spool.remove_run("run-1")
    spool.remove_run("run-1")

    assert spool.runs() == ["run-2"]


def test_a_chunk_that_is_gone_or_broken_gets_a_sentence(spool):
    spool_file = spool.write("run-1", 1, frame_of(a=["x", "y"]))

    with pytest.raises(SourceError, match="holds 2 rows, not 3"):
        spool.read(ref(spool_file, 3))
    content = (spool.folder / spool_file).read_bytes()
    (spool.folder / spool_file).write_bytes(content[:-10])
    with pytest.raises(SourceError, match="of chunk 1 of run run-1 cannot be read"):
        spool.read(ref(spool_file, 2))
    spool.remove(spool_file)
    with pytest.raises(SourceError, match=r"run-1/00001\.parquet of chunk 1 of run run-1 is gone"):
        spool.read(ref(spool_file, 2))


@pytest.mark.parametrize("address", ["../outside.parquet", "/etc/passwd", "", "run-1/../.."])
def test_an_address_outside_the_spool_is_refused(spool, address):
    with pytest.raises(SourceError, match="no address in the spool"):
        spool.remove(address)


def test_a_spool_that_cannot_be_written_gets_a_sentence(tmp_path):
    (tmp_path / "spool").write_text("a file where the folder should be")

    with pytest.raises(SourceError, match="RESTOCK_SPOOL"):
        Spool(tmp_path / "spool").write("run-1", 1, frame_of(a=["x"]))


def test_a_full_disk_gets_a_sentence_and_leaves_nothing(tmp_path):
    pytest.importorskip("resource", reason="needs limits on the size of files")
    script = (
        "import resource, signal, sys, pathlib, pandas as pd\n"
        "from sources.spool import Spool\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "Spool(pathlib.Path(sys.argv[1])).write('run-1', 1, pd.DataFrame({'a': map(str, range(10000))}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "spool")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert "SourceError: The spool spool cannot be written" in done.stderr
    assert [path for path in (tmp_path / "spool").rglob("*") if path.is_file()] == []
