"""Against an oracle: a table written by the csv module comes back, and no changed byte makes up a row."""

import csv
import io
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from csv_oracle import LINE_ENDS, Dialect, count_lines, strict_rows, written
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from restock.chunks import BYTE, FAULT, LINE, RAW, SPOOL_COLUMNS
from restock.errors import SourceError
from sources.csv_files import blocks as csv_blocks
from sources.csv_files import tables as csv_tables
from sources.csv_files import text as csv_text

CELL = st.text(alphabet="ab,;|'\"\\#\n\r\t é名", max_size=6)
ONE_LINE = st.text(alphabet="ab,;|'\"\\# é", max_size=5)
QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
BLOCK = st.integers(1, 200)
DIALECTS = st.builds(
    Dialect,
    delimiter=st.sampled_from([",", ";", "\t", "|", "§", ", ", "||", "a,"]),
    quote=st.sampled_from(['"', '"', "'", None]),
    escape=st.sampled_from([None, None, "\\", "^"]),
    line_end=st.sampled_from(["any", "any", *LINE_ENDS]),
    comment=st.sampled_from([None, None, "#", "//"]),
    trailing_delimiter=st.booleans(),
)


def tables(cell, most_columns=4):
    return st.integers(1, most_columns).flatmap(
        lambda width: st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=8)
    )


@pytest.fixture(scope="module")
def read_bytes(read):
    """The rows of a file read in small blocks: line, cells or None, fault, text and byte; or the refusal."""

    def read_all(content, block, is_careful=False, **rules):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_text, "BLOCK_BYTES", block)
            patch.setattr(csv_tables, "CAREFUL_BYTES", 16)
            if is_careful:
                patch.setattr(csv_blocks.BlockReader, "read", lambda *_: None)
            path = Path(folder) / "feed.csv"
            path.write_bytes(content)
            frame = read(path, rows=3, csv={"null_values": [], **rules})
        names = [name for name in frame.columns if name not in SPOOL_COLUMNS]
        faults = frame[[LINE, FAULT, RAW, BYTE]].astype(object).where(frame[[LINE, FAULT, RAW, BYTE]].notna(), None)
        cells = frame[names].to_numpy(object).tolist()
        return [
            (line, None if fault else row, fault, raw, byte)
            for row, (line, fault, raw, byte) in zip(cells, faults.to_numpy().tolist(), strict=True)
        ]

    return read_all


def without_header(width):
    return {"header_rows": 0, "names": [f"column {place}" for place in range(width)]}


@settings(max_examples=250)
@given(
    rows=tables(CELL),
    delimiter=st.sampled_from(",;\t|§"),
    quote=st.sampled_from("\"'"),
    quoting=QUOTING,
    escape=st.sampled_from([None, "\\"]),
    line_end=st.sampled_from(["any", *LINE_ENDS]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "utf-16-be", "utf-32", "gb18030"]),
    header_rows=st.integers(0, 2),
    preamble=st.lists(ONE_LINE, max_size=2),
    block=BLOCK,
)
def test_a_table_of_the_csv_module_comes_back_exactly(
    read_bytes, rows, delimiter, quote, quoting, escape, line_end, encoding, header_rows, preamble, block
):
    text = io.StringIO(newline="")
    end = LINE_ENDS[line_end][0]
    text.write("".join(line + end for line in preamble))
    writer = csv.writer(
        text,
        delimiter=delimiter,
        quotechar=quote,
        quoting=quoting,
        escapechar=escape,
        doublequote=escape is None,
        lineterminator=end,
    )
    names = [f"column {place}" for place in range(len(rows[0]))]
    writer.writerows([names] * header_rows)
    writer.writerows(rows)
    # The module leaves the line ends it does not write unquoted: only the declared one may end a line then.
    assume(line_end != "any" or not set("\r\n") & set("".join(map("".join, rows))))
    rules = {"delimiter": delimiter, "quote": quote, "escape": escape, "line_end": line_end, "encoding": encoding}
    rules |= {"skip_lines": len(preamble), "header_rows": header_rows, "names": [] if header_rows else names}

    back = read_bytes(text.getvalue().encode(encoding), block, **rules)

    assert [cells for _, cells, *_ in back] == rows
    whole = strict_rows(text.getvalue(), Dialect(delimiter, quote, escape, line_end)) if not preamble else None
    assert whole is None or [(line, cells) for line, cells, *_ in back] == whole[header_rows:]


@pytest.mark.parametrize("block", range(1, 24))
def test_a_field_with_lines_of_its_own_may_span_blocks_without_a_quote(read_bytes, block):
    back = read_bytes(b'a,b\n1,"x\ny\nz\n\nw"\n2,"v"\n', block)

    assert [(line, cells) for line, cells, *_ in back] == [(2, ["1", "x\ny\nz\n\nw"]), (7, ["2", "v"])]


@settings(max_examples=200)
@given(rows=tables(CELL), delimiter=st.sampled_from(",;\t"), line_end=st.sampled_from(["\n", "\r\n"]), block=BLOCK)
def test_a_table_without_quotes_comes_back_exactly(read_bytes, rows, delimiter, line_end, block):
    assume(len(rows[0]) > 1)
    text = io.StringIO(newline="")
    csv.writer(
        text, delimiter=delimiter, quoting=csv.QUOTE_NONE, escapechar="\\", quotechar=None, lineterminator=line_end
    ).writerows(rows)
    lines = io.StringIO(text.getvalue(), newline="")
    plain = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, escapechar="\\", quotechar=None)
    assume(list(plain) == rows)  # before Python 3.13, a CR is not always escaped
    rules = without_header(len(rows[0]))

    back = read_bytes(text.getvalue().encode(), block, delimiter=delimiter, quote=None, escape="\\", **rules)

    assert [cells for _, cells, *_ in back] == rows


