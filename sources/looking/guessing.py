"""Guesses how a file is written, for a person to read and correct. Nothing here is used while a feed is loaded."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import clevercsv
import pyarrow as pa
import pyarrow.parquet as pq
from clevercsv.detect import Detector

from restock.errors import SourceError
from sources.chunks.framing import plain_type
from sources.csv_files.text import byte_blocks
from sources.looking.guessed_encoding import guess_encoding
from sources.parquet_files.nested import kinds_for
from sources.places.locations import open_pinned

if TYPE_CHECKING:
    from clevercsv.dialect import SimpleDialect

    from restock.contract import Kind
    from sources.places.locations import SourceFile

# The start of a file that is looked at: enough for any dialect to show, and CleverCSV takes 0.1 s for it.
SAMPLE_BYTES = 64 * 1024
_DELIMITERS = (",", ";", "\t", "|")
# Of several signs; each holds one that may be taken for the whole.
_LONG_DELIMITERS = ("||", "::", ";;", "~|~", "^|^", "|~|", "\t\t", " | ", ", ", "; ", ",\t", ";\t")
_ONE_SIGN = "\x1f"  # stands for a delimiter of several signs, where a reader knows only one
_COMMENT_LENGTH = 16  # that a feed takes
_COMMENTS = ("#", "//", "--")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:[.,][0-9]+)*")


@dataclass
class Dialect:
    """How a CSV file seems to be written: keys of `csv:` with their values, and what is not certain, key by key."""

    rules: dict[str, Any] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)


def guess_dialect(file: SourceFile) -> Dialect:
    """How a CSV file seems to be written, from its first bytes.

    Raises:
        SourceError: the file cannot be read.
    """
    start = _start(file)
    guessed = Dialect()
    text = _guess_encoding(start, guessed)
    _guess_signs(text, guessed)
    _guess_layout(text, guessed)
    return guessed


def parquet_columns(file: SourceFile) -> dict[str, tuple[Kind, ...]]:
    """The columns of a Parquet file, and of the nested ones what those of the model may hold that they are to fill.

    Raises:
        SourceError: it cannot be read.
    """
    with open_pinned(file) as handle:
        try:
            schema = pq.read_schema(handle)
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{file.name} is not a readable Parquet file; have it exported again.") from error
    plain_types = {field.name: plain_type(field.type) for field in schema}
    return {name: kinds_for(type_) if pa.types.is_nested(type_) else () for name, type_ in plain_types.items()}


def _start(file: SourceFile) -> bytes:
    with open_pinned(file) as handle:
        return next(iter(byte_blocks(file, handle)))[:SAMPLE_BYTES]


def _guess_encoding(start: bytes, guessed: Dialect) -> str:
    encoding, others = guess_encoding(start)
    if others:
        guessed.doubts["encoding"] = (
            f"no UTF-8; its letters look like {encoding}, or else {', '.join(others[:3])}: look for wrong ones in the "
            "samples"
        )
    guessed.rules["encoding"] = encoding
    return codecs.getincrementaldecoder(encoding)("replace").decode(start).removeprefix("\ufeff")


def _guess_signs(text: str, guessed: Dialect) -> None:
    """Delimiter and quote, as CleverCSV finds them; an unusual delimiter only where no usual one reads a table."""
    found = _detected(text)
    if found is None or found.delimiter not in _DELIMITERS:
        found = _detected(text, _delimiters_of_a_table(text)) or found
    if found is None or not found.delimiter:
        first = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=first.count)
        guessed.doubts["delimiter"] = "it could not be told from the text; there may be one column only"
    else:
        delimiter = found.delimiter
    guessed.rules["delimiter"] = longer = _longer(text, delimiter)
    if longer != delimiter:
        guessed.doubts["delimiter"] = "it seems to have several signs: wherever one stands, the others do"
        delimiter = longer
    if found is not None and found.escapechar:
        guessed.rules["escape"] = found.escapechar
    if found is not None and found.quotechar and found.quotechar != '"':
        guessed.rules["quote"] = found.quotechar
        guessed.doubts["quote"] = "unusual: check it against the text"
    elif '"' in text and not re.search(rf'(?:^|{re.escape(delimiter)})"', text, re.MULTILINE):
        guessed.rules["quote"] = None
        guessed.doubts["quote"] = 'no field begins with ", so it is taken for text, an inch mark perhaps'


def _detected(text: str, delimiters: list[str] | None = None) -> SimpleDialect | None:
    try:
        return Detector().detect(text, delimiters=delimiters)
    except clevercsv.Error:
        return None


def _delimiters_of_a_table(text: str) -> list[str] | None:
    """The usual delimiters by which all rows have one width, if there are any: long texts lead CleverCSV to blanks."""
    widths = {sign: {len(cells) for _, cells in _rows(text, {"delimiter": sign})} for sign in _DELIMITERS}
    return [sign for sign, found in widths.items() if len(found) == 1 and found != {1}] or None


def _longer(text: str, delimiter: str) -> str:
    """The delimiter of several signs that stands wherever this one does, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", text[: text.rfind("\n") + 1] or text)
    for long in _LONG_DELIMITERS:
        if delimiter in long and bare.count(long) and bare.count(delimiter) == bare.count(long) * long.count(delimiter):
            return long
    return delimiter


