"""Splits text into rows strictly by the rules of CSV (RFC 4180), and finds where a row that breaks them ends.

This is the careful way, which decides every doubtful case. `csv_blocks` is the fast way for text without doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restock.errors import ConfigurationError, SourceError
from sources.csv_text import has_marks, show_marks

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules

FIELD_BYTES = 1024 * 1024
# A quote that is still open after so much text is taken for one that is never closed.
OPEN_QUOTE_CHARACTERS = 64 * 1024 * 1024
# How far to look for proof that a stray quote harmed one line only.
PROOF_CHARACTERS = 1024 * 1024
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells, or the reason why it has none; the line it begins on; and its text, if it is at fault."""

    line: int
    cells: list[str] | None
    fault: str | None = None
    raw: str | None = None


class _NeedsMore(Exception):
    """What the row is cannot be told before more of the text is there."""


def count_lines(text: str, start: int, end: int) -> int:
    """The number of line ends between two places of a text: LF, CRLF, or CR alone."""
    return text.count("\n", start, end) + text.count("\r", start, end) - text.count("\r\n", start, end)


class RowSplitter:
    """Splits the text of one file into rows of a known width.

    Lines end in LF, CRLF or CR; blank lines are skipped; quotes stand around a whole field or doubled in it.
    """

    def __init__(self, rules: CsvRules, name: str) -> None:
        if {rules.delimiter, rules.quote} & {"\r", "\n", "\0"}:
            raise ConfigurationError("csv: delimiter and quote cannot be a line end or NUL; give another character.")
        self.name = name
        self.delimiter, self.quote = rules.delimiter, rules.quote
        d, q = re.escape(rules.delimiter), re.escape(rules.quote)
        quoted, bare = f"{q}(?:[^{q}]++|{q}{q})*+{q}", f"[^{d}{q}\\r\\n]*+"
        self._quoted, self._bare = re.compile(quoted), re.compile(bare)
        self._record = re.compile(f"(?:{quoted}|{bare})(?:{d}(?:{quoted}|{bare}))*+(?=[\\r\\n]|\\Z)")
        self._sound_fields = re.compile(f"(?:(?:{quoted}|{bare}){d})*+")
        self._field = re.compile(f"{d}(?:{q}((?:[^{q}]++|{q}{q})*+){q}|({bare}))")

    def header(self, text: str, is_last: bool) -> tuple[list[str], int, int] | None:
        """The cells of the first row, where the text goes on after it, and on which line; None if more is needed.

        Raises:
            SourceError: there is no such row, or its quotes are wrong.
        """
        at, line = self._skip_blank(text, 0, 1)
        if at == len(text):
            if is_last:
                raise SourceError(f"{self.name} holds no header and no rows; have it exported again.")
            return None
        match = self._record.match(text, at)
        if match is None or match.end() == len(text):
            if not is_last and len(text) < OPEN_QUOTE_CHARACTERS:
                return None
            if match is None:
                raise SourceError(
                    f"The quotes in the header of {self.name} (line {line}) do not match; mend the header."
                )
        end, lines = self._after(text, at, match.end())
        return self._cells(text[at : match.end()]), end, line + lines

    def rows(self, text: str, line: int, width: int, is_last: bool) -> tuple[list[Row], int, int]:
        """The rows of a text that begins with a row, as far as they are certain.

        Args:
            text: the text, in which undecodable bytes are marked.
            line: the line it begins on.
            width: how many fields a row must have.
            is_last: whether the file ends with the text.

        Returns:
            The rows, where the text that was not used begins, and on which line.

        Raises:
            SourceError: a quote is never closed, or it is not certain where a broken row ends.
        """
        rows: list[Row] = []
        may_have_marks = has_marks(text)
        at, line = self._skip_blank(text, 0, line)
        while at < len(text):
            try:
                content_end, is_sound = self._extent(text, at, line, width, is_last)
            except _NeedsMore:
                break
            raw = text[at:content_end]
            rows.append(self._row(raw, line, width, is_sound, may_have_marks))
            at, lines = self._after(text, at, content_end)
            at, line = self._skip_blank(text, at, line + lines)
        return rows, at, line

    def _row(self, raw: str, line: int, width: int, is_sound: bool, may_have_marks: bool) -> Row:
        if may_have_marks and has_marks(raw):
            return Row(line, None, "encoding", show_marks(raw))
        if not is_sound:
            return Row(line, None, "quote", raw)
        cells = self._cells(raw)
        if len(cells) != width:
            return Row(line, None, "too_few_fields" if len(cells) < width else "too_many_fields", raw)
        if len(raw) * 4 > FIELD_BYTES and any(len(cell.encode()) > FIELD_BYTES for cell in cells):
            return Row(line, None, "field_too_large", raw)
        return Row(line, cells)

    def _cells(self, raw: str) -> list[str]:
        if self.quote not in raw:
            return raw.split(self.delimiter)
        doubled = self.quote * 2
        return [
            quoted.replace(doubled, self.quote) or bare for quoted, bare in self._field.findall(self.delimiter + raw)
        ]

    def _skip_blank(self, text: str, at: int, line: int) -> tuple[int, int]:
        while match := _LINE_END.match(text, at):
            at, line = match.end(), line + 1
        return at, line

    def _after(self, text: str, start: int, end: int) -> tuple[int, int]:
        """Where the next line begins after a row, and how many lines the row took."""
        match = _LINE_END.match(text, end)
        following = match.end() if match else end
        return following, count_lines(text, start, following)

    def _extent(self, text: str, at: int, line: int, width: int, is_last: bool) -> tuple[int, bool]:
        """Where the row that begins at a place ends, without its line end, and whether its quotes are sound."""
        match = self._record.match(text, at)
        if match is not None:
            if match.end() == len(text) and not is_last:
                raise _NeedsMore
            return match.end(), True
        field = self._sound_fields.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text
        if text[field] != self.quote:
            # A quote inside a field that is not quoted: whatever it means, this line end is one.
            return self._line_end(text, self._bare.match(text, field).end(), is_last), False  # type: ignore[union-attr]
        return self._extent_of_open_quote(text, at, field, line, width, is_last), False

    def _extent_of_open_quote(self, text: str, at: int, field: int, line: int, width: int, is_last: bool) -> int:
        """The end of a row whose quoted field, begun at `field`, is not closed or is closed in the middle of a word.

        Either the first quote is a stray one, and the row ends with its line; or it is a true one, and one inside is
        not doubled. Sound rows right below prove the first; quotes in pairs up to a line end speak for the second.
        """
        closed = self._quoted.match(text, field)
        if closed is None and not is_last and len(text) - field < OPEN_QUOTE_CHARACTERS:
            raise _NeedsMore
        first_end = self._line_end(text, field, is_last)
        last_end = len(text) if closed is None else self._line_end(text, closed.end(), is_last)
        if closed is not None and first_end == last_end and is_last and not text[last_end:].strip("\r\n"):
            return last_end
        in_pairs = closed is not None and text.count(self.quote, at, last_end) % 2 == 0
        if not (in_pairs and first_end == last_end) and self._is_followed_by_rows(text, first_end, width, is_last):
            return first_end
        if in_pairs:
            return last_end
        begun = line + count_lines(text, at, field)
        if closed is None:
            raise SourceError(
                f"The quote that opens a field on line {begun} of {self.name} is never closed; close it, or check "
                "whether the file was cut short."
            )
        raise SourceError(
            f"The quotes of the field that begins on line {begun} of {self.name} do not match, so that the end of its "
            "row is not certain; double the quotes inside the field."
        )

    def _is_followed_by_rows(self, text: str, at: int, width: int, is_last: bool) -> bool:
        """Whether rows of the right width follow, one of them with sound quotes, so that no quote is open here."""
        limit = at + PROOF_CHARACTERS
        at, _ = self._skip_blank(text, at, 0)
        while at < min(len(text), limit):
            match = self._record.match(text, at)
            if match is None or match.end() == len(text):
                if not is_last and len(text) < limit:
                    raise _NeedsMore
                if match is None:
                    return False
            raw = match.group()
            if len(self._cells(raw)) != width:
                return False
            if self.quote in raw:
                return True
            at, _ = self._skip_blank(text, match.end(), 0)
        if at >= len(text) and not is_last and len(text) < limit:
            raise _NeedsMore
        return False

    def _line_end(self, text: str, at: int, is_last: bool) -> int:
        match = _LINE_END.search(text, at)
        if match is not None:
            return match.start()
        if not is_last:
            raise _NeedsMore
        return len(text)