@settings(max_examples=250)
@given(rows=tables(CELL), dialect=DIALECTS, quotes_all=st.booleans(), block=BLOCK, is_careful=st.booleans())
def test_a_table_in_any_dialect_comes_back_exactly(read_bytes, rows, dialect, quotes_all, block, is_careful):
    assume(dialect.quote or dialect.escape)
    line_end = LINE_ENDS[dialect.line_end][0]
    text = written(rows, dialect, line_end, quotes_all)
    phantom = [""] * dialect.trailing_delimiter
    assume([cells for _, cells in strict_rows(text, dialect)] == [row + phantom for row in rows])  # nothing like `#`

    back = read_bytes(text.encode(), block, is_careful, **dialect.rules, **without_header(len(rows[0])))

    assert [(line, cells + phantom) for line, cells, *_ in back] == strict_rows(text, dialect)


@settings(max_examples=800)
@given(
    rows=st.one_of(tables(ONE_LINE), tables(CELL)),
    dialect=DIALECTS,
    quotes_all=st.booleans(),
    place=st.floats(0, 1, exclude_max=True),
    byte=st.one_of(st.sampled_from(list(b'",;|\\#\r\na\xff\xc3')), st.integers(0, 255)),
    is_inserted=st.booleans(),
    block=BLOCK,
)
def test_no_changed_byte_gives_a_row_that_is_not_there(
    read_bytes, rows, dialect, quotes_all, place, byte, is_inserted, block
):
    sound = written(rows, dialect, LINE_ENDS[dialect.line_end][0], quotes_all).encode()
    at = int(place * len(sound))
    changed = sound[:at] + bytes([byte]) + sound[at + (not is_inserted) :]
    text = changed.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "backslashreplace")
    expected = strict_rows(text, dialect)

    try:
        back = read_bytes(changed, block, **dialect.rules, **without_header(len(rows[0])))
    except SourceError:
        is_undecodable = text != changed.decode("utf-8", "replace")
        assert expected in ([], [None]) or expected[-1] is None or is_undecodable
        return

    check(back, expected, len(rows[0]), dialect)
    if not set("\r\n") & set("".join(map("".join, rows))) and dialect.line_end == "any" and "\\" not in text:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for our_line, our_cells, fault, *_ in back[len(expected) - (expected[-1:] == [None]) :]:
            phantom = [""] * dialect.trailing_delimiter
            assert fault or strict_rows(lines[our_line - 1], dialect) == [(1, our_cells + phantom)]


def check(back, expected, width, dialect):
    """Whether what was read is what is certain, and the row behind it is at fault."""
    certain = expected[:-1] if expected[-1:] == [None] else expected
    phantom = [""] * dialect.trailing_delimiter
    for (line, cells), (our_line, our_cells, fault, raw, byte) in zip(certain, back, strict=False):
        assert line == our_line
        if fault is None:
            assert our_cells + phantom == cells
        elif fault in ("too_few_fields", "too_many_fields"):
            assert (len(cells) < width + len(phantom)) == (fault == "too_few_fields")
            assert len(cells) != width + len(phantom) or cells[-1:] != phantom
        else:
            assert fault == "encoding"
            assert "\\x" in raw
        assert (byte is None) == (fault is None)
    if certain == expected:
        assert len(back) == len(expected)
    else:
        assert back[len(certain)][2] in ("quote", "encoding")


@settings(max_examples=800)
@given(
    text=st.text(alphabet="ab,,\"'\\#|\n\n\r é\x1f\ufeff", max_size=60),
    dialect=DIALECTS,
    width=st.integers(1, 3),
    null_values=st.sampled_from([[], [""], ["a", "", "b,"]]),
    block=BLOCK,
)
@example(text='a,b\n"\n', dialect=Dialect(), width=2, null_values=[], block=200)
@example(text="\ufeff\ufeffa,b\nc,d\n", dialect=Dialect(), width=2, null_values=[], block=200)
def test_the_fast_way_and_the_careful_way_agree(read_bytes, text, dialect, width, null_values, block):
    def read(is_careful):
        try:
            rules = {**dialect.rules, **without_header(width), "null_values": null_values}
            return read_bytes(text.encode(), block, is_careful, **rules)
        except SourceError as error:
            return str(error)

    fast, careful = read(False), read(True)

    assert pd.DataFrame(fast).equals(pd.DataFrame(careful)) if isinstance(fast, list) else fast == careful


@settings(max_examples=200)
@given(
    rows=st.lists(st.tuples(CELL, ONE_LINE, st.booleans()), min_size=1, max_size=8),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32-le", "shift_jis", "gb18030"]),
    block=BLOCK,
)
def test_a_fault_stands_at_its_line_and_byte(read_bytes, rows, encoding, block):
    pieces = []
    for cell, line, is_short in rows:
        # A row at fault is refused if one of its lines could be a row.
        cells = [cell.replace(",", ";") if is_short else cell, line][: 1 if is_short else 2]
        cells = [text.replace("é", "名") for text in cells]
        pieces.append(written([cells], Dialect(), "\n", True))
    text = "".join(pieces)

    back = read_bytes(text.encode(encoding), block, encoding=encoding, **without_header(2))

    for number, (line, _, fault, _, byte) in enumerate(back):
        before = "".join(pieces[:number])
        assert line == 1 + count_lines(before)
        assert fault == ("too_few_fields" if rows[number][2] else None)
        assert byte == (len(before.encode(encoding)) if fault else None)
