"""What the column functions share, the columns of text, enums and flags, and the tidying of text.

A column function takes the cells of one column as an Arrow array and gives back the values the contract demands, with
the reason for each cell that has none. Clean columns are read in one go; only cells that need care are read singly.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from html.entities import html5
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from restock.contract import FieldSpec
from restock.csv_rules import CsvRules
from restock.originals import arrow_texts
from transforms.text_bytes import TextBytes

TEXT = pa.large_string()


@dataclass
class Column:
    """The values of one column: an Arrow array, or a list where Arrow has no type for them.

    `faults` gives the reason code of each place that could not be read; its value is missing.
    """

    values: Any
    faults: dict[int, str] = field(default_factory=dict)


class Misfit(Exception):
    """One cell that is not what its column demands; never leaves the column functions."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def is_text(type_: pa.DataType) -> bool:
    """Whether cells are text, so that the feed's rules say how they are read."""
    return pa.types.is_string(type_) or pa.types.is_large_string(type_)


def is_bytes(type_: pa.DataType) -> bool:
    """Whether cells are bytes, which may be text that its writer did not call so."""
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))


def places(mask: Any) -> list[int]:
    """Where an Arrow mask is true; missing counts as false."""
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist()


def keep(cells: Any, mask: Any) -> Any:
    """The cells where a mask is true, missing elsewhere; the cells themselves if it is true everywhere."""
    if pc.all(mask).as_py() is not False:
        return cells
    return pc.if_else(mask, cells, pa.scalar(None, cells.type))


def wrong_type(cells: Any, wanted: pa.DataType) -> Column:
    """Every cell at fault: a column of such a type cannot become the wanted one."""
    return Column(pa.nulls(len(cells), wanted), dict.fromkeys(places(pc.is_valid(cells)), "wrong_type"))


def one_by_one(values: list[Any], read: Callable[[Any], Any]) -> tuple[list[Any], dict[int, str]]:
    """Read cells singly; `read` raises Misfit for one that does not fit. Missing cells stay missing."""
    results: list[Any] = [None] * len(values)
    faults: dict[int, str] = {}
    for place, value in enumerate(values):
        if value is not None:
            try:
                results[place] = read(value)
            except Misfit as misfit:
                faults[place] = misfit.code
    return results, faults


def read_text(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """Text as it was written, within the column's length; exact values of other types in their plain notation."""
    column = _as_texts(cells)
    content = TextBytes(column.values)
    # A character has a byte at least, so that most columns need not be counted.
    if spec.length is not None and content.longest() > spec.length:
        _refuse(column, pc.greater(pc.utf8_length(column.values), spec.length), "too_long")
    if not spec.allows_nul and content.hold("\0"):
        _refuse(column, pc.match_substring(column.values, "\0"), "nul")
    return column


def read_enum(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """One of the column's choices, exactly as the model writes it."""
    column = _as_texts(cells)
    refuse_others(column, spec.choices, "not_in_enum")
    return column


def refuse_others(column: Column, allowed: tuple[Any, ...], code: str) -> None:
    """Make values other than those that are allowed faults."""
    is_one = pc.is_in(column.values, pa.array(allowed, column.values.type))
    _refuse(column, pc.and_(pc.is_valid(column.values), pc.invert(is_one)), code)


def read_flag(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """True and false from the feed's words for them, whatever their case, or from 0 and 1."""
    if pa.types.is_boolean(cells.type):
        return Column(cells)
    if is_text(cells.type):
        true, false = ([word.lower() for word in group] for group in (rules.true_values, rules.false_values))
        flags = _cast_at_once(cells) if {"true", "1"} <= set(true) and {"false", "0"} <= set(false) else None
        if flags is not None:
            return Column(flags)
        words = cells
    elif pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type):
        true, false = ["1"], ["0"]
        numbers = cells.cast(pa.float64(), safe=False)
        cells = keep(numbers, pc.invert(pc.is_nan(numbers)))
        words = cells.cast(TEXT)
    else:
        return wrong_type(cells, pa.bool_())
    known = pa.array([*true, *false], TEXT)
    found = pc.index_in(words, known)
    if found.null_count > cells.null_count:
        found = pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(words)), known)
    flags = pc.less(found, len(true))
    if found.null_count == cells.null_count:
        return Column(flags)
    strange = pc.and_(pc.is_valid(cells), pc.is_null(found))
    return Column(flags, dict.fromkeys(places(strange), "not_a_flag"))


