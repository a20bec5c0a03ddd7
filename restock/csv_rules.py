"""How the text of a feed becomes cells, and cells become values: the `csv:` part of a feed."""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

# What decides only how a cell is read, not which rows there are.
VALUE_OPTIONS = {"null_values", "decimal", "thousands", "currency", "true_values", "false_values"} | {
    "date_format",
    "datetime_format",
    "timezone",
}

_NO_TEXT = ("\r", "\n", "\0")
_SOME_MOMENT = datetime(2026, 11, 28, 21, 30, tzinfo=UTC)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _of_one_line(text: str) -> str:
    if any(sign in text for sign in _NO_TEXT):
        raise ValueError("it holds a line end or NUL; give other signs")
    return text


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])]
Signs = Annotated[str, Field(min_length=1, max_length=16), AfterValidator(_of_one_line)]
Sign = Annotated[str, Field(min_length=1, max_length=1), AfterValidator(_of_one_line)]


class Rules(BaseModel):
    """Rules from feeds.yaml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class CsvRules(Rules):
    """How the text of a feed is split into cells and how cells are read as values. Nothing of it is guessed.

    The rules for numbers, dates and flags also hold for text cells of a Parquet feed.
    """

    encoding: str = "utf-8"
    delimiter: Signs = ","
    trailing_delimiter: bool = False
    quote: Sign | None = '"'
    escape: Sign | None = None
    line_end: Literal["any", "lf", "crlf", "cr"] = "any"
    comment: Signs | None = None
    skip_lines: int = Field(default=0, ge=0, le=100_000)
    skip_until: Signs | None = None
    header_rows: int = Field(default=1, ge=0, le=100)
    names: Names = ()
    null_values: Names = Field(
        default=("",),
        description="Words that mean no value where they are the whole cell. Spaces are text; without the empty word, "
        "the empty field is text too.",
    )
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

    @field_validator("currency")
    @classmethod
    def _signs_show(cls, signs: tuple[str, ...]) -> tuple[str, ...]:
        if any(not sign.strip() for sign in signs):
            raise ValueError("it holds an empty sign; name the signs that stand beside numbers, or leave the key out")
        return signs

    @field_validator("date_format", "datetime_format")
    @classmethod
    def _tells_the_day(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        if "%Z" in pattern.replace("%%", ""):
            raise ValueError("%Z reads the name of a zone and forgets it; write %z for +0200 or Z, or set `timezone`")
        try:
            read = datetime.strptime(_SOME_MOMENT.strftime(pattern), pattern)  # noqa: DTZ007
        except (ValueError, re.error) as error:  # the second where a part is read twice
            raise ValueError("it is no pattern of Python's strptime; write one such as %d.%m.%Y") from error
        if read.year != _SOME_MOMENT.year:
            raise ValueError("it reads no year; write a pattern of Python's strptime such as %d.%m.%Y")
        if any(week in pattern for week in ("%U", "%W")) and read.date() != _SOME_MOMENT.date():
            raise ValueError("a week is no day; read the day of the week too, as in %G-W%V-%u")
        return pattern

    @field_validator("delimiter")
    @classmethod
    def _tab_is_a_tab(cls, delimiter: str) -> str:
        if delimiter == r"\t":
            raise ValueError(r"it is a backslash and the letter t; for a tab write it in double quotes, \"\t\"")
        return delimiter

    @field_validator("names")
    @classmethod
    def _names_tell_columns_apart(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any(not name.strip() for name in names):
            raise ValueError("a column has no name; name each column of the file")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is given to two columns; give each a name of its own")
        return names

    @model_validator(mode="after")
    def _signs_differ(self) -> CsvRules:
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}; they must differ")
        if self.quote is not None and self.quote in self.delimiter:
            raise ValueError(f"delimiter holds the quote {self.quote!r}; name another quote, or none by `quote: null`")
        if self.escape is not None and self.escape == self.quote:
            raise ValueError("escape and quote are the same; leave escape out, a doubled quote is always understood")
        if self.escape is not None and self.escape in self.delimiter:
            raise ValueError(f"delimiter holds the escape {self.escape!r}; they must differ")
        if self.comment is not None and self.comment[0] in (self.quote, self.escape, self.delimiter[0]):
            raise ValueError("comment begins like a field (with delimiter, quote or escape); give other signs")
        return self

    @model_validator(mode="after")
    def _flags_have_words_that_differ(self) -> CsvRules:
        if not (self.true_values and self.false_values):
            raise ValueError("true_values and false_values need a word each; leave out the key that holds none")
        both = {word.lower() for word in self.true_values} & {word.lower() for word in self.false_values}
        if both:
            raise ValueError(f"{min(both)!r} stands in true_values and in false_values; name the words of both anew")
        return self

    @model_validator(mode="after")
    def _columns_have_names(self) -> CsvRules:
        if self.header_rows == 0 and not self.names:
            raise ValueError("header_rows is 0 and there are no names; name the columns of the file in `names`")
        if self.skip_lines and self.skip_until is not None:
            raise ValueError("skip_lines and skip_until both say where the table begins; keep one")
        return self
