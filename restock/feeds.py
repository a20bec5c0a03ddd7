"""A feed: where product data comes from, how it is read, which model it lands in and by what rules.

Read from feeds.yaml and validated once, at the edge; frozen from then on.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from restock.errors import ConfigurationError
from restock.limits import Limit
from restock.paths import shown


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_limit(value: Any) -> Any:
    return value if value is None or isinstance(value, Limit) else Limit.parse(value)


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
RowLimit = Annotated[Limit | None, BeforeValidator(_as_limit)]
OnDuplicate = Literal["last", "first", "newest", "reject"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class CsvRules(_Strict):
    """How the text of a feed is split into cells and how cells are read as values.

    The rules for numbers, dates and flags also hold for text cells of a Parquet feed.
    """

    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    null_values: Names = ("",)
    decimal: Literal[".", ","] = "."
    thousands: str | None = Field(default=None, min_length=1, max_length=1)
    currency: Names = ()
    true_values: Names = ("true", "1", "yes", "t", "y")
    false_values: Names = ("false", "0", "no", "f", "n")
    date_format: str | None = None
    datetime_format: str | None = None
    timezone: str = "UTC"

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError as error:
            raise ValueError(f"{name!r} is not an encoding that Python knows; utf-8, cp1252 and utf-16 are") from error

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise ValueError(f"{name!r} is not a time zone; write a name such as Europe/Berlin") from error
        return name

    @model_validator(mode="after")
    def _signs_differ(self) -> CsvRules:
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}; they must differ")
        return self


class Feed(_Strict):
    """One configured flow of product data into one model. docs/feeds.md explains every key."""

    name: str
    source: Names
    format: Literal["csv", "parquet"] | None = None
    kind: Literal["full", "delta"] = "full"
    app: str
    model: str
    match_on: Names = ()
    columns: dict[str, str] | None = None
    csv: CsvRules = CsvRules()
    transform: Names = ()
    writer: Literal["mappings", "objects"] | None = None
    mode: Literal["sync", "insert_only", "update_only"] = "sync"
    missing_key: Literal["insert", "reject"] = "insert"
    on_duplicate: OnDuplicate | None = None
    version_column: str | None = None
    chunk_rows: int | None = Field(default=None, ge=1, le=1_000_000)
    max_rejects: RowLimit = None
    max_chunk_rejects: RowLimit = None

    @model_validator(mode="after")
    def _columns_are_one_to_one(self) -> Feed:
        if self.columns is not None:
            sources = list(self.columns.values())
            twice = sorted({source for source in sources if sources.count(source) > 1})
            if twice:
                raise ValueError(f"columns: the source column {twice[0]!r} is given to two attributes; give it to one")
            if not sources:
                raise ValueError("columns: no column is named; leave the key out to match columns by name")
        if self.on_duplicate == "newest" and self.version_column is None:
            raise ValueError("on_duplicate: newest needs a version_column that says which row is newer")
        return self

    @property
    def duplicate_rule(self) -> OnDuplicate:
        """Which row of a key counts, where the feed does not say."""
        if self.on_duplicate is not None:
            return self.on_duplicate
        if self.version_column is not None:
            return "newest"
        return "first" if self.mode == "insert_only" else "last"

    def attribute_of(self, source_column: str) -> str | None:
        """The mapped attribute that a source column fills, or None where the feed ignores the column."""
        if self.columns is None:
            return source_column
        for attribute, source in self.columns.items():
            if source == source_column:
                return attribute
        return None

    def source_column_of(self, attribute: str) -> str | None:
        """The source column that fills a mapped attribute, or None where the feed leaves the attribute alone."""
        return attribute if self.columns is None else self.columns.get(attribute)

    def renames(self, source_columns: list[str]) -> dict[str, str]:
        """Source column -> attribute, for those columns the feed takes, in the order of the source."""
        taken = ((column, self.attribute_of(column)) for column in source_columns)
        return {column: attribute for column, attribute in taken if attribute is not None}

    def without_limits(self) -> Feed:
        """The same feed, whatever number of rejects it meets."""
        return self.model_copy(update={"max_rejects": None, "max_chunk_rejects": None})

    def reader_options(self) -> str:
        """What decides how the bytes of a source become rows: part of the source's fingerprint."""
        return json.dumps([self.format, self.csv.model_dump(mode="json")], sort_keys=True)

    def rules_digest(self) -> str:
        """A digest of the rules that shape what is loaded; a run resumes only under the same rules.

        Limits and chunk size are left out: they decide whether and in what steps, not what.
        """
        shaping = self.model_dump(
            mode="json", exclude={"name", "source", "chunk_rows", "max_rejects", "max_chunk_rejects"}
        )
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


class _FeedsFile(_Strict):
    feeds: dict[str, dict[str, Any]]


def read_feeds(path: Path) -> dict[str, Feed]:
    """Read and validate feeds.yaml.

    Returns:
        The feeds by name, in the order of the file.

    Raises:
        ConfigurationError: the file is missing, not YAML, or holds a key or value that restock does not know.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no feeds file {shown(path)}; create it, or name another one in RESTOCK_FEEDS."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{shown(path)} cannot be read: {reason}.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{shown(path)} is not valid YAML{_yaml_place(error)}; correct it there.") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{shown(path)} holds no feeds; begin it with `feeds:` and one entry per feed.")
    try:
        entries = _FeedsFile.model_validate(content).feeds
    except ValidationError as error:
        raise ConfigurationError(_first_fault(error, shown(path), _FeedsFile)) from error
    return {name: _read_feed(name, entry, path) for name, entry in entries.items()}


def find_feed(feeds: dict[str, Feed], name: str, path: Path) -> Feed:
    """The feed of that name.

    Raises:
        ConfigurationError: there is none; the sentence lists those there are.
    """
    if name in feeds:
        return feeds[name]
    near = difflib.get_close_matches(name, feeds, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(feeds) or 'none'}."
    raise ConfigurationError(f"There is no feed {name!r} in {shown(path)}; {hint}")


def _read_feed(name: str, entry: dict[str, Any], path: Path) -> Feed:
    try:
        return Feed.model_validate({**entry, "name": name})
    except ValidationError as error:
        raise ConfigurationError(_first_fault(error, f"{shown(path)}, feed {name!r}", Feed)) from error


def _yaml_place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
    return f"{place}: {problem}" if problem else place


def _first_fault(error: ValidationError, where: str, model: type[BaseModel]) -> str:
    fault = error.errors()[0]
    path = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        known = [field for field in _fields_at(model, path[:-1]) if field != "name"]
        near = difflib.get_close_matches(path[-1], known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the keys are: {', '.join(known)}."
        return f"{where}: the key {key!r} is unknown; {hint}"
    if fault["type"] == "missing":
        return f"{where}: the key {key!r} is missing; add it."
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if key else message
    return f"{where}: {key + ': ' if key else ''}{message}{_given(fault)}."


def _given(fault: Any) -> str:
    given = fault.get("input")
    if repr(given) in fault["msg"]:
        return ""
    return f" (it is {given!r})" if isinstance(given, (str, int, float, bool)) else ""


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return list(model.model_fields)