def _guess_layout(text: str, guessed: Dialect) -> None:
    """Where the table begins and how its rows end: most rows have its width."""
    rows = _rows(text, guessed.rules)
    widths = Counter(len(cells) for _, cells in rows)
    if not widths or max(widths) < 2:
        return
    width = max(widths, key=lambda each: (widths[each], each))
    mark = next((mark for mark in _COMMENTS if any(cells[0].startswith(mark) for _, cells in rows)), None)
    if mark is not None and all(len(cells) != width for _, cells in rows if cells[0].startswith(mark)):
        guessed.rules["comment"] = mark
        rows = [(line, cells) for line, cells in rows if not cells[0].startswith(mark)]
    is_behind_each = all(not cells[-1] for _, cells in rows if len(cells) == width)
    if is_behind_each:
        guessed.rules["trailing_delimiter"] = True
    tabular = [
        place
        for place, (_, cells) in enumerate(rows)
        if len(cells) == width or (is_behind_each and len(cells) == width - 1)
    ]
    usual = median(_filled(rows[place][1]) for place in tabular)
    header = next((place for place in tabular if not _is_padded(rows[place][1], usual)), tabular[0])
    names, columns = rows[header][1], width - is_behind_each
    upper = None if _tell_apart(names, columns) else _upper_of_two(rows, header, columns)
    if upper is not None:
        header, names = upper, _put_together(rows[upper][1], rows[upper + 1][1])
        guessed.rules["header_rows"] = 2
        guessed.doubts["header_rows"] = "the header seems to have two rows, which together name its columns"
    line = rows[header][0]
    if header:
        guessed.rules["skip_lines"] = line - 1
        guessed.doubts["skip_lines"] = f"the table seems to begin on line {line}"
    numbered = [f"column {place}" for place in range(1, columns + 1)]
    if upper is None and any(cells == names for _, cells in rows[header + 1 :]):
        _guess_repeated(
            text, line, [name.strip() or other for name, other in zip(names, numbered, strict=False)], guessed
        )
    elif _are_values(names, [cells for _, cells in rows[header + 1 :] if len(cells) == width]):
        guessed.rules |= {"header_rows": 0, "names": numbered}
        guessed.doubts["header_rows"] = "the first row looks like the others, so there seems to be no header"
        guessed.doubts["names"] = "the file has none: give each column its own"
    elif any(_NUMBER.fullmatch(name) for name in names):
        guessed.doubts["header_rows"] = (
            "the first row looks like values; if it is no header, say 0 and name the columns under names"
        )
        guessed.rules["header_rows"] = 1
    elif not all(name.strip() for name in names[: len(numbered)]):
        guessed.rules["names"] = [name if name.strip() else other for name, other in zip(names, numbered, strict=False)]
        guessed.doubts["names"] = "the header names only some of its columns: give the others their own"


def _guess_repeated(text: str, line: int, names: list[str], guessed: Dialect) -> None:
    """A header that stands above each page of a report: all of its lines are skipped, by what they begin with."""
    begin = list(io.StringIO(text, newline=""))[line - 1].rstrip("\r\n")[:_COMMENT_LENGTH]
    delimiter, quote = guessed.rules["delimiter"], guessed.rules.get("quote", '"')
    if begin[:1] in ("", delimiter[0], quote) or "comment" in guessed.rules or len(set(names)) < len(names):
        return
    guessed.rules |= {"comment": begin, "header_rows": 0, "names": names}
    guessed.doubts["comment"] = "the header stands there again and again; every line that begins so is skipped"


def _tell_apart(names: list[str], columns: int) -> bool:
    """Whether a header names each of so many columns, and no two alike."""
    return all(name.strip() for name in names[:columns]) and len(set(names[:columns])) == columns


def _put_together(upper: list[str], lower: list[str]) -> list[str]:
    return [" ".join(filter(None, parts)) for parts in zip(upper, lower, strict=False)]


def _upper_of_two(rows: list[tuple[int, list[str]]], header: int, columns: int) -> int | None:
    """The first of two header rows, one of them found: they tell the columns apart, and words stand over numbers."""
    for place in range(max(header - 1, 0), min(header + 1, len(rows) - 3)):
        (line, upper), (next_line, lower) = rows[place : place + 2]
        others = [cells for _, cells in rows[place + 2 :] if len(cells) == len(lower)]
        is_header = next_line == line + 1 and len(upper) == len(lower) and not any(map(_has_digit, [*upper, *lower]))
        below = [lower[at].strip() and all(_has_digit(cells[at]) for cells in others) for at in range(len(lower))]
        if is_header and others and any(below) and _tell_apart(_put_together(upper, lower), columns):
            return place
    return None


def _has_digit(cell: str) -> bool:
    return any(sign.isdigit() for sign in cell)


def _is_padded(cells: list[str], usual: float) -> bool:
    """Whether it seems to be a line above the table, filled up with delimiters to its width as spreadsheets do.

    It has at most half of the cells that rows usually have, as a table may have columns that only make room.
    """
    return not cells[-1].strip() and 2 * _filled(cells) <= usual


def _filled(cells: list[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def _are_values(first: list[str], others: list[list[str]]) -> bool:
    """Whether the first row holds a number wherever the others do, and they do somewhere."""
    numeric = [place for place in range(len(first)) if others and all(_is_number(cells, place) for cells in others)]
    return bool(numeric) and all(_is_number(first, place) for place in numeric)


def _is_number(cells: list[str], place: int) -> bool:
    return place < len(cells) and _NUMBER.fullmatch(cells[place].strip()) is not None


def _rows(text: str, rules: dict[str, Any]) -> list[tuple[int, list[str]]]:
    """The rows of a text that are certainly whole, each with the line it begins on; blank lines are none."""
    quote, delimiter = rules.get("quote", '"'), rules["delimiter"]
    if len(delimiter) > 1:
        text, delimiter = text.replace(delimiter, _ONE_SIGN), _ONE_SIGN
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        escapechar=rules.get("escape"),
    )
    rows, line = [], 1
    try:
        for cells in reader:
            if cells:
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error:  # what the careful reader makes of such a row, the sample shows
        pass
    return rows[:-1] if len(text) >= SAMPLE_BYTES // 4 else rows
