"""What a file holds and how it is packed, told by the ending of its name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from restock.errors import ConfigurationError

if TYPE_CHECKING:
    from restock.feeds import Feed

Format = Literal["csv", "parquet"]
Packing = Literal["gzip", "bz2", "zstd", "zip"]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
}
PACKINGS: dict[str, Packing] = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zip": "zip"}


def packing_of(name: str) -> Packing | None:
    """How a file of that name is packed, or None if it is not."""
    return PACKINGS.get(PurePosixPath(name).suffix.lower())


def format_of(name: str, feed: Feed) -> Format:
    """What a file of that name holds: what the feed says, or else what its ending says.

    A ZIP archive is named as people please; its member is asked when it is opened.

    Raises:
        ConfigurationError: neither says it.
    """
    if feed.format is not None:
        return feed.format
    packing = packing_of(name)
    inner = PurePosixPath(name).stem if packing else name
    known = SUFFIXES.get(PurePosixPath(inner).suffix.lower())
    if packing == "zip" and known is None:
        return "csv"
    if known is None or (packing and known != "csv"):
        raise ConfigurationError(
            f"The format of {name} cannot be told by its ending; say `format: csv` or `format: parquet` "
            f"in the feed {feed.name!r}."
        )
    return known
