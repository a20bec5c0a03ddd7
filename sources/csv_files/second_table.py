"""Finds a header between the rows of a CSV file: what follows is of another table, or comes twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import LINE
from restock.errors import SourceError

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules
    from sources.csv_files.header import TableStart

# To look once costs as much as to look at thousands of rows.
ROWS_AT_ONCE = 25_000


class SecondTable:
    """Looks for the header of a file in its rows, many at a time. One name alone may be a value."""

    def __init__(self, rules: CsvRules, start: TableStart, file: str) -> None:
        headers = [start.names] if start.header == start.names else [start.names, start.header]
        # As they would be read if they came again; one without a word is a row like others.
        as_rows = [[None if name in rules.null_values else name for name in header] for header in headers]
        self._headers = [header for header in as_rows if len(header) > 1 and any(header)]
        # Where files were put together, the next one may begin with a byte order mark.
        self._headers += [[f"\ufeff{header[0]}", *header[1:]] for header in self._headers if header[0]]
        self._file = file

    def watched(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The tables as they come, looked at once there are enough rows of them, and at the end.

        Raises:
            SourceError: a row is the header.
        """
        waiting: list[pa.Table] = []
        for table in tables:
            waiting.append(table)
            yield table
            if sum(each.num_rows for each in waiting) >= ROWS_AT_ONCE:
                self._refuse_header(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            self._refuse_header(pa.concat_tables(waiting))

    def _refuse_header(self, table: pa.Table) -> None:
        for header in self._headers:
            first = next(place for place, name in enumerate(header) if name)
            if pc.index(table.column(first), header[first]).as_py() < 0:
                continue
            is_header = pc.fill_null(pc.equal(table.column(first), header[first]), False)
            for row in pc.indices_nonzero(is_header).to_pylist():
                if all(table.column(place)[row].as_py() == name for place, name in enumerate(header)):
                    raise SourceError(
                        f"Line {table[LINE][row]} of {self._file} repeats the header, as if another table began "
                        "there; split the file, or skip all such lines by naming what they begin with under "
                        "`csv: comment`, with `header_rows: 0` and `names`, as the first header begins so too."
                    )
