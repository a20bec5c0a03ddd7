"""Reads Parquet with its types kept exactly, in tables of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa

from restock.ahead import in_order
from restock.contract import Contract, Kind
from restock.errors import NoRows, SourceError
from sources.chunks.columns import refuse_bad_names
from sources.chunks.framing import plain, plain_type, with_spool_columns
from sources.parquet_files.nested import NoJson, json_texts, kinds_for, told
from sources.parquet_files.opening import batches, open_parquet, refuse_false_counts, stored_bytes, wrapped_columns
from sources.parquet_files.pages import Page, pages_of
from sources.places.locations import open_pinned, open_start
from sources.places.unpacking import Growth

if TYPE_CHECKING:
    from restock.feeds import Feed
    from sources.places.locations import SourceFile


class ParquetSource:
    """One Parquet file. `columns` are all its columns; tables hold those the feed takes.

    Text is `str`, a nested value is its JSON text where the model holds JSON; any other type stays what it is, as an
    Arrow type.
    """

    def __init__(self, file: SourceFile, feed: Feed, contract: Contract) -> None:
        """Read the schema.

        Args:
            file: the file.
            feed: which columns it takes, under which names.
            contract: which of them may be nested: those that hold JSON, or lists.

        Raises:
            SourceError: the file is no Parquet, has no rows, or a column that the feed takes cannot be loaded.
        """
        self.file = file
        with open_start(file) as handle, self._readable():
            opened = open_parquet(handle, file.name)
            self.schema = opened.schema_arrow
            self.columns = list(self.schema.names)
            refuse_bad_names(self.columns, file.name)
            self._taken = feed.renames(self.columns, contract.fields)
            self._wrapped = [name for name in wrapped_columns(opened) if name in self._taken]
            self._nested = [n for n in self._taken if pa.types.is_nested(plain_type(self.schema.field(n).type))]
            self._as_json = [name for name in self._nested if self._kind_of(name, contract) is Kind.JSON]
            self._refuse_nested(contract)
            if opened.metadata.num_rows == 0:
                raise NoRows(f"{file.name} holds no rows; have it exported again.")

    @property
    def types(self) -> dict[str, pa.DataType]:
        """The type of each column, without a dictionary or an extension around it."""
        return {field.name: plain_type(field.type) for field in self.schema}

    def _kind_of(self, name: str, contract: Contract) -> Kind | None:
        """What the model's column holds that a column of the file fills."""
        spec = contract.fields.get(self._taken[name])
        return None if spec is None else spec.kind

    def tables(self) -> Iterator[pa.Table]:
        """The rows in tables of bounded size, with the spool columns beside those taken.

        Raises:
            SourceError: the file cannot be read to its end, or unpacks to more than the feed allows.
            SourceChanged: the file is not the one that was planned.
        """
        growth = Growth(self.file)
        with open_pinned(self.file) as handle, self._readable():
            opened, count = open_parquet(handle, self.file.name), 0
            growth.expect(stored_bytes(opened.metadata))
            pages = list(pages_of(handle, self.file.name, list(self._taken)))
            growth.expect(sum(page.unpacked for page in pages))  # which need not be the same
            self._refuse_wrapped(handle)
            for table in in_order(self._table, self._batches(handle, pages, growth)):
                count += table.num_rows
                yield table
            refuse_false_counts(opened, list(self._taken), count, self.file.name)

    def _batches(self, handle: BinaryIO, pages: list[Page], growth: Growth) -> Iterator[pa.RecordBatch]:
        for batch in batches(handle, self.file.name, list(self._taken), pages):
            growth.add(batch.nbytes)
            yield batch

    def _table(self, batch: pa.RecordBatch) -> pa.Table:
        batch.validate(full=True)  # text that is no UTF-8 would be met later, and far from its file
        cells = [plain(self._cells(batch, name)) for name in self._taken]
        return with_spool_columns(pa.table(cells, list(self._taken)))

    def _cells(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        if name not in self._as_json:
            return batch.column(name)
        try:
            return json_texts(batch.column(name))
        except NoJson as error:
            raise SourceError(
                f"The column {name!r} of {self.file.name} cannot become JSON: {error}; change it in the export, or "
                "leave it out under `columns:`."
            ) from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, EOFError, MemoryError, UnicodeDecodeError) as error:
            if "crypt" in str(error):
                raise SourceError(f"{self.file.name} is encrypted; have it exported without encryption.") from error
            raise SourceError(
                f"{self.file.name} is not a readable Parquet file; have it exported or fetched again."
            ) from error

    def _refuse_nested(self, contract: Contract) -> None:
        for name in self._nested:
            kind = self.schema.field(name).type
            fitting = kinds_for(plain_type(kind))
            if self._kind_of(name, contract) not in fitting:
                raise SourceError(
                    f"The column {name!r} of {self.file.name} is nested ({kind}), which fits only a column that holds "
                    f"{told(fitting)}; flatten it in the export, or leave it out under `columns:`."
                )
            if name in self._wrapped:
                raise SourceError(
                    f"The column {name!r} of {self.file.name} holds old INT96 timestamps inside a nested value, which "
                    "cannot be checked; have them exported as timestamps of today, or leave it out under `columns:`."
                )

    def _refuse_wrapped(self, handle: Any) -> None:
        """Refuse INT96 timestamps that do not fit microseconds: Arrow gives another moment without a word."""
        if not self._wrapped:
            return
        exact = open_parquet(handle, self.file.name, int96_unit="s").iter_batches(columns=self._wrapped)
        read = open_parquet(handle, self.file.name).iter_batches(columns=self._wrapped)
        row = 1
        for seconds, microseconds in zip(exact, read, strict=True):
            for name in self._wrapped:
                wrong = _ticks(seconds.column(name)) != _ticks(microseconds.column(name)) // 1_000_000
                if wrong.any():
                    raise SourceError(
                        f"The column {name!r} of {self.file.name} holds in row {row + int(wrong.argmax())} a "
                        "timestamp too far from today for microseconds; correct it in the export, or leave the column "
                        "out under `columns:`."
                    )
            row += seconds.num_rows


def _ticks(moments: pa.Array) -> np.ndarray:
    return moments.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
