"""The spool: one file per chunk, kept from admission until its rows are loaded.

A file is a stream of Arrow's, as a chunk is in memory, and the checksum of it behind: a chunk is written and read once
as a rule, so that to pack it would take longer than all else that is done with the file.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import xxhash

from restock.chunks import ROW, PlannedChunk
from restock.errors import SourceError
from restock.paths import shown
from sources.chunks.framing import as_frame

if TYPE_CHECKING:
    import pandas as pd

    from restock.chunks import ChunkRef


_CHECKSUM_BYTES = xxhash.xxh3_128().digest_size
# What follows a run's id in the name of its list of superseded rows, which is no chunk and stays when these are gone.
_SUPERSEDED = ".superseded.parquet"


class Spool:
    """Chunk files under one folder, in one folder per run. A file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, run_id: str) -> RunSpool:
        """What is here of one run."""
        return RunSpool(self, run_id)

    def read(self, ref: ChunkRef) -> pd.DataFrame:
        """The rows of a chunk as a frame, with the types they were written with.

        Raises:
            SourceError: its file is gone, cannot be read, or holds another number of rows.
        """
        return as_frame(self.read_table(ref))

    def read_table(self, ref: ChunkRef) -> pa.Table:
        """The rows of a chunk as they were written; raises as `read` does."""
        advice = (
            "begin a full feed anew with `restock sync FEED --fresh`; of a delta feed, abandon the chunk and sync its "
            "file again with --file"
        )
        try:
            table = _read_checked(self.path(ref.spool_file))
        except FileNotFoundError as error:
            raise SourceError(
                f"The spool file {ref.spool_file} of {ref} is not in this spool; reprocess it in the folder or on the "
                f"machine where its run was begun, or, if it is lost, {advice}."
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"The spool file {ref.spool_file} of {ref} cannot be read; {advice}.") from error
        if table.num_rows != ref.rows:
            raise SourceError(
                f"The spool file {ref.spool_file} of {ref} holds {table.num_rows} rows, not {ref.rows}; {advice}."
            )
        return table

    def has(self, ref: ChunkRef) -> bool:
        """Whether a chunk's file is there."""
        return self.path(ref.spool_file).exists()

    def remove(self, spool_file: str) -> None:
        """Remove a chunk's file, and the folder of its run with the last one. One that is gone already is fine."""
        path = self.path(spool_file)
        try:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise SourceError(f"{spool_file} cannot be removed from the spool: {_reason(error)}.") from error

    def runs(self) -> list[str]:
        """The runs that have chunks here, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())

    def runs_with_lists(self) -> list[str]:
        """The runs that have a list of superseded rows here, sorted."""
        return sorted(path.name.removesuffix(_SUPERSEDED) for path in self.folder.glob(f"[!.]*{_SUPERSEDED}"))

    def path(self, spool_file: str) -> Path:
        """Where an address in the spool leads; never out of it."""
        path = Path(os.path.normpath(self.folder / spool_file))
        if Path(os.path.normpath(self.folder)) not in path.parents:
            raise SourceError(f"{spool_file!r} is no address in the spool; check the ledger.")
        return path


@dataclass(frozen=True)
class RunSpool:
    """What the spool holds of one run: its chunks, and the list of its superseded rows."""

    whole: Spool
    run_id: str

    def write(self, number: int, table: pa.Table) -> PlannedChunk:
        """Write a chunk, in the place of an earlier one of that number.

        Raises:
            SourceError: the folder cannot be written, or its disk is full.
        """
        chunk = PlannedChunk(number, f"{self.run_id}/{number:05d}.arrows", table[ROW][0].as_py(), table.num_rows)
        target = self.whole.path(chunk.spool_file)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_checked(table, temporary)
            temporary.replace(target)
        except OSError as error:
            with suppress(OSError):  # what went wrong first is what matters
                temporary.unlink()
            raise unwritable(self.whole.folder, error) from error
        return chunk

    def read(self, chunk: PlannedChunk) -> pa.Table:
        """The rows of a chunk as they were written; raises as the spool does."""
        return self.whole.read_table(chunk.ref(self.run_id))

    def remove(self) -> None:
        """Remove all chunks, half-written ones too. The list of superseded rows stays."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def forget(self) -> None:
        """Remove all that is here of the run."""
        self.remove()
        self.superseded_file.unlink(missing_ok=True)

    @property
    def last_written(self) -> float:
        """When something was last written for the run, in seconds since 1970 by this host's clock.

        Now, if something of it goes away at this moment or nothing is left: then somebody is at work on it.
        """
        try:
            chunks = [self.folder, *self.folder.iterdir()] if self.folder.is_dir() else []
            paths = [*chunks, *([self.superseded_file] if self.superseded_file.exists() else [])]
            return max((path.stat().st_mtime for path in paths), default=time.time())
        except FileNotFoundError:
            return time.time()

    @property
    def folder(self) -> Path:
        """Where the chunks are."""
        return self.whole.path(self.run_id)

    @property
    def superseded_file(self) -> Path:
        """Where the list of superseded rows is, if there is one."""
        return self.whole.path(f"{self.run_id}{_SUPERSEDED}")


class _SummedFile:
    """A file whose checksum is made as it is written, for Arrow to write to."""

    closed = False

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self.checksum = xxhash.xxh3_128()

    def write(self, content: bytes) -> int:
        self.checksum.update(content)
        return self._handle.write(content)


def _write_checked(table: pa.Table, path: Path) -> None:
    with path.open("wb") as handle:
        summed = _SummedFile(handle)
        # In one piece, as who reads it wants each column.
        with pa.ipc.new_stream(pa.PythonFile(summed, mode="w"), table.schema) as stream:
            stream.write_table(table.combine_chunks())
        handle.write(summed.checksum.digest())


def _read_checked(path: Path) -> pa.Table:
    """The table of a file; raises OSError or ArrowInvalid where that is not to be had."""
    with pa.OSFile(str(path)) as file:
        content = file.read_buffer()
    length = content.size - _CHECKSUM_BYTES
    if xxhash.xxh3_128_digest(content[:length]) != content[length:].to_pybytes():
        raise pa.ArrowInvalid("It is not what was written.")
    return pa.ipc.open_stream(content[:length]).read_all()


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "its disk is full; make room and start again"
    return f"{error.strerror or error}; check the folder named in RESTOCK_SPOOL"


def unwritable(folder: Path, error: OSError) -> SourceError:
    """What to say of a spool that cannot be written."""
    return SourceError(f"The spool {shown(folder)} cannot be written: {_reason(error)}.")
