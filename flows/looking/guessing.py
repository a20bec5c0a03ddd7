"""Proposes a feed for a file and a model, for a person to read and correct. Nothing of it is used by a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from flows.looking.matching import Match, match_columns, match_leftovers, match_values
from restock.chunks import FAULT, SPOOL_COLUMNS
from restock.column_rules import ColumnRule
from restock.contract import Contract, Kind
from restock.csv_rules import CsvRules
from restock.errors import ConfigurationError
from restock.feeds import Feed
from restock.references import add_to_import_path, resolve
from restock.settings import Settings, read_settings
from restock.wording import counted
from sinks.flask_sink import open_sink
from sinks.model.target import Target
from sources.chunks.framing import as_frame, chunked
from sources.extract import open_source
from sources.looking.guessing import guess_dialect, parquet_columns
from sources.parquet_files.nested import told
from sources.places.locations import SourceFile, find_source
from transforms.guessed_rules import GuessedRules, clean_samples, guess_rules

SAMPLE_ROWS = 10_000
LEFTOVER_ROWS = 1_000  # are enough to tell what a column may hold


@dataclass
class Proposal:
    """A feed as it may be: its keys, three samples of each column of the source, and doubts.

    `doubts` are by key of the feed: `match_on`, `columns.price`, `csv.decimal`.
    """

    feed: Feed
    rows: int
    matches: list[Match]
    columns: dict[str, str]
    rules: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, list[str]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    unfilled: list[str] = field(default_factory=list)
    doubts: dict[str, list[str]] = field(default_factory=dict)

    def doubt(self, key: str, text: str) -> None:
        """Note what a person should look at."""
        self.doubts.setdefault(key, []).append(text)


def guess_feed(path: Path, model: str, app: str | None, name: str | None) -> Proposal:
    """Propose a feed from the first rows of a file.

    Args:
        path: the operator's own file, so that it may lie anywhere.
        model: the reference of the model it is to land in.
        app: the reference of the app; looked for beside the model if it is not given.
        name: of the feed; by the file's name if it is not given.

    Raises:
        ConfigurationError: app or model cannot be used, or no column resembles an attribute.
        SourceError: the file cannot be read.
    """
    settings = read_settings()
    add_to_import_path(str(settings.folder))
    real = Path(os.path.realpath(path))
    feed = Feed(
        name=name or _name_of(real),
        source=(_as_source(real, settings),),
        app=app or _find_app(model),
        model=model,
    )
    [file] = find_source(feed, replace(settings, source_roots=(real.parent,)), str(real))
    target = open_sink(feed).target
    proposal = _propose(feed, file, target)
    if app is None:
        proposal.doubt("app", "found beside the model")
    if not any(real.is_relative_to(os.path.realpath(root)) for root in settings.source_roots):
        proposal.doubt("source", "outside the allowed folders: move it, or name its folder in RESTOCK_SOURCE_ROOTS")
    return proposal


def _propose(feed: Feed, file: SourceFile, target: Target) -> Proposal:
    rules: dict[str, Any] = {}
    doubts: dict[str, list[str]] = {}
    if file.format == "csv":
        dialect = guess_dialect(file)
        rules, doubts = dialect.rules, {f"csv.{key}": [text] for key, text in dialect.doubts.items()}
        feed = feed.model_copy(update={"csv": CsvRules(**rules)})
    names, matches = _matched(feed, file, target, doubts)
    if not matches:
        raise ConfigurationError(
            f"No column of {file.name} resembles an attribute of the model {feed.model}; the file has "
            f"{', '.join(map(repr, names[:20]))}, the model has {', '.join(target.contract.fields)}; write the feed "
            "yourself, with `columns: {attribute: column}`, as docs/feeds.md shows."
        )
    columns = {each.attribute: each.column for each in matches}
    plain = {name: ColumnRule.model_validate({"from": column}) for name, column in columns.items()}
    feed = feed.model_copy(update={"columns": plain})
    frame = as_frame(next(chunked(open_source(file, feed, target.contract).tables(), SAMPLE_ROWS)))
    proposal = Proposal(feed, len(frame), matches, columns, rules, doubts=doubts)
    _read_sample(proposal, frame, target)
    proposal.unused = [name for name in names if name not in proposal.columns.values()]
    proposal.unfilled = [name for name in target.contract.fields if name not in proposal.columns]
    for name in set(proposal.unfilled) & set(target.required):
        proposal.doubt(f"columns.{name}", "the model requires it: without it, rows that are new become rejects")
    return proposal


def _matched(
    feed: Feed, file: SourceFile, target: Target, doubts: dict[str, list[str]]
) -> tuple[list[str], list[Match]]:
    """The columns of a file, and which attributes they seem to fill."""
    contract = target.contract
    if file.format == "csv":
        return _matched_text(feed, file, target, doubts)
    kinds = parquet_columns(file)
    matches = match_columns(list(kinds), list(contract.fields))
    fitting = [m for m in matches if not kinds[m.column] or contract.fields[m.attribute].kind in kinds[m.column]]
    for each in matches:
        if each not in fitting:
            why = f"{each.column} is nested, which fits only a column that holds {told(kinds[each.column])}"
            doubts[f"columns.{each.attribute}"] = [why]
    return list(kinds), fitting


def _matched_text(
    feed: Feed, file: SourceFile, target: Target, doubts: dict[str, list[str]]
) -> tuple[list[str], list[Match]]:
    """The same of a CSV file: by the names in its header, and by the values of columns whose name tells nothing."""
    contract = target.contract
    source = open_source(file, feed, contract)
    generated = target.primary_key if target.generates_key else ()
    keys = [key for key in target.unique_keys if key != generated]
    by_name = match_columns(source.columns, list(contract.fields))
    filled, taken = {each.attribute for each in by_name}, {each.column for each in by_name}
    unfilled = {n: spec for n, spec in contract.fields.items() if n not in filled and n not in generated}
    rest = Contract(unfilled, keys[0] if keys else ())
    sample = as_frame(next(chunked(source.tables(), SAMPLE_ROWS)))
    cells = sample[sample[FAULT].isna()][[name for name in source.columns if name not in taken]]
    if not (feed.csv.header_rows or by_name):
        return source.columns, match_values(cells, rest)
    by_values = match_leftovers(cells.head(LEFTOVER_ROWS), rest, target.required)
    found = {each.attribute: each for each in [*by_name, *by_values]}
    for each in by_values:  # what the model can do without is not filled by a guess as weak as this
        if each.attribute not in (*target.required, *rest.key):
            doubts[f"columns.{each.attribute}"] = [f"{each.column} could, by its values alone"]
            del found[each.attribute]
    return source.columns, [found[name] for name in contract.fields if name in found]


def _read_sample(proposal: Proposal, frame: pd.DataFrame, target: Target) -> None:
    """What the rows of a sample say about key and values."""
    faulty = frame[FAULT].value_counts()
    for code, rows in faulty.items():
        proposal.doubt("source", f"{rows:,} of the first {counted(len(frame), 'row')} not to be read ({code})")
    names = [str(name) for name in frame.columns if name not in SPOOL_COLUMNS]
    proposal.samples = {name: list(clean_samples(frame[name])) for name in names}
    sound = frame[frame[FAULT].isna()].reset_index(drop=True)
    _choose_key(proposal, sound, target)
    sample = sound[list(proposal.columns.values())].set_axis(list(proposal.columns), axis="columns")
    guessed = guess_rules(sample, replace(target.contract, key=proposal.feed.match_on))
    _add_rules(proposal, guessed)


def _add_rules(proposal: Proposal, guessed: GuessedRules) -> None:
    proposal.rules |= guessed.rules
    for key, texts in guessed.doubts.items():
        for text in texts:
            proposal.doubt(key if key.startswith("columns.") else f"csv.{key}", text)


def _choose_key(proposal: Proposal, sample: pd.DataFrame, target: Target) -> None:
    """Recognise rows by a key of the model that the file fills and that no two rows of the sample share."""
    columns = proposal.columns
    generated = target.primary_key if target.generates_key else ()
    # A number that the shop's own database gave is rarely one that a supplier knows.
    natural = [key for key in target.unique_keys if key != generated]
    for key in [*natural, target.primary_key]:
        if not set(key) <= set(columns):
            continue
        cells = sample[[columns[name] for name in key]]
        first = f"the first {counted(len(cells), 'row')}"
        missing, repeated = int(cells.isna().any(axis=1).sum()), int(cells.dropna().duplicated().sum())
        if missing:
            proposal.doubt("match_on", f"{missing:,} of {first} without {' and '.join(key)}")
        if repeated:
            proposal.doubt("match_on", f"{repeated:,} of {first} with the key of another one")
        if spaced := _spaced(proposal, sample, key, target):
            proposal.doubt(
                "match_on",
                f"{spaced:,} of {first} with spaces around {' or '.join(key)}, which count; "
                "`key_form: {trim: true}` leaves them out",
            )
        if key != generated and set(generated) & set(columns):
            proposal.columns = {name: column for name, column in columns.items() if name not in generated}
            proposal.doubt(f"columns.{generated[0]}", "left out: the database numbers its rows itself")
        proposal.feed = proposal.feed.model_copy(update={"match_on": key})
        return
    wanted = " or ".join(" and ".join(key) for key in target.unique_keys)
    proposal.doubt("match_on", f"no column fills {wanted}, so rows cannot be recognised; every new content is inserted")


def _spaced(proposal: Proposal, sample: pd.DataFrame, key: tuple[str, ...], target: Target) -> int:
    """How many rows of a sample have spaces around a part of the key that is text."""
    found = pd.Series(False, index=sample.index)
    for name in key:
        cells = sample[proposal.columns[name]]
        if target.contract.fields[name].kind is Kind.TEXT and isinstance(cells.dtype, pd.StringDtype):
            found |= cells.notna() & (cells != cells.str.strip())
    return int(found.sum())


def _name_of(path: Path) -> str:
    stem = path.name.partition(".")[0]
    return "".join(letter if letter.isalnum() else "-" for letter in stem.lower()).strip("-") or "feed"


def _as_source(real: Path, settings: Settings) -> str:
    """The path as feeds.yaml would name it."""
    return Path(os.path.relpath(real, os.path.realpath(settings.folder))).as_posix()


def _find_app(model: str) -> str:
    """The app that lies in the module of the model, or in a package around it."""
    for module in _modules_around(model.partition(":")[0]):
        for name in ("create_app", "make_app", "app", "application"):
            try:
                resolve(f"{module}:{name}", "the app")
            except ConfigurationError:
                continue
            return f"{module}:{name}"
    raise ConfigurationError(f"No app was found beside the model {model}; name it with --app package.module:name.")


def _modules_around(module: str) -> Iterator[str]:
    while module:
        yield module
        yield f"{module}.app"
        module = module.rpartition(".")[0]
