"""A second reader and writer of CSV, sign by sign and as slow as they like: what the real ones are measured against.

They share no code with restock: no regular expression, no blocks, no Arrow.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

LINE_ENDS = {"any": ("\r\n", "\r", "\n"), "lf": ("\n",), "crlf": ("\r\n",), "cr": ("\r",)}


@dataclass(frozen=True)
class Dialect:
    """The keys of `csv:` that decide where rows and cells end."""

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    line_end: str = "any"
    comment: str | None = None
    trailing_delimiter: bool = False

    @property
    def rules(self) -> dict[str, Any]:
        return asdict(self)


def strict_rows(text: str, dialect: Dialect) -> list[tuple[int, list[str]] | None]:
    """Line and cells of each row, the phantom cell included; ends with None where the quotes go wrong."""
    return _Reader(text, dialect).rows()


def count_lines(text: str) -> int:
    return len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1


class _Wrong(Exception):
    pass


class _Reader:
    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text, self.dialect, self.at = text, dialect, 0

    def rows(self) -> list[tuple[int, list[str]] | None]:
        rows: list[tuple[int, list[str]] | None] = []
        line = 1
        while self.at < len(self.text):
            start = self.at
            if self.dialect.comment and self.text.startswith(self.dialect.comment, self.at):
                while self.at < len(self.text) and not self._line_end():
                    self.at += 1
                self.at += len(self._line_end())
            elif self._line_end():
                self.at += len(self._line_end())
            else:
                try:
                    rows.append((line, self._row()))
                except _Wrong:
                    return [*rows, None]
            line += count_lines(self.text[start : self.at])
        return rows

    def _row(self) -> list[str]:
        cells = [self._cell()]
        while self.text.startswith(self.dialect.delimiter, self.at):
            self.at += len(self.dialect.delimiter)
            cells.append(self._cell())
        if self.at < len(self.text) and not self._line_end():
            raise _Wrong
        self.at += len(self._line_end())
        return cells

    def _cell(self) -> str:
        cell = ""
        quote = self.dialect.quote
        if quote and self.text.startswith(quote, self.at):
            self.at += 1
            while not (self.text.startswith(quote, self.at) and not self.text.startswith(quote * 2, self.at)):
                if self.at >= len(self.text):
                    raise _Wrong
                if self.text.startswith(quote * 2, self.at):
                    self.at += 1
                cell += self._sign()
            self.at += 1
            return cell
        while self.at < len(self.text) and not self._line_end():
            if self.text.startswith(self.dialect.delimiter, self.at):
                break
            if quote and self.text.startswith(quote, self.at):
                raise _Wrong
            cell += self._sign()
        return cell

    def _sign(self) -> str:
        """The next sign of a cell, an escape and what it makes text of taken as one."""
        sign = self.text[self.at]
        self.at += 1
        if sign != self.dialect.escape or self.at >= len(self.text):
            return sign
        special = (self.dialect.delimiter[0], self.dialect.quote, self.dialect.escape, "\r", "\n")
        behind = self.text[self.at]
        self.at += 1
        return behind if behind in special else sign + behind

    def _line_end(self) -> str:
        ends = LINE_ENDS[self.dialect.line_end]
        return next((end for end in ends if self.text.startswith(end, self.at)), "")


def written(rows: list[list[str]], dialect: Dialect, line_end: str, quotes_all: bool) -> str:
    """Rows in a dialect that the csv module cannot write: a delimiter of several signs, or a trailing one."""
    return "".join(
        dialect.delimiter.join(
            [*(_written(cell, dialect, quotes_all) for cell in row), *[""] * dialect.trailing_delimiter]
        )
        + line_end
        for row in rows
    )


def _written(cell: str, dialect: Dialect, quotes_all: bool) -> str:
    quote, escape = dialect.quote, dialect.escape
    if quote and (quotes_all or not cell or any(sign in cell for sign in (*dialect.delimiter, quote, "\r", "\n", "#"))):
        inside = cell.replace(escape, escape * 2) if escape else cell
        return f"{quote}{inside.replace(quote, quote * 2)}{quote}"
    if not escape:
        return cell
    special = (*dialect.delimiter, quote, escape, "\r", "\n")
    return "".join(escape + sign if sign in special else sign for sign in cell)