def _cast_at_once(cells: Any) -> Any | None:
    """Flags from text that is true, false, 1 or 0 all along, the words that Arrow knows; None where others are."""
    try:
        return cells.cast(pa.bool_())
    except pa.ArrowInvalid:
        return None


def _refuse(column: Column, at_fault: Any, code: str) -> None:
    found = places(at_fault)
    if found:
        column.values = pc.if_else(at_fault, pa.scalar(None, column.values.type), column.values)
        column.faults.update(dict.fromkeys(found, code))


def _as_texts(cells: Any) -> Column:
    type_ = cells.type
    if is_text(type_):
        return Column(cells)
    if pa.types.is_null(type_) or pa.types.is_integer(type_) or pa.types.is_boolean(type_):
        return Column(cells.cast(TEXT))
    if pa.types.is_decimal(type_):
        # Arrow would write small numbers with an exponent.
        return Column(pa.array([None if v is None else format(v, "f") for v in cells.to_pylist()], TEXT))
    if pa.types.is_date(type_) or pa.types.is_time(type_) or pa.types.is_timestamp(type_):
        return Column(arrow_texts(cells))
    # A float has no text of its own: an article number that became one would turn into 4006381333931.0 unnoticed.
    return wrong_type(cells, TEXT)


def decoded(cells: Any) -> tuple[Any, dict[int, str]]:
    """Bytes as the UTF-8 text that old Parquet writers did not call text; cells of any other type as they are."""
    if not is_bytes(cells.type):
        return cells, {}
    try:
        return cells.cast(pa.large_binary()).cast(TEXT), {}
    except pa.ArrowInvalid:  # some are not UTF-8; Arrow does not say which
        texts, faults = one_by_one(cells.to_pylist(), _decoded)
        return pa.array(texts, TEXT), faults


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Misfit("encoding") from error


_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Characters that show nothing: controls, zero-width blanks, direction marks, byte order mark, soft hyphen. The two
# joiners stay, because Persian, Indic scripts and emoji are spelled with them.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_BLANKS = re.compile(r"[^\S\n]+")
# Letters and signs that are composed as they are, whatever stands beside them, and may stand in a tidy word: of Latin,
# Greek, Cyrillic, Hebrew, Arabic, Kana, Han and Hangul, with common punctuation and currencies.
COMPOSED = (
    "!-%'-~\u00a1-\u00ac\u00ae-\u02ff\u0388-\u0482\u05d0-\u05ea\u061b-\u064a\u1e00-\u1f70\u2010-\u2027\u2030-\u205e"
    "\u20a0-\u20c0\u2122\u3041-\u3096\u309b-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uffbe"
)
_TIDY = rf"^[{COMPOSED}]+(?: [{COMPOSED}]+)*$"
_PASSES = 8  # entities may hold entities: feeds have been seen to be encoded twice


def tidy(text: str) -> str:
    """Text as a catalogue should show it; tidying it again changes nothing.

    HTML entities decoded, composed Unicode (NFC), characters that show nothing removed, every run of blanks one blank,
    no blanks around a line. Line breaks stay, as line feeds. Text with entities nested deeper than any feed would do by
    accident is left as it came.
    """
    before = text
    for _ in range(_PASSES):
        after = _tidy_once(before)
        if after == before:
            return after
        before = after
    return text


def _tidy_once(text: str) -> str:
    decoded = _ENTITY.sub(_character, text)
    composed = unicodedata.normalize("NFC", _UNSEEN.sub("", decoded))
    lines = (_BLANKS.sub(" ", line).strip() for line in composed.splitlines())
    return "\n".join(lines).strip()


def _character(entity: re.Match[str]) -> str:
    text = entity.group()
    # html.unescape would also take the known beginning of an unknown name for an entity.
    return html.unescape(text) if text[1] == "#" or text[1:] in html5 else text


def tidy_texts(cells: Any) -> Any:
    """Tidy an Arrow array of text; what is empty afterwards is missing."""
    rows = pa.array(TextBytes(cells).rows_beyond_words())
    if not len(rows):
        return cells
    texts = cells.take(rows)
    untidy = pc.fill_null(pc.invert(pc.match_substring_regex(texts, _TIDY)), False)
    rows, texts = rows.filter(untidy), texts.filter(untidy)
    if not len(rows):
        return cells
    mask = np.zeros(len(cells), bool)
    mask[rows] = True
    return pc.replace_with_mask(cells, mask, pa.array([tidy(text) or None for text in texts.to_pylist()], cells.type))
