"""Which row of each key counts, settled once over the whole source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from restock.feeds import OnDuplicate

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


class Duplicates:
    """Collects the keys of a source and says which rows lose to another one with their key.

    Keys are compared exactly. A row without a part of its key takes no part.
    """

    def __init__(self, rule: OnDuplicate) -> None:
        self.rule = rule
        self._rows: list[pd.Series] = []
        self._keys: list[pd.DataFrame] = []

    def add(self, rows: pd.Series, keys: pd.DataFrame) -> None:
        """Add rows.

        Args:
            rows: their positions in the source.
            keys: as long as `rows`; one canonical column per part of the key, and under the rule `newest` the version
                as the last.
        """
        key_columns = keys.iloc[:, :-1] if self.rule == "newest" else keys
        is_whole = key_columns.notna().all(axis=1).to_numpy()
        self._rows.append(rows[is_whole] if not is_whole.all() else rows)
        self._keys.append(keys[is_whole] if not is_whole.all() else keys)

    def losers(self) -> pd.Series:
        """The losing rows: position -> position of the row that counts, sorted.

        Under the rule `reject` no row counts: each row of the key is there, with the position of another one.
        """
        if not self._rows:
            return pd.Series(dtype="int64")
        rows = pd.concat(self._rows, ignore_index=True).to_numpy(np.int64)
        group = self._groups()
        is_repeated = pd.Series(group).duplicated(keep=False).to_numpy()
        rows, group = rows[is_repeated], group[is_repeated]
        if self.rule == "reject":
            return _each_with_another(rows, group)
        order = self._order(rows, group, is_repeated)
        rows, group = rows[order], group[order]
        is_winner = np.append(group[1:] != group[:-1], True)[: len(group)]
        winners = rows[is_winner]
        winner = winners[np.cumsum(is_winner) - is_winner]
        return pd.Series(winner[~is_winner], index=rows[~is_winner]).sort_index()

    def _order(self, rows: Numbers, group: Numbers, is_repeated: np.ndarray) -> Numbers:
        """The order that puts the rows of a key together, the one that counts last."""
        if self.rule == "first":
            return np.lexsort((-rows, group))
        if self.rule == "last":
            return np.lexsort((rows, group))
        version = pd.concat([keys.iloc[:, -1] for keys in self._keys], ignore_index=True)[is_repeated]
        return np.lexsort((rows, pd.factorize(version, sort=True)[0], group))  # a missing version is -1: the oldest

    def _groups(self) -> Numbers:
        """One number per row, the same for rows with the same key."""
        parts = self._keys[0].shape[1] - (self.rule == "newest")
        group: Numbers | None = None
        for part in range(parts):
            values = pd.concat([keys.iloc[:, part] for keys in self._keys], ignore_index=True)
            codes, known = pd.factorize(values)
            # Renumbered after each part, so that the product stays below rows squared: no overflow, no collision.
            group = codes if group is None else pd.factorize(group * len(known) + codes)[0]
        assert group is not None, "a key has at least one part"
        return group.astype(np.int64)


def _each_with_another(rows: Numbers, group: Numbers) -> pd.Series:
    order = np.lexsort((rows, group))
    rows, group = rows[order], group[order]
    is_first = np.append(True, group[1:] != group[:-1])[: len(group)]
    other = np.where(is_first, np.roll(rows, -1), np.roll(rows, 1))
    return pd.Series(other, index=rows).sort_index()
