"""Splits text into rows strictly by the grammar of the feed's dialect, and finds where a row that breaks it ends.

This is the careful way, which decides every doubtful case. `blocks` is the fast way for text without doubt.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restock.errors import SourceError
from sources.csv_files.grammar import Grammar
from sources.csv_files.text import first_mark, has_marks, show_marks

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules

FIELD_BYTES = 1024 * 1024
# A quote that is still open after so much text is taken for one that is never closed.
OPEN_QUOTE_CHARACTERS = 16 * 1024 * 1024
# How far to look for proof that a stray quote harmed one line only.
PROOF_CHARACTERS = 1024 * 1024
_WIDTH_FAULTS = ("too_few_fields", "too_many_fields")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells, or the reason why it has none and its text.

    `line` is the line it begins on; `place` where in the text it begins or, if it cannot be decoded, where that fails.
    """

    line: int
    place: int
    cells: list[str] | None
    fault: str | None = None
    raw: str | None = None


class NeedsMore(Exception):
    """What the text means cannot be told before more of it is there."""


def count_lines(text: str, start: int, end: int) -> int:
    """The number of line ends between two places of a text, as an editor counts: LF, CRLF, or CR alone."""
    return text.count("\n", start, end) + text.count("\r", start, end) - text.count("\r\n", start, end)


