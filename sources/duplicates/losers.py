"""Rows that do not count because another row of their source has their key: found in any order, told chunk by chunk."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from sources.chunks.scratch import Place, Scratch

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
# A row that lost and the row that counts, by their positions in the source and their lines (0: no lines), and whether
# the two are equal in every cell.
LOSER = np.dtype([("row", "i8"), ("line", "i8"), ("other", "i8"), ("other_line", "i8"), ("is_twin", "?")])
SHOWN = 5


@dataclass
class FileRows:
    """The files of a source, in order, and the position of the first row of each."""

    names: list[str] = field(default_factory=list)
    first_rows: list[int] = field(default_factory=list)

    def begin(self, name: str, first_row: int) -> None:
        """Note that the rows of a file begin here."""
        self.names.append(name)
        self.first_rows.append(first_row)

    def place(self, row: int, line: int) -> str:
        """Where a row stands, for people: its line, or its number where the format has no lines."""
        at = bisect_right(self.first_rows, row) - 1
        number = f"line {line}" if line else f"row {row - self.first_rows[at] + 1}"
        return number if len(self.names) == 1 else f"{number} of {self.names[at]}"

    def columns(self, rows: Numbers, lines: Numbers) -> list[pa.Array]:
        """The file of each row, its number there, and its line, null where the format has none."""
        at = np.searchsorted(self.first_rows, rows, side="right") - 1
        numbers = rows - np.array(self.first_rows, np.int64)[at] + 1
        return [pa.array(self.names).take(pa.array(at)), pa.array(numbers), pa.array(lines, mask=lines == 0)]


class Losers:
    """The losers of a source. `twins` of them equal the row that counts in every cell.

    Under the rule `reject` no row counts: each row of the key is here, with another one.
    """

    def __init__(self, scratch: Scratch, first_rows: list[int], files: FileRows) -> None:
        """Begin with none; they go to `scratch`. `first_rows` are the positions of the first rows of the chunks."""
        self.files, self.twins, self._count = files, 0, 0
        self._scratch, self._first_rows = scratch, first_rows
        self._places: dict[int, list[Place]] = defaultdict(list)

    def add(self, found: np.ndarray[Any, Any]) -> None:
        """Add some, as an array of `LOSER`."""
        found = found[np.argsort(found["row"])]
        self._count += len(found)
        self.twins += int(found["is_twin"].sum())
        start = 0
        while start < len(found):
            chunk = bisect_right(self._first_rows, found["row"][start]) - 1
            beyond = self._first_rows[chunk + 1] if chunk + 1 < len(self._first_rows) else np.iinfo(np.int64).max
            end = int(np.searchsorted(found["row"], beyond))
            self._places[chunk].append(self._scratch.set_down(found[start:end].tobytes()))
            start = end

    def of_chunk(self, chunk: int) -> np.ndarray[Any, Any]:
        """Those in the chunk of a place, from 0, in the order of their rows."""
        content = b"".join(self._scratch.read(place) for place in self._places.get(chunk, ()))
        found = np.frombuffer(content, LOSER)
        return found[np.argsort(found["row"])]

    def others(self, some: np.ndarray[Any, Any]) -> list[str]:
        """Where the row stands that counts instead of each of these."""
        return [self.files.place(row, line) for row, line in some[["other", "other_line"]].tolist()]

    def __len__(self) -> int:
        return self._count

    def __str__(self) -> str:
        shown: list[str] = []
        for chunk in sorted(self._places):
            first = self.of_chunk(chunk)[: SHOWN - len(shown)]
            places = [self.files.place(row, line) for row, line in first[["row", "line"]].tolist()]
            shown += [f"{place} (see {other})" for place, other in zip(places, self.others(first), strict=True)]
            if len(shown) == SHOWN:
                break
        more = ", …" if self._count > SHOWN else ""
        return (
            f"Rows that do not count, because another row has their key: {self._count:,}, of which {self.twins:,} "
            f"equal it in every column: {', '.join(shown)}{more}."
        )
