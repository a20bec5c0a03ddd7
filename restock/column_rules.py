"""What a feed does with one column: where its values come from, what a blank means, and whether it is written."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from restock.csv_rules import CsvRules, Rules

# When the value of a present row stays: where the cell is blank, where the row has a value, or always.
Stays = Literal["blank", "filled", "present"]
# YAML takes the bare word null for no value at all.
Blank = Annotated[
    Literal["null", "keep", "reject"],
    BeforeValidator(
        lambda word: "null" if word is None else word, json_schema_input_type=Literal["null", "keep", "reject"] | None
    ),
]


def _one_value(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise ValueError("write one value; a list or an object for a column of JSON is a text in quotes, such as '{}'")
    return value


Scalar = Annotated[bool | int | float | str | datetime | date, BeforeValidator(_one_value)]


class ColumnRule(Rules):
    """The rules of one attribute. In feeds.yaml the name of a source column alone stands for `{from: name}`."""

    source: str | None = Field(default=None, alias="from", min_length=1)
    constant: Scalar | None = None
    default: Scalar | None = Field(
        default=None,
        description="What a cell becomes that is blank in the source, before transforms. Blank has no value: a word of "
        "csv.null_values (by default the empty field), or NULL in Parquet. Spaces are text.",
    )
    optional: bool = False
    blank: Blank = Field(
        default="null",
        description="What becomes of a cell that has no value after transforms: null, keep what a present row has, or "
        "reject the row.",
    )
    write: Literal["always", "insert_only", "fill_empty", "never"] = "always"

    @model_validator(mode="after")
    def _has_one_origin(self) -> ColumnRule:
        if (self.source is None) != self.is_constant:
            raise ValueError("say where its values come from: `from` a column of the source, or a `constant`")
        if self.is_constant and (self.default is not None or self.optional or self.blank != "null"):
            raise ValueError("a constant is never blank or missing; leave default, optional and blank out")
        if self.default is not None and self.blank != "null":
            raise ValueError("default and blank both say what a blank cell becomes; keep one")
        return self

    @property
    def is_constant(self) -> bool:
        """Whether every row has one value, which may be none."""
        return "constant" in self.model_fields_set

    @property
    def stays(self) -> Stays | None:
        """When a present row keeps the value it has; None if it always takes that of the source."""
        if self.write == "insert_only":
            return "present"
        if self.write == "fill_empty":
            return "filled"
        return "blank" if self.blank == "keep" else None

    @property
    def is_plain(self) -> bool:
        """Whether the column is written whenever its row is, as it came."""
        return self.write == "always" and self.stays is None


def _as_rule(value: Any) -> Any:
    if isinstance(value, str):
        return {"from": value}
    if isinstance(value, ColumnRule | dict):
        return value
    raise ValueError("write the name of a source column, or rules such as {from: Price, default: 0}")


Column = Annotated[ColumnRule, BeforeValidator(_as_rule, json_schema_input_type=str | ColumnRule)]


def as_cell(value: Scalar | Decimal, rules: CsvRules) -> str:
    """A value as the text that the feed's source would hold for it: one of feeds.yaml, or of a typed source."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return (rules.true_values if value else rules.false_values)[0]
    if isinstance(value, datetime):
        return value.isoformat() if rules.datetime_format is None else value.strftime(rules.datetime_format)
    if isinstance(value, date):
        return value.isoformat() if rules.date_format is None else value.strftime(rules.date_format)
    text = str(value) if isinstance(value, int) else format(Decimal(str(value)), "f")
    return text.replace(".", rules.decimal)
