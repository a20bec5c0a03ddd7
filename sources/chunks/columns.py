"""Whether the columns of a source are those the feed asks for."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from restock.chunks import SPOOL_COLUMNS
from restock.errors import SourceError

if TYPE_CHECKING:
    from restock.feeds import Feed

MOST_COLUMNS = 4096
# What says, in a rejects file, whose a row is: no source may have such columns.
RUN, CHUNK, ROW, REASON = "_restock_run", "_chunk", "_row", "_reason"
ADDRESS = (RUN, CHUNK, ROW, REASON)


def refuse_bad_names(names: list[str], source: str) -> None:
    """Refuse column names that do not tell columns apart, or that restock needs for itself.

    Raises:
        SourceError: a name is empty, occurs twice, holds NUL or is restock's own; or there are too many.
    """
    if len(names) > MOST_COLUMNS:
        raise SourceError(f"{source} has {len(names)} columns; restock reads up to {MOST_COLUMNS}.")
    empty = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if empty:
        which = f"a column without a name (number {empty[0]})"
        if len(empty) > 1:
            which = f"columns without a name (numbers {', '.join(empty)})"
        raise SourceError(
            f"{source} has {which}; name all columns in the header or under `csv: names`, or skip what stands above "
            "the header with `csv: skip_lines`."
        )
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise SourceError(f"{source} has two columns named {_listed(twice)}; give each column a name of its own.")
    if any("\0" in name for name in names):
        raise SourceError(
            f"A column name of {source} holds a NUL character; the file may be in another encoding, such as utf-16."
        )
    reserved = [name for name in names if name in SPOOL_COLUMNS or name in ADDRESS]
    if reserved:
        raise SourceError(f"{source} has a column named {_listed(reserved)}, which restock uses itself; rename it.")


def check_columns(columns: list[str], feed: Feed, attributes: set[str], source: str = "The source") -> list[str]:
    """Check that a source has the columns its feed takes.

    Args:
        columns: the columns of the source.
        feed: its `columns` say what is taken; without them, columns are matched by name.
        attributes: the mapped attributes of the model, for matching by name.
        source: what to call the source in an error.

    Returns:
        The source's columns that the feed ignores, in their order.

    Raises:
        SourceError: a column is missing, or is unknown where all are matched by name.
    """
    taken = feed.taken_columns
    if taken is not None:
        missing = [name for name, may_be_missing in taken.items() if name not in columns and not may_be_missing]
        if missing:
            hint = _delimiter_hint(columns) or _hint(missing[0], columns)
            raise SourceError(f"{source} lacks the {_columns(missing)}; {hint}")
    unknown = [name for name in columns if name not in (attributes if taken is None else taken)]
    if not unknown or ignores_unknown(feed):
        return unknown
    if taken is not None:
        raise SourceError(
            f"{source} has the {_columns(unknown)}, which the feed {feed.name!r} does not take; name "
            f"{'it' if len(unknown) == 1 else 'them'} under `columns:`, or say `unknown_columns: ignore`."
        )
    hint = _delimiter_hint(columns) or (
        f"name the columns to take under `columns:` of the feed {feed.name!r}; {_hint(unknown[0], sorted(attributes))}"
    )
    raise SourceError(f"{source} has the {_columns(unknown)}, which the model does not know; {hint}")


def ignores_unknown(feed: Feed) -> bool:
    """Whether columns that nothing takes are left out and listed, where they would else refuse the source."""
    return (feed.unknown_columns or ("fail" if feed.columns is None else "ignore")) == "ignore"


def _delimiter_hint(columns: list[str]) -> str | None:
    """What to say of a source that was likely not split into its columns."""
    if len(columns) != 1 or not any(sign in columns[0] for sign in ",;\t|"):
        return None
    return f"it has one column, {columns[0]!r}, so `csv: delimiter` may be wrong."


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known[:20]) or 'none'}."


def _columns(names: list[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {_listed(names)}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