class RowSplitter:
    """Splits the text of one file into rows of a known width. Blank lines and comments between rows are skipped."""

    def __init__(self, rules: CsvRules, name: str) -> None:
        self.name = name
        self.grammar = Grammar(rules)
        self._phantoms = int(rules.trailing_delimiter)

    def rows(self, text: str, line: int, width: int, is_last: bool) -> tuple[list[Row], int, int]:
        """The rows of a text that begins with a row, as far as they are certain.

        Args:
            text: the text, in which undecodable bytes are marked.
            line: the line it begins on.
            width: how many cells a row must have.
            is_last: whether the file ends with the text.

        Returns:
            The rows, where the text that was not used begins, and on which line.

        Raises:
            SourceError: a quote is never closed, or it is not certain where a broken row ends.
        """
        rows: list[Row] = []
        may_have_marks = has_marks(text)
        at = 0
        with suppress(NeedsMore):  # what is not certain yet is the text that was not used
            at, line = self.skip_between(text, at, line, is_last)
            while at < len(text):
                end, is_sound = self._extent(text, at, line, width, is_last)
                row = self._row(text[at:end], line, at, width, is_sound, may_have_marks)
                if not is_sound or row.fault in _WIDTH_FAULTS:
                    self._refuse_rows_inside(text, at, end, line, width)
                rows.append(row)
                at, line = self.after(text, at, end, line)
                at, line = self.skip_between(text, at, line, is_last)
        return rows, at, line

    def skip_between(self, text: str, at: int, line: int, is_last: bool) -> tuple[int, int]:
        """The place and line of the next row: behind blank lines and comments.

        Raises:
            NeedsMore: the text may end in the middle of a comment.
        """
        while True:
            comment = self.grammar.comment.match(text, at)
            if comment is None:
                match = self.grammar.line_end.match(text, at)
                if match is None:
                    return at, line
                at, line = match.end(), line + 1
            elif comment.end() == len(text) and not is_last:
                raise NeedsMore
            else:
                at, line = self.after(text, at, comment.end(), line)

    def after(self, text: str, start: int, end: int, line: int) -> tuple[int, int]:
        """The place and number of the line behind what begins at `start`, on that line, and ends at `end`."""
        match = self.grammar.line_end.match(text, end)
        following = match.end() if match else end
        return following, line + count_lines(text, start, following)

    def sound_cells(self, text: str, at: int, is_last: bool) -> tuple[list[str], int] | None:
        """The cells of the row at a place and where it ends, whatever its width; None if its quotes are wrong.

        Raises:
            NeedsMore: the row may go on behind the text.
        """
        match = self.grammar.row.match(text, at)
        if (match is None or match.end() == len(text)) and not is_last and len(text) - at < OPEN_QUOTE_CHARACTERS:
            raise NeedsMore
        return None if match is None else (self.grammar.cells(match.group()), match.end())

    def _row(self, raw: str, line: int, at: int, width: int, is_sound: bool, may_have_marks: bool) -> Row:
        if may_have_marks and has_marks(raw):
            return Row(line, at + first_mark(raw), None, "encoding", show_marks(raw))
        if not is_sound:
            return Row(line, at, None, "quote", raw)
        cells = self.grammar.cells(raw)
        if not self._fits(cells, width):
            is_short = len(cells) < width + self._phantoms
            return Row(line, at, None, "too_few_fields" if is_short else "too_many_fields", raw)
        if len(raw) * 4 > FIELD_BYTES and any(len(cell.encode()) > FIELD_BYTES for cell in cells):
            return Row(line, at, None, "field_too_large", raw)
        return Row(line, at, cells[:width])

    def _fits(self, cells: list[str], width: int) -> bool:
        """Whether a row has the right cells, and the empty one behind a trailing delimiter where that is declared."""
        return len(cells) == width + self._phantoms and (not self._phantoms or cells[-1] == "")

    def _extent(self, text: str, at: int, line: int, width: int, is_last: bool) -> tuple[int, bool]:
        """Where the row that begins at a place ends, without its line end, and whether its quotes are sound."""
        match = self.grammar.row.match(text, at)
        if match is not None:
            if match.end() == len(text) and not is_last:
                raise NeedsMore
            return match.end(), True
        field = self.grammar.sound_fields.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text
        if text[field : field + 1] != self.grammar.quote:
            # A quote inside a field that is not quoted: whatever it means, this line end is one.
            return self._line_end(text, self.grammar.bare.match(text, field).end(), is_last), False  # type: ignore[union-attr]
        return self._extent_of_open_quote(text, at, field, line, width, is_last), False

    def _extent_of_open_quote(self, text: str, at: int, field: int, line: int, width: int, is_last: bool) -> int:
        """The end of a row whose quoted field, begun at `field`, is not closed or is closed in the middle of a word.

        Either the first quote is a stray one, and the row ends with its line; or it is a true one, and one inside is
        not doubled. Sound rows right below prove the first; quotes in pairs up to a line end speak for the second.
        """
        closed = self.grammar.quoted.match(text, field)
        if closed is None and not is_last and len(text) - field < OPEN_QUOTE_CHARACTERS:
            raise NeedsMore
        first_end = self._line_end(text, field, is_last)
        last_end = len(text) if closed is None else self._line_end(text, closed.end(), is_last)
        in_pairs = closed is not None and self.grammar.count_quotes(text, at, last_end) % 2 == 0
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
        raise self._uncertain(line)

    def _refuse_rows_inside(self, text: str, at: int, last_end: int, line: int, width: int) -> None:
        """Refuse a row at fault if a line between its first and its last one could be a row by itself.

        Perhaps two of its quotes are stray ones, and sound rows would vanish in its text.
        """
        end = self.grammar.line.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text
        while width + self._phantoms > 1 and end < last_end:
            at, _ = self.after(text, end, end, 0)
            end = self.grammar.line.match(text, at).end()  # type: ignore[union-attr]
            match = self.grammar.row.match(text, at) if end < last_end else None
            if match is not None and match.end() == end and self._fits(self.grammar.cells(match.group()), width):
                raise self._uncertain(line)

    def _uncertain(self, line: int) -> SourceError:
        return SourceError(
            f"The row on line {line} of {self.name} is broken, and lines between its quotes could be rows of their "
            "own; mend that row, or set `csv: quote` to null if the file quotes nothing."
        )

    def _is_followed_by_rows(self, text: str, at: int, width: int, is_last: bool) -> bool:
        """Whether rows of the right width follow, one of them with sound quotes, so that no quote is open here."""
        limit = at + PROOF_CHARACTERS
        may_go_on = not is_last and len(text) < limit
        at, _ = self.skip_between(text, at, 0, not may_go_on)
        while at < min(len(text), limit):
            match = self.grammar.row.match(text, at)
            if (match is None or match.end() == len(text)) and may_go_on:
                raise NeedsMore
            if match is None or not self._fits(self.grammar.cells(match.group()), width):
                return False
            if str(self.grammar.quote) in match.group():
                return True
            at, _ = self.skip_between(text, match.end(), 0, not may_go_on)
        if at >= len(text) and may_go_on:
            raise NeedsMore
        return False

    def _line_end(self, text: str, at: int, is_last: bool) -> int:
        end = self.grammar.line.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text
        if end == len(text) and not is_last:
            raise NeedsMore
        return end
