"""Rows that do not count because another row of their source has their key: found in any order, told chunk by chunk."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import Any

import numpy as np

from sources.scratch import Place, Scratch

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
# A row that lost, where it stands, where the row stands that counts, and whether the two are equal in every cell.
LOSER = np.dtype([("row", "i8"), ("place", "i8"), ("other", "i8"), ("is_twin", "?")])
SHOWN = 5


class Losers:
    """The losers of a source.

    Places are lines or rows, as `word` says. Under the rule `reject` no row counts: each row of the key is here, with
    another one. `twins` of them equal that other row.
    """

    def __init__(self, scratch: Scratch, first_rows: list[int], word: str) -> None:
        """Begin with none; they go to `scratch`. `first_rows` are the positions of the first rows of the chunks."""
        self.word, self.twins, self._count = word, 0, 0
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

    def __len__(self) -> int:
        return self._count

    def __str__(self) -> str:
        shown: list[str] = []
        for chunk in sorted(self._places):
            first = self.of_chunk(chunk)[: SHOWN - len(shown)]
            shown += [f"{self.word} {each['place']} (see {each['other']})" for each in first]
            if len(shown) == SHOWN:
                break
        more = ", …" if self._count > SHOWN else ""
        return (
            f"Rows that do not count, because another row has their key: {self._count:,}, of which {self.twins:,} "
            f"equal it in every column: {', '.join(shown)}{more}."
        )
