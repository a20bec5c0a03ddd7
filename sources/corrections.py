"""Rejects as a file that a person can mend: written and read in the feed's own dialect, as a spreadsheet knows it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from restock.chunks import RAW
from restock.errors import SourceError
from restock.feeds import Feed
from restock.key_form import SHORTENED
from restock.paths import new_file, shown
from sources.chunks.columns import ADDRESS, CHUNK, REASON, ROW, RUN
from sources.csv_files.rows import RowSplitter

# Python's own limit is 131,072 characters, less than a cell of a source may have, and its escapes make it longer.
LARGEST_CELL = 16 * 2**20
_LINE_END = re.compile("\r\n?")


class _OtherHeader(SourceError):
    """The header is not that of a rejects file, in this dialect."""


@dataclass(frozen=True)
class RejectedRow:
    """A row of a rejects file: whose reject it is, why, and its cells under the source's own column names.

    `text` is the whole row as it stood in the source, if it could not be split.
    """

    run_id: str
    chunk: int
    row: int
    reason: str
    cells: dict[str, str | None]
    text: str | None = None

    def is_changed(self, original: dict[str, str | None], feed: Feed) -> bool:
        """Whether a person has changed the row since it was written."""
        mended = self.mended_cells(original, feed)
        return any(cell != original.get(name) for name, cell in mended.items()) or self.is_text_changed(original)

    def mended_cells(self, original: dict[str, str | None], feed: Feed) -> dict[str, str | None]:
        """The cells as they are now; those that nobody has touched as the source sent them.

        A file cannot hold each of them: none and the empty text may be written alike, and spreadsheets shorten digits.
        """
        cells = self.cells_of_file(original, feed)
        return {
            name: original.get(name) if _is_same(cell, _as_read(_as_written(original.get(name), feed), feed)) else cell
            for name, cell in cells.items()
        }

    def cells_of_file(self, original: dict[str, str | None], feed: Feed) -> dict[str, str | None]:
        """The cells without those that the row's own file had not, and that are still empty: they are not NULL."""
        empty = _as_read(_as_written(None, feed), feed)
        return {name: cell for name, cell in self.cells.items() if name in original or cell != empty}

    def is_text_changed(self, original: dict[str, str | None]) -> bool:
        """Whether a person has corrected the text of a row that could not be split."""
        return bool(self.text) and _lines(self.text) != _lines(original.get(RAW))

    def cells_of_text(self, columns: list[str], feed: Feed, path: Path) -> dict[str, str | None]:
        """The cells of the corrected text.

        Raises:
            SourceError: it still cannot be split into these columns.
        """
        splitter = RowSplitter(feed.csv, shown(path))
        try:
            found, _, _ = splitter.rows((self.text or "").rstrip("\r\n"), 1, len(columns), is_last=True)
        except SourceError:
            found = []
        if len(found) != 1 or found[0].cells is None:
            raise SourceError(
                f"{shown(path)}: the text of row {self.row} under {RAW} still does not make {len(columns)} fields; "
                "correct it, or fill in the columns, nothing was loaded."
            )
        return {name: _as_read(cell, feed) for name, cell in zip(columns, found[0].cells, strict=True)}


