"""How the text of a feed becomes cells, and cells become values: the `csv:` part of a feed."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Rules(BaseModel):
    """Rules from feeds.yaml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class CsvRules(Rules):
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
