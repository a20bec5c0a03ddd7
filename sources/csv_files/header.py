"""Finds where the table of a CSV file begins: what stands above it is skipped, and its header rows become names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from restock.errors import SourceError
from sources.csv_files.rows import OPEN_QUOTE_CHARACTERS, NeedsMore, RowSplitter, count_lines

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules


class TableStart(NamedTuple):
    """The names of the columns, the first header row as it stands in the file, and the place and line of the first row.

    `header` is empty if the file has none.
    """

    names: list[str]
    header: list[str]
    place: int
    line: int


def find_start(text: str, is_last: bool, rules: CsvRules, splitter: RowSplitter) -> TableStart | None:
    """Where the table begins in the text of a file from its first character on; None if more text is needed.

    Raises:
        SourceError: there is no header, its quotes are wrong, its columns are not those the feed names, or it seems to
            be skipped as a comment.
    """
    try:
        at, line = _above_the_table(text, is_last, rules, splitter)
        header: list[list[str]] = []
        for _ in range(rules.header_rows):
            above, above_line = at, line
            at, line = splitter.skip_between(text, at, line, is_last)
            if not header and len(rules.names) > 1:
                _refuse_skipped_header(text[above:at], above_line, rules, splitter)
            cells, end = _header_row(text, at, line, is_last, splitter)
            header.append(cells[:-1] if rules.trailing_delimiter and cells[-1] == "" else cells)
            at, line = splitter.after(text, at, end, line)
    except NeedsMore:
        return None
    return TableStart(_names(header, rules, splitter.name), header[0] if header else [], at, line)


def _above_the_table(text: str, is_last: bool, rules: CsvRules, splitter: RowSplitter) -> tuple[int, int]:
    """The place and line behind the lines that the feed skips; quotes mean nothing in them."""
    at = skipped = 0
    while skipped < rules.skip_lines if rules.skip_until is None else not text.startswith(rules.skip_until, at):
        line_end = splitter.grammar.line_end.search(text, at)
        if line_end is None and not is_last and len(text) < OPEN_QUOTE_CHARACTERS:
            raise NeedsMore
        if line_end is None:
            raise _no_table(rules, splitter.name)
        at, skipped = line_end.end(), skipped + 1
    return at, 1 + count_lines(text, 0, at)


def _no_table(rules: CsvRules, name: str) -> SourceError:
    if rules.skip_until is None:
        return SourceError(f"{name} has no table below the {rules.skip_lines} lines to skip; check `csv: skip_lines`.")
    return SourceError(f"No line of {name} begins with the text that `csv: skip_until` names; check that key.")


def _refuse_skipped_header(skipped: str, line: int, rules: CsvRules, splitter: RowSplitter) -> None:
    """Refuse comments that seem to be the header: the row below would be taken for it, and `names` would hide that."""
    at, grammar = 0, splitter.grammar
    while at < len(skipped):
        comment, row = grammar.comment.match(skipped, at), grammar.row.match(skipped, at)
        end = comment.end() if comment else at
        if comment and row and row.end() == end:
            cells = grammar.cells(row.group())
            if len(cells) - (rules.trailing_delimiter and cells[-1] == "") == len(rules.names):
                raise SourceError(
                    f"Line {line} of {splitter.name} is skipped by `csv: comment` and has as many fields as "
                    "`csv: names`; if it is the header, say `header_rows: 0`, so that the row below is not taken "
                    "for one, and else skip what stands above the header with `skip_lines` or `skip_until`."
                )
        at, line = splitter.after(skipped, at, end, line)


def _header_row(text: str, at: int, line: int, is_last: bool, splitter: RowSplitter) -> tuple[list[str], int]:
    if at == len(text):
        if not is_last:
            raise NeedsMore
        raise SourceError(f"{splitter.name} holds no header and no rows; have it exported again.")
    found = splitter.sound_cells(text, at, is_last)
    if found is None:
        raise SourceError(f"The quotes in the header of {splitter.name} (line {line}) do not match; mend the header.")
    return found


def _names(header: list[list[str]], rules: CsvRules, file: str) -> list[str]:
    """The names that the feed gives, or else those of the header, several rows of it put together with blanks."""
    widths = [len(cells) for cells in header]
    if len(set(widths)) > 1:
        raise SourceError(
            f"The header rows of {file} have {' and '.join(map(str, widths))} columns; correct `csv: header_rows`, or "
            "skip them with `skip_lines` and give the `names`."
        )
    if rules.names and widths and widths[0] != len(rules.names):
        raise SourceError(
            f"The header of {file} has {widths[0]} columns and `csv: names` has {len(rules.names)}; make them agree."
        )
    return list(rules.names) or [" ".join(filter(None, parts)) for parts in zip(*header, strict=True)]
