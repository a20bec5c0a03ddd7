"""Feeds and source files for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restock.contract import Contract, FieldSpec, Kind
from restock.feeds import Feed
from restock.settings import Settings, read_settings
from sources.chunks.framing import as_frame, chunked
from sources.extract import open_source
from sources.places.locations import SourceFile, find_source, open_pinned

MakeFeed = Callable[..., Feed]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of files that other people published."""
    return Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def make_feed() -> MakeFeed:
    """A feed with what a test says of it."""

    def make(**keys: Any) -> Feed:
        return Feed(**{"name": "shop", "source": "feed.csv", "app": "app:create", "model": "app:Product", **keys})

    return make


@pytest.fixture(scope="session")
def settings_in() -> Callable[..., Settings]:
    """The settings of an installation in a folder."""

    def make(folder: Path, *roots: Path) -> Settings:
        named = {"RESTOCK_SOURCE_ROOTS": ",".join(map(str, roots))} if roots else {}
        return read_settings({"RESTOCK_FEEDS": str(folder / "feeds.yaml"), **named})

    return make


@pytest.fixture(scope="session")
def found(make_feed: MakeFeed, settings_in: Callable[..., Settings]) -> Callable[..., tuple[SourceFile, Feed]]:
    """A file as its feed finds it."""

    def find(path: Path, **keys: Any) -> tuple[SourceFile, Feed]:
        feed = make_feed(source=path.name, **keys)
        return find_source(feed, settings_in(path.parent))[0], feed

    return find


@pytest.fixture(scope="session")
def content_of() -> Callable[[SourceFile], bytes]:
    """The bytes of a file, as they are read once it is pinned."""

    def read_bytes(file: SourceFile) -> bytes:
        with open_pinned(file) as handle:
            return handle.read()

    return read_bytes


@pytest.fixture(scope="session")
def read(found: Callable[..., tuple[SourceFile, Feed]]) -> Callable[..., pd.DataFrame]:
    """All rows of a file, put together from chunks of `rows`; `json` names the attributes that hold JSON."""

    def read_all(path: Path, rows: int = 1000, json: tuple[str, ...] = (), **keys: Any) -> pd.DataFrame:
        file, feed = found(path, **keys)
        contract = Contract({name: FieldSpec(name, Kind.JSON) for name in json}, ())
        tables = chunked(open_source(file, feed, contract).tables(), rows)
        return pd.concat(map(as_frame, tables), ignore_index=True)

    return read_all


@pytest.fixture
def read_text(tmp_path: Path, read: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    """All rows of a CSV file with the given content."""

    def read_content(content: str | bytes, rows: int = 1000, **keys: Any) -> pd.DataFrame:
        path = tmp_path / "feed.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(path, rows, **keys)

    return read_content