def write_rejects(path: Path, feed: Feed, rows: Sequence[RejectedRow]) -> None:
    """Write rejects so that they can be mended and loaded: the source's columns, then where each row belongs and why.

    A row that could not be split has its text under `_raw`, to be corrected there or in the columns.

    Raises:
        SourceError: the file is there already, cannot be written, or holds a character the feed's encoding does not
            have.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row.cells if name != RAW))
    columns = columns or list(feed.taken_columns or ())
    raw = [RAW] if any(RAW in row.cells for row in rows) else []
    with io.StringIO(newline="") as file:
        writer = csv.writer(file, **_dialect(feed))
        writer.writerow([*columns, *ADDRESS, *raw])
        for row in rows:
            texts = [_as_written(row.cells.get(name), feed) for name in columns]
            address = [row.run_id, row.chunk, row.row, row.reason]
            writer.writerow([*texts, *address, *(row.cells.get(name) or "" for name in raw)])
        text = file.getvalue()
    try:
        content = _encoded(text, feed)
    except UnicodeEncodeError as error:
        raise SourceError(f"{shown(path)} cannot be written: a text does not fit into {feed.csv.encoding}.") from error
    with new_file(path):
        path.write_bytes(content)


def read_correction(path: Path, feeds: Iterable[Feed]) -> list[RejectedRow]:
    """Read a mended rejects file in the first dialect of these feeds that fits.

    Run, chunk and row are right in any dialect that fits, the other cells only in that of the run's own feed.

    Raises:
        SourceError: the file is missing, or not a rejects file of any of these feeds.
    """
    problems: list[str] = []
    for feed in feeds:
        try:
            return _read(path, feed)
        except UnicodeDecodeError:
            problems.append(f"{shown(path)} is not {feed.csv.encoding} text; save it in that encoding.")
        except csv.Error as error:
            problems.append(f"{shown(path)} is not well-formed CSV ({error}); correct it there.")
        except OSError as error:
            raise SourceError(f"{shown(path)} cannot be read: {error.strerror}.") from error
        except _OtherHeader as error:
            problems.append(str(error))
        except SourceError as error:
            problems.insert(0, str(error))  # says more than that the header does not fit another feed
    raise SourceError(problems[0] if problems else f"{shown(path)} belongs to no feed of feeds.yaml.")


def _read(path: Path, feed: Feed) -> list[RejectedRow]:
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_CELL))
    with io.StringIO(_decoded(path, feed), newline="") as file:
        reader = csv.reader(file, **_dialect(feed))
        header = next(reader, [])
        missing = [name for name in ADDRESS[:3] if name not in header]
        if missing and any(RUN in name for name in header):
            raise _OtherHeader(f"{shown(path)} has another delimiter than its feed; save it with the one that it had.")
        if missing:
            raise _OtherHeader(
                f"{shown(path)} has no column {missing[0]}; mend a file that `restock rejects RUN --csv FILE` wrote."
            )
        rows: dict[tuple[str, int, int], RejectedRow] = {}
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise SourceError(
                    f"{shown(path)}, line {reader.line_num}, has {len(cells)} fields, the header {len(header)}; "
                    "correct that line, nothing was loaded."
                )
            row = _as_row(dict(zip(header, cells, strict=True)), feed, path, reader.line_num)
            if rows.setdefault((row.run_id, row.chunk, row.row), row) is not row:
                raise SourceError(
                    f"{shown(path)}, line {reader.line_num}, holds a row that stands there twice; leave one of them, "
                    "nothing was loaded."
                )
        return list(rows.values())


def _as_row(cells: dict[str, str], feed: Feed, path: Path, line: int) -> RejectedRow:
    try:
        chunk, row = int(cells[CHUNK]), int(cells[ROW])
    except ValueError as error:
        raise SourceError(
            f"{shown(path)}, line {line}: {CHUNK} and {ROW} must stay as they were written; correct that line."
        ) from error
    kept = {name: _as_read(text, feed) for name, text in cells.items() if name not in (*ADDRESS, RAW)}
    return RejectedRow(cells[RUN], chunk, row, cells.get(REASON, ""), kept, cells.get(RAW))


def _as_written(cell: str | None, feed: Feed) -> str:
    """A cell as the feed writes it, empty where it has no word for no value."""
    return next(iter(feed.csv.null_values), "") if cell is None else cell


def _as_read(text: str, feed: Feed) -> str | None:
    return None if text in feed.csv.null_values else text


def _encoded(text: str, feed: Feed) -> bytes:
    """The text in the feed's encoding; in UTF-8, marked as such, where it would be taken for other text in UTF-8."""
    content = text.encode(feed.csv.encoding)
    try:
        is_clear = content.decode("utf-8-sig") == text
    except UnicodeDecodeError:
        is_clear = True
    return content if is_clear else text.encode("utf-8-sig")


def _decoded(path: Path, feed: Feed) -> str:
    """The text of a file that an editor may have saved as UTF-8 although its feed is written in something else."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(feed.csv.encoding).removeprefix("\ufeff")


def _is_same(cell: str | None, other: str | None) -> bool:
    """Whether a cell is the other one but for the ends of its lines, and for what a spreadsheet does to digits."""
    if cell is None or other is None:
        return cell is other
    return _LINE_END.sub("\n", cell) == _LINE_END.sub("\n", other) or _is_shortened(cell, other)


def _is_shortened(cell: str, other: str) -> bool:
    """Whether a cell is a text of digits as a spreadsheet shows it: 123 for 00123, 4.00638E+12 for 4006381333931."""
    if not (other.isascii() and other.isdigit() and len(cell) < len(other)):
        return False
    if re.match(SHORTENED, cell):
        shown = Decimal(cell.replace(",", "."))
        return 2 * abs(shown - Decimal(other)) <= Decimal(1).scaleb(int(shown.as_tuple().exponent))
    return cell == (other.lstrip("0") or "0")


def _lines(text: str | None) -> list[str]:
    """A text by its lines: editors change their ends."""
    return (text or "").splitlines()


def _dialect(feed: Feed) -> dict[str, Any]:
    """The feed's dialect as far as spreadsheets know it: one sign as delimiter, and always a quote."""
    delimiter = feed.csv.delimiter[0]
    quote = feed.csv.quote or ("'" if delimiter == '"' else '"')
    return {"delimiter": delimiter, "quotechar": quote, "strict": True, "lineterminator": "\r\n"}  # quotes both ends
