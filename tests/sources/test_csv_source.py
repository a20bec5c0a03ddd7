import gzip
import json

import pandas as pd
import pytest

from restock.chunks import FAULT, LINE, RAW, ROW, SPOOL_COLUMNS, SUPERSEDED
from restock.csv_rules import CsvRules
from restock.errors import ConfigurationError, SourceChanged, SourceError
from sources.csv_files import rows as csv_rows
from sources.csv_files import source as csv_source
from sources.csv_files import tables as csv_tables
from sources.csv_files import text as csv_text
from sources.csv_files.blocks import BlockReader
from sources.csv_files.source import CsvSource


def cells(frame):
    """The rows of a frame as lists; None where a cell is missing."""
    names = [name for name in frame.columns if name not in SPOOL_COLUMNS]
    return [[None if pd.isna(cell) else cell for cell in row] for row in frame[names].to_numpy(object).tolist()]


def faults(frame):
    """Line, fault and text of the rows that have one."""
    marked = frame[frame[FAULT].notna()]
    return [(int(row[LINE]), row[FAULT], row[RAW]) for _, row in marked.iterrows()]


def test_cells_are_text_as_they_were_written(read_text):
    frame = read_text("sku,name,price\n00123,NA,4E12\n 7 ,None,\nnull,nan,-0.0\n")

    assert cells(frame) == [["00123", "NA", "4E12"], [" 7 ", "None", None], ["null", "nan", "-0.0"]]
    assert [str(kind) for kind in frame.dtypes] == ["str"] * 3 + ["int64", "Int64", "Int64", "str", "str", "bool"]


def test_each_row_carries_its_position_and_line(read_text):
    frame = read_text('a,b\n1,2\n\n"x\ny\r\nz",4\n\r\n5,6', rows=2)

    assert frame[ROW].tolist() == [1, 2, 3]
    assert frame[LINE].tolist() == [2, 4, 8]
    assert not frame[SUPERSEDED].any()


def test_only_declared_words_are_null_in_quotes_or_not(read_text):
    frame = read_text('a,b\nn/a,""\n"n/a",N/A\n', csv={"null_values": ["n/a"]})

    assert cells(frame) == [[None, ""], [None, "N/A"]]


@pytest.mark.parametrize("content", ['a,b\n"",\n1,2\n', 'a,b\n"",\n1\n1,2\n'])
def test_the_empty_field_is_null_by_default_on_both_ways_of_reading(read_text, content):
    assert cells(read_text(content))[0] == [None, None]


@pytest.mark.parametrize(
    "line,fault",
    [
        ("1", "too_few_fields"),
        ("1,2,3", "too_many_fields"),
        ('1,ab"c', "quote"),
        ('1,"ab"c', "quote"),
        ('1,"pedro "pdet" h"', "quote"),
        ('1,"$78', "quote"),
        ('1,"a "b" c', "quote"),
        ('"1,2', "quote"),
        ('"', "quote"),
    ],
)
def test_a_broken_row_is_marked_and_its_neighbours_load(read_text, line, fault):
    frame = read_text(f'a,b\n0,x\n{line}\n2,"y, z"\n3,w\n')

    assert faults(frame) == [(3, fault, line)]
    assert cells(frame) == [["0", "x"], [None, None], ["2", "y, z"], ["3", "w"]]


def test_undecodable_bytes_mark_their_row_only(read_text):
    frame = read_text(b"a,b\n1,gr\xc3\xbcn\n2,gr\xfcn\n3,\xff\xfe\n4,x\n")

    assert faults(frame) == [(3, "encoding", r"2,gr\xfcn"), (4, "encoding", r"3,\xff\xfe")]
    assert cells(frame)[0] == ["1", "grün"]


def test_a_character_cut_off_at_the_end_marks_the_last_row(read_text):
    frame = read_text(b"a,b\n1,x\n2,gr\xc3")

    assert faults(frame) == [(3, "encoding", r"2,gr\xc3")]


