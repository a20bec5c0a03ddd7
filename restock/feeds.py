"""A feed: where product data comes from, how it is read, which model it lands in and by what rules. Frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from restock.column_rules import Column, ColumnRule
from restock.csv_rules import VALUE_OPTIONS, CsvRules, Names, Rules
from restock.key_form import KeyForm
from restock.limits import Limit, parse_size
from restock.row_filter import columns_of
from restock.schedule import Schedule

# What decides whether, when and in what steps a feed is loaded, but not what.
NOT_SHAPING = {"name", "source", "chunk_rows", "max_rejects", "max_chunk_rejects", "max_unpacked", "schedule"} | {
    "min_rows",
    "task_runner",
    "workers",
}


def _as_limit(value: Any) -> Any:
    return value if value is None or isinstance(value, Limit) else Limit.parse(value)


RowLimit = Annotated[Limit | None, BeforeValidator(_as_limit, json_schema_input_type=int | str | None)]
Size = Annotated[
    int | None,
    BeforeValidator(
        lambda value: value if value is None else parse_size(value), json_schema_input_type=int | str | None
    ),
]
OnDuplicate = Literal["last", "first", "newest", "reject"]


class Feed(Rules):
    """One configured flow of product data into one model. docs/feeds.md explains every key."""

    name: str
    source: Names
    format: Literal["csv", "parquet"] | None = None
    kind: Literal["full", "delta"] = "full"
    app: str
    model: str
    match_on: Names = ()
    key_form: KeyForm = KeyForm()
    columns: dict[str, Column] | None = None
    unknown_columns: Literal["fail", "ignore"] | None = None
    on_drift: Literal["fail", "reject", "ignore_new"] = "fail"
    csv: CsvRules = CsvRules()
    where: str | None = None
    row_schema: str | None = Field(default=None, alias="schema")
    transform: Names = ()
    writer: Literal["copy", "mappings", "objects"] | None = None
    mode: Literal["sync", "insert_only", "update_only"] = "sync"
    missing_key: Literal["insert", "reject"] = "insert"
    on_duplicate: OnDuplicate | None = None
    version_column: str | None = None
    chunk_rows: int | None = Field(default=None, ge=1, le=1_000_000)
    workers: int | None = Field(default=None, ge=1, le=16)
    task_runner: Literal["thread", "dask"] | None = None
    min_rows: RowLimit = None
    max_rejects: RowLimit = None
    max_chunk_rejects: RowLimit = None
    max_unpacked: Size = None
    schedule: Schedule | None = None

    @field_validator("source")
    @classmethod
    def _is_named(cls, source: tuple[str, ...]) -> tuple[str, ...]:
        if not source:
            raise ValueError("no file is named; give a path, a pattern, a folder or an address")
        return source

    @field_validator("where")
    @classmethod
    def _asks_columns(cls, where: str | None) -> str | None:
        if where is not None:
            columns_of(where)
        return where

    @model_validator(mode="after")
    def _columns_are_one_to_one(self) -> Feed:
        if self.columns is not None:
            sources = [rule.source for rule in self.columns.values() if rule.source is not None]
            twice = sorted({source for source in sources if sources.count(source) > 1})
            if twice:
                raise ValueError(
                    f"columns: the source column {twice[0]!r} is given to two attributes; give it to one, and let a "
                    "transform fill the other from that"
                )
            if not sources:
                raise ValueError("columns: no column is named; leave the key out to match columns by name")
        for name in (*self.match_on, *((self.version_column,) if self.version_column else ())):
            if self.columns is not None and name in self.columns and not self.columns[name].is_plain:
                raise ValueError(f"columns: {name!r} recognises or orders rows; it is always written as it came")
        if self.kind == "delta" and self.min_rows is not None and self.min_rows.share is not None:
            raise ValueError("min_rows: the files of a delta feed differ in size; give a number of rows, not a share")
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

    def rule_of(self, attribute: str) -> ColumnRule:
        """The rule of an attribute; the plain one where columns are matched by name."""
        if self.columns is None or attribute not in self.columns:
            return ColumnRule.model_validate({"from": attribute})
        return self.columns[attribute]

    def attribute_of(self, source_column: str) -> str | None:
        """The attribute that a source column fills, or None where the feed ignores the column."""
        if self.columns is None:
            return source_column
        return next((name for name, rule in self.columns.items() if rule.source == source_column), None)

    def source_column_of(self, attribute: str) -> str | None:
        """The source column that fills an attribute, or None where none does."""
        if self.columns is None:
            return attribute
        return self.columns[attribute].source if attribute in self.columns else None

    def renames(self, source_columns: list[str], attributes: Collection[str]) -> dict[str, str]:
        """Source column -> attribute, for those columns the feed takes, in the order of the source.

        `attributes` are those of the model: where columns are matched by name, the feed may ignore all others.
        """
        taken = ((column, self.attribute_of(column)) for column in source_columns)
        only = attributes if self.columns is None and self.unknown_columns == "ignore" else None
        return {column: name for column, name in taken if name is not None and (only is None or name in only)}

    @property
    def taken_columns(self) -> dict[str, bool] | None:
        """The source columns that the feed names, and whether a source may lack each; None if they match by name."""
        if self.columns is None:
            return None
        return {rule.source: rule.optional for rule in self.columns.values() if rule.source is not None}

    @property
    def unwritten(self) -> tuple[str, ...]:
        """The names that are read for filter, transform or schema only; the model need not know them."""
        return tuple(name for name, rule in (self.columns or {}).items() if rule.write == "never")

    @property
    def may_be_quiet(self) -> bool:
        """Whether a file without rows says that nothing has changed, and is passed over."""
        return self.kind == "delta" and self.min_rows is None

    def how_to_mend(self, run_id: str) -> str:
        """How a mended source comes in after a run that did not take it. Changes of a delta feed keep their order."""
        give_up = f", give the run up with `restock abandon {run_id}`" if self.kind == "delta" else ""
        return f"mend the source{give_up} and sync the feed"

    def without_limits(self) -> Feed:
        """The same feed, whatever number of rows and rejects it meets."""
        return self.model_copy(update={"min_rows": None, "max_rejects": None, "max_chunk_rejects": None})

    def reader_options(self) -> str:
        """What decides which rows the bytes of a source are: part of the source's fingerprint.

        Without what is as it always was, so that an option of tomorrow changes no fingerprint of today.
        """
        shaping = self.csv.model_dump(mode="json", exclude=VALUE_OPTIONS, exclude_defaults=True)
        return json.dumps(shaping, sort_keys=True)

    def rules_digest(self) -> str:
        """A digest of the rules that shape what is loaded; a run resumes only under the same rules."""
        shaping = self.model_dump(mode="json", exclude=NOT_SHAPING)
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()
