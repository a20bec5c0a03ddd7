"""Against an oracle: a table written by the csv module comes back, and no changed byte makes up a row."""

import csv
import io
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.chunks import FAULT, LINE, RAW, SPOOL_COLUMNS
from restock.errors import SourceError
from sources import csv_frames, csv_text

CELL = st.text(alphabet='ab,;"\n\t é名', max_size=6)
ONE_LINE = st.text(alphabet='ab,;" é', max_size=5)
DELIMITER = st.sampled_from(",;\t|§")
QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])


def tables(cell, most_columns=4):
    return st.integers(1, most_columns).flatmap(
        lambda width: st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=8)
    )


def written(rows, delimiter, quoting, line_end):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerow([f"column {place}" for place in range(len(rows[0]))])
    writer.writerows(rows)
    return text.getvalue()


def strict_rows(text, delimiter):
    """Line and cells of each row, read character by character; ends with None where the quotes go wrong."""
    rows, at, line = [], 0, 1
    while at < len(text):
        begun, start, row = line, at, []
        while True:
            cell = ""
            if text[at : at + 1] == '"':
                at += 1
                while True:
                    if at >= len(text):
                        return [*rows, None]
                    if text[at] != '"':
                        line += text[at] == "\n" or (text[at] == "\r" and text[at + 1 : at + 2] != "\n")
                        cell += text[at]
                        at += 1
                    elif text[at + 1 : at + 2] == '"':
                        cell += '"'
                        at += 2
                    else:
                        at += 1
                        break
            else:
                while at < len(text) and text[at] not in f'{delimiter}"\r\n':
                    cell += text[at]
                    at += 1
            row.append(cell)
            if text[at : at + 1] == delimiter:
                at += 1
                continue
            if at < len(text) and text[at] not in "\r\n":
                return [*rows, None]
            break
        is_blank = at == start
        at += 2 if text[at : at + 2] == "\r\n" else 1
        line += 1
        if not is_blank:
            rows.append((begun, row))
    return rows


@pytest.fixture(scope="module")
def read_bytes(read):
    """The rows of a file read in small blocks: line, cells or None, fault, text; or the refusal."""

    def read_all(content, block, **rules):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_text, "BLOCK_BYTES", block)
            patch.setattr(csv_frames, "CAREFUL_BYTES", 16)
            path = Path(folder) / "feed.csv"
            path.write_bytes(content)
            frame = read(path, rows=3, csv={"null_values": [], **rules})
        names = [name for name in frame.columns if name not in SPOOL_COLUMNS]
        rows = []
        for _, row in frame.iterrows():
            fault = None if pd.isna(row[FAULT]) else row[FAULT]
            rows.append((row[LINE], None if fault else list(row[names]), fault, row[RAW]))
        return rows

    return read_all


@settings(max_examples=300, deadline=None)
@given(
    rows=tables(CELL),
    delimiter=DELIMITER,
    quoting=QUOTING,
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
    block=st.integers(1, 200),
)
def test_a_table_comes_back_exactly(read_bytes, rows, delimiter, quoting, line_end, encoding, block):
    text = written(rows, delimiter, quoting, line_end)

    back = read_bytes(text.encode(encoding), block, delimiter=delimiter, encoding=encoding)

    assert [cells for _, cells, _, _ in back] == rows
    assert [(line, cells) for line, cells, _, _ in back] == strict_rows(text, delimiter)[1:]


@settings(max_examples=1500, deadline=None)
@given(
    rows=st.one_of(tables(ONE_LINE), tables(CELL)),
    delimiter=st.sampled_from(",;"),
    quoting=QUOTING,
    line_end=st.sampled_from(["\n", "\r\n"]),
    place=st.floats(0, 1, exclude_max=True),
    byte=st.one_of(st.sampled_from(list(b'",;\r\na\xff\xc3')), st.integers(0, 255)),
    is_inserted=st.booleans(),
    block=st.integers(1, 200),
)
def test_no_changed_byte_gives_a_row_that_is_not_there(
    read_bytes, rows, delimiter, quoting, line_end, place, byte, is_inserted, block
):
    sound = written(rows, delimiter, quoting, line_end).encode()
    body = sound.index(b"\n") + 1
    at = body + int(place * (len(sound) - body))
    changed = sound[:at] + bytes([byte]) + sound[at + (not is_inserted) :]
    text = changed.decode("utf-8", "backslashreplace")
    expected = strict_rows(text, delimiter)[1:]

    try:
        back = read_bytes(changed, block, delimiter=delimiter)
    except SourceError:
        is_undecodable = text != changed.decode("utf-8", "replace")
        assert expected in ([], [None]) or expected[-1] is None or is_undecodable
        return

    certain = expected[:-1] if expected[-1:] == [None] else expected
    for (line, cells), (our_line, our_cells, fault, raw) in zip(certain, back, strict=False):
        assert line == our_line
        if fault is None:
            assert our_cells == cells
        elif fault in ("too_few_fields", "too_many_fields"):
            assert (len(cells) < len(rows[0])) == (fault == "too_few_fields")
            assert len(cells) != len(rows[0])
        else:
            assert fault == "encoding"
            assert "\\x" in raw
    if certain == expected:
        assert len(back) == len(expected)
    else:
        assert back[len(certain)][2] in ("quote", "encoding")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if "\n" not in "".join(map("".join, rows)):
        for our_line, our_cells, fault, _ in back[len(certain) :]:
            assert fault or strict_rows(lines[our_line - 1], delimiter) == [(1, our_cells)]