@pytest.mark.parametrize("quoted", ["{}", '"{}"'])
def test_a_huge_field_is_a_fault_and_one_at_the_limit_is_not(read_text, quoted):
    largest = "ü" * (csv_rows.FIELD_BYTES // 2)
    frame = read_text(f"a,b\n1,{quoted.format(largest)}\n2,{quoted.format(largest + 'x')}\n3,z\n")

    assert [(line, fault) for line, fault, _ in faults(frame)] == [(3, "field_too_large")]
    assert cells(frame)[0] == ["1", largest]


def test_a_broken_multi_line_field_is_one_fault_when_its_quotes_pair_up(read_text):
    text = 'a,b\n1,"<p>\nsee <a href="x">here</a>"\n2,y\n'

    frame = read_text(text)

    assert faults(frame) == [(2, "quote", '1,"<p>\nsee <a href="x">here</a>"')]
    assert cells(frame)[1:] == [["2", "y"]]


@pytest.mark.parametrize(
    "text,line",
    [
        ('a,b\n1,x\n2,"never closed\n3,y\n4,z\n', 3),
        ('a,b\n1,x\n2,"cut sho', 3),
        ('a,b\n"m\nn","never\n3,y\n', 3),
        ('a,b\n1,"say "hi" ho, bob\n7,8\n9,z\n', 2),
        ('a,b\n1,"a" b "c\n7,8\n', 2),
        ('a,b\n1,x\n2,"3/4 hose\n3,y\n4,5" hose\n5,z\n', 3),
        ('a,b\n1,x\n2,"3/4 hose\n3,y\n4",5\n5,z\n', 3),
        ('a,b\n1,x\n"2,3/4 hose\n3,y\n4,5"\n5,z\n', 3),
        ('a,b\n1,x\n"2,x\n3,y\n4",5" hose\n5,z\n', 3),
    ],
)
def test_a_quote_that_swallows_the_rest_refuses_the_file_and_names_the_line(read_text, text, line):
    with pytest.raises(SourceError, match=f"on line {line} of feed.csv"):
        read_text(text)


def test_an_open_quote_does_not_take_all_memory(read_text, monkeypatch):
    monkeypatch.setattr(csv_rows, "OPEN_QUOTE_CHARACTERS", 10_000)
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 1_000)

    with pytest.raises(SourceError, match=r"on line 2 of feed\.csv is never closed"):
        read_text('a,b\n1,"x\n' + "2,y\n" * 10_000)


def test_a_row_without_end_does_not_take_all_memory(read_text, monkeypatch):
    monkeypatch.setattr(csv_source, "OPEN_QUOTE_CHARACTERS", 10_000)
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 1_000)

    with pytest.raises(SourceError, match=r"begins on line 2 of feed\.csv has no end"):
        read_text("a,b\n" + "2," * 100_000)


def test_a_row_that_does_not_end_is_not_tried_with_each_block(read_text, monkeypatch):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 100)
    tried = []
    rows = csv_rows.RowSplitter.rows
    monkeypatch.setattr(
        csv_rows.RowSplitter, "rows", lambda self, text, *more: tried.append(len(text)) or rows(self, text, *more)
    )

    frame = read_text('a,b\n1,"' + "x\n" * 50_000 + '"\n2,y\n')

    assert len(frame) == 2
    assert sum(tried) < 8 * 100_000  # and not for each of a thousand blocks all that stands before it


@pytest.mark.parametrize(
    "content,sentence",
    [
        ("a,b\n", "holds no rows"),
        ("a,b", "holds no rows"),
        ("a,b\n\n\r\n", "holds no rows"),
        ("\n\n", "no header"),
        ("a,a\n1,2\n", "two columns named 'a'"),
        ("a,\n1,2\n", r"column without a name \(number 2\); .* or skip .* `csv: skip_lines`"),
        ("a, \n1,2\n", r"column without a name \(number 2\)"),
        ("a,,\n1,2,3\n", r"columns without a name \(numbers 2, 3\); .* or under `csv: names`, or skip"),
        ("a,_row\n1,2\n", "'_row', which restock uses itself"),
        ("a,_reason,_chunk,_restock_run\n1,2,3,4\n", "'_reason', '_chunk', '_restock_run', which restock uses itself"),
        ("a,b\0\n1,2\n", "NUL"),
        ('a,"b\n1,2\n', "quotes in the header"),
        ('a,b"c\n1,2\n', "quotes in the header"),
        (",".join(map(str, range(5000))) + "\n1\n", "5000 columns"),
        (b"PAR1xxxx", "is a Parquet file"),
        (b"PK\x03\x04xxxx", "spreadsheet"),
        (gzip.compress(b"a\n1\n", mtime=0), "ending .gz"),
    ],
)
def test_a_file_that_is_no_table_gets_a_sentence(read_text, content, sentence):
    with pytest.raises(SourceError, match=sentence) as caught:
        read_text(content)
    assert caught.value.exit_status == 1


@pytest.mark.parametrize(
    "content,encoding,position",
    [
        ("naïve,b\n1,2\n".encode("cp1252"), "utf-8", 2),
        ("a,b\n1,2\n".encode("utf-16"), "utf-8", 0),
        ("a,b\n1,grün\n2,blaß\n".encode("cp1252"), "utf-8", 8),
        (b"a,b\n1,\x81\n", "cp1252", 6),
        ("ключ,b\n1,2\n".encode(), "ascii", 0),
    ],
)
def test_a_wrong_encoding_is_named_with_the_byte(read_text, content, encoding, position):
    with pytest.raises(SourceError, match=f"not in {encoding}: byte {position} "):
        read_text(content, csv={"encoding": encoding})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "shift_jis", "gb18030"])
@pytest.mark.parametrize("block", [1, 3, 4096])
def test_each_encoding_is_read_whatever_the_blocks(read_text, monkeypatch, encoding, block):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", block)
    text = "sku,名" if encoding in ("shift_jis", "gb18030") else "sku,né" if encoding == "cp1252" else "sku,né名😀"
    value = text.split(",")[1]

    frame = read_text(f'{text}\r\n1,"{value}\r\n{value}"\r\n2,{value}'.encode(encoding), csv={"encoding": encoding})

    assert list(frame.columns[:2]) == ["sku", value]
    assert cells(frame) == [["1", f"{value}\r\n{value}"], ["2", value]]


def test_a_bad_byte_in_two_byte_text_marks_its_row_only(read_text):
    content = "a,b\n1,x\n2,".encode("utf-16-le") + b"\x00\xd8" + "\n3,y\n".encode("utf-16-le")

    frame = read_text(content, csv={"encoding": "utf-16-le"})

    assert [fault[:2] for fault in faults(frame)] == [(3, "encoding")]
    assert cells(frame)[2] == ["3", "y"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_an_encoding_whose_order_of_bytes_is_not_told_gets_a_sentence(read_text, encoding):
    with pytest.raises(SourceError, match=rf"begins with no byte order mark; .* {encoding}-le or {encoding}-be"):
        read_text("a,b\n1,2\n".encode(f"{encoding}-le"), csv={"encoding": encoding})


@pytest.mark.parametrize("encoding", ["rot13", "punycode", "idna"])
def test_an_encoding_that_is_not_one_of_text_is_a_wrong_configuration(read_text, encoding):
    with pytest.raises(ConfigurationError, match="is not an encoding of text"):
        read_text("a\n1\n", csv={"encoding": encoding})


@pytest.mark.parametrize("other", ["b,y", 'b,"y"z'])
def test_a_byte_order_mark_inside_a_file_is_text(read_text, other):
    frame = read_text(f"\ufeffsku,name\n\ufeffa,x\n{other}\n")

    assert frame["sku"].tolist()[0] == "\ufeffa"


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "§", "^", "]", "-", "\\"])
def test_any_sign_may_be_the_delimiter(read_text, delimiter):
    frame = read_text(f"a{delimiter}b\n1{delimiter}'x{delimiter}y'\n", csv={"delimiter": delimiter, "quote": "'"})

    assert cells(frame) == [["1", f"x{delimiter}y"]]


def test_a_gzipped_file_is_read_like_a_plain_one(tmp_path, read):
    (tmp_path / "feed.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n", mtime=0) + gzip.compress(b"3,4\n", mtime=0))

    assert cells(read(tmp_path / "feed.csv.gz")) == [["1", "2"], ["3", "4"]]


def test_a_gzipped_file_cut_anywhere_is_refused(tmp_path, read):
    whole = gzip.compress("".join(f"{i},{i * i}\n" for i in range(300)).encode())
    path = tmp_path / "feed.csv.gz"

    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match="gzip"):
            read(path)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-5] + b"xxxxx"])
def test_a_file_that_is_not_sound_gzip_is_refused(tmp_path, read, content):
    (tmp_path / "feed.csv.gz").write_bytes(content)

    with pytest.raises(SourceError, match="not sound gzip"):
        read(tmp_path / "feed.csv.gz")


@pytest.mark.parametrize("rest", ["1,3\n", '1,"\n', "1,2\na,b\n" + "3,4\n" * 30_000])
def test_a_file_that_changes_after_its_header_was_read_is_refused(tmp_path, found, rest):
    path = tmp_path / "feed.csv"
    path.write_text("a,b\n1,2\n")
    source = CsvSource(*found(path))
    path.write_text(f"a,b\n{rest}")

    with pytest.raises(SourceChanged):
        list(source.tables())


@pytest.mark.parametrize(
    "row,is_sound",
    [
        ('"a","b"', True),
        ('1,"x ""y"" z"', True),
        ('"""q""",""', True),
        ('"","""\n"""', True),
        ('1,x"y', False),
        ('1,"x"y', False),
        ('1, "x"', False),
        ('"a""b,"c"', False),
    ],
)
def test_text_is_read_at_once_where_its_quotes_are_sound_and_only_there(row, is_sound):
    block = BlockReader(CsvRules(), ["a", "b"]).read(f"{row}\n".encode())

    assert (block is not None) == is_sound


def test_one_broken_row_does_not_change_how_the_others_are_read(read_text, monkeypatch):
    monkeypatch.setattr(csv_tables, "CAREFUL_BYTES", 64)
    rows = [f'{i},"line\n{i}, and ""more"""' if i % 3 else f"{i},plain\r" for i in range(200)]
    rows[90] = "90"

    frame = read_text("a,b\n" + "\n".join(rows), rows=7)

    assert faults(frame) == [(2 + sum(1 + row.count("\n") for row in rows[:90]), "too_few_fields", "90")]
    assert [row[0] for row in cells(frame) if row[0]] == [str(i) for i in range(200) if i != 90]


@pytest.mark.parametrize(
    "name",
    [
        "comma_in_quotes",
        "empty",
        "empty_crlf",
        "escaped_quotes",
        "json",
        "newlines",
        "quotes_and_newlines",
        "simple",
        "simple_crlf",
        "utf8",
    ],
)
def test_the_csv_spectrum_is_read_as_its_authors_say(data, read, name):
    frame = read(data / "csv" / f"{name}.csv", csv={"null_values": []})

    names = [column for column in frame.columns if column not in SPOOL_COLUMNS]
    rows = [dict(zip(names, row, strict=True)) for row in cells(frame)]
    assert rows == json.loads((data / "csv" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_catalogue_of_buy_com_is_read_whole(data, read):
    frame = read(data / "csv" / "abtbuy_buy.csv", rows=500)

    assert len(frame) == 1092
    assert frame["price"].notna().sum() == 590
    assert frame[FAULT].isna().all()
