"""Each key under `csv:` that says how text becomes cells, by what it does to a file."""

import pytest

from restock.chunks import FAULT, LINE, RAW, SPOOL_COLUMNS
from restock.errors import SourceError
from sources.csv_files import header as csv_header
from sources.csv_files import rows as csv_rows
from sources.csv_files import tables as csv_tables
from sources.csv_files import text as csv_text


@pytest.fixture
def table(read_text):
    """Names and rows of a file; a row that is at fault is its code."""

    def read(content, **rules):
        frame = read_text(content, csv={"null_values": [], **rules})
        names = [name for name in frame.columns if name not in SPOOL_COLUMNS]
        faults = frame[FAULT].astype(object).where(frame[FAULT].notna(), None)
        cells = frame[names].to_numpy(object).tolist()
        return names, [row if fault is None else fault for row, fault in zip(cells, faults, strict=True)]

    return read


DELIMITERS = {
    "comma and blank": (", ", 'a, b\n1,5, x\n"2, 3", y\n', [["1,5", "x"], ["2, 3", "y"]]),
    "two bars": ("||", 'a||b\n1|||2\n"3||4"||5|\n', [["1", "|2"], ["3||4", "5|"]]),
    "blank": (" ", 'a b\n1 "x y"\n2 \n', [["1", "x y"], ["2", ""]]),
    "tab": ("\t", 'a\tb\n1\t"x\ty"\n', [["1", "x\ty"]]),
    "one sign outside ASCII": ("¤", 'a¤b\n1¤"x¤y"\n', [["1", "x¤y"]]),
    "a word": ("<->", "a<->b\n1-><-<->2\n", [["1-><-", "2"]]),
    "several signs with a stand-in in the text": ("||", "a||b\n1\x1f||2\n", [["1\x1f", "2"]]),
}


@pytest.mark.parametrize("delimiter,content,rows", DELIMITERS.values(), ids=DELIMITERS)
def test_a_delimiter_is_one_sign_or_several(table, delimiter, content, rows):
    assert table(content, delimiter=delimiter) == (["a", "b"], rows)


def test_a_null_word_may_hold_the_delimiter(read_text):
    frame = read_text('a||b\n"n||a"||x\n', csv={"delimiter": "||", "null_values": ["n||a"]})

    assert frame["a"].isna().tolist() == [True]


def test_a_feed_may_have_no_quotes(table):
    names, rows = table('"a",b\n"1,5" x"\n\'2,"\n', quote=None)

    assert (names, rows) == (['"a"', "b"], [['"1', '5" x"'], ["'2", '"']])


ESCAPES = {
    "a quote": (r'"say \"hi\"",x', ['say "hi"', "x"]),
    "a delimiter": (r"one\, two,x", ["one, two", "x"]),
    "a line end": ("one\\\ntwo,x", ["one\ntwo", "x"]),
    "itself": (r'"c:\\",x\\', ["c:\\", "x\\"]),
    "nothing else": (r"c:\new,it\'s", [r"c:\new", r"it\'s"]),
    "beside doubling": (r'"a ""b"" \"c\"",""', ['a "b" "c"', ""]),
    "at the very end": ("x,y\\", ["x", "y\\"]),
}


@pytest.mark.parametrize("line,cells", ESCAPES.values(), ids=ESCAPES)
def test_an_escape_makes_text_of_the_sign_behind_it(table, line, cells):
    assert table("a,b\n0,0\n" + line, escape="\\")[1] == [["0", "0"], cells]


def test_without_an_escape_a_backslash_is_text(table):
    assert table('a,b\n"c:\\",x\\\n')[1] == [["c:\\", "x\\"]]


LINE_ENDS = {
    ("any", "a,b\n1,2\r3,4\r\n5,6"): [["1", "2"], ["3", "4"], ["5", "6"]],
    ("lf", "a,b\n1,2\rx\n\n3,\r\n"): [["1", "2\rx"], ["3", "\r"]],
    ("lf", 'a,b\n1,"2\r"\n3,4\n'): [["1", "2\r"], ["3", "4"]],
    ("crlf", "a,b\r\n1,x\ny\r\n2,z\rw\r\n\r\n"): [["1", "x\ny"], ["2", "z\rw"]],
    ("crlf", 'a,b\r\n1,"x\ny"\r\n\r\n2,z\r\n'): [["1", "x\ny"], ["2", "z"]],
    ("cr", "a,b\r1,x\ny\r\r2,z"): [["1", "x\ny"], ["2", "z"]],
}


@pytest.mark.parametrize("block", [1, 4096])
@pytest.mark.parametrize("line_end,content", LINE_ENDS)
def test_a_declared_line_end_makes_text_of_the_others(table, monkeypatch, line_end, content, block):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", block)

    assert table(content, line_end=line_end) == (["a", "b"], LINE_ENDS[line_end, content])


def test_lines_are_counted_as_an_editor_counts_them(read_text):
    frame = read_text('a,b\r\n1,x\ny\r\n2,"z\rw"\r\n3,v\r\n', csv={"line_end": "crlf"})

    assert frame[LINE].tolist() == [2, 4, 6]


STARTS = {
    "a count of lines": ({"skip_lines": 2}, 'Report "x\n,,,\nsku,n\n1,2\n', (["sku", "n"], 4)),
    "up to a text": ({"skip_until": "sku,"}, 'Report "x\n\n see sku,\nsku,n\n1,2\n', (["sku", "n"], 5)),
    "comments": ({"comment": "//"}, '// a "b\n\nsku,n\n//1\n1,2\n//', (["sku", "n"], 5)),
    "nothing but names": ({"header_rows": 0, "names": ["sku", "n"]}, "1,2\n", (["sku", "n"], 1)),
    "names below lines to skip": (
        {"header_rows": 0, "names": ["sku", "n"], "skip_lines": 1},
        "x\n1,2\n",
        (["sku", "n"], 2),
    ),
    "names in the place of a header": ({"names": ["sku", "n"]}, ",\n1,2\n", (["sku", "n"], 2)),
    "two header rows": ({"header_rows": 2}, 'Item,\n"no\n.",n\n1,2\n', (["Item no\n.", "n"], 4)),
    "three header rows": ({"header_rows": 3}, "a,b\na,b\n\na,b\n1,2\n", (["a a a", "b b b"], 5)),
    "a byte order mark": ({"encoding": "utf-8", "skip_until": "sku"}, "\ufeffsku,n\n1,2\n", (["sku", "n"], 2)),
}


@pytest.mark.parametrize("block", [1, 7, 4096])
@pytest.mark.parametrize("rules,content,expected", STARTS.values(), ids=STARTS)
def test_the_table_begins_where_the_feed_says(read_text, monkeypatch, rules, content, expected, block):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", block)

    frame = read_text(content, csv=rules)

    names = [name for name in frame.columns if name not in SPOOL_COLUMNS]
    assert (names, frame[LINE].tolist()) == (expected[0], [expected[1]])
    assert frame[names].to_numpy().tolist() == [["1", "2"]]


NO_STARTS = {
    "too many lines to skip": ({"skip_lines": 9}, "a,b\n1,2\n", "no table below the 9 lines to skip"),
    "a text that no line begins with": (
        {"skip_until": "sku"},
        "a,b\n1,2\n",
        "begins with the text that `csv: skip_until`",
    ),
    "header rows of different widths": ({"header_rows": 2}, "title\na,b\n1,2\n", "have 1 and 2 columns"),
    "names of another width": ({"names": ["a"]}, "a,b\n1,2\n", "has 2 columns and `csv: names` has 1"),
    "a header without end": ({"header_rows": 2}, "a,b\n", "no header"),
    "no rows below no header": ({"header_rows": 0, "names": ["a"]}, "\n", "holds no rows;"),
    "a name of restock's own": ({"names": ["a", "_row"]}, "a,b\n1,2\n", "which restock uses itself"),
}


@pytest.mark.parametrize("rules,content,sentence", NO_STARTS.values(), ids=NO_STARTS)
def test_a_table_that_is_not_where_the_feed_says_is_refused(read_text, rules, content, sentence):
    with pytest.raises(SourceError, match=sentence):
        read_text(content, csv=rules)


def test_a_start_that_never_comes_does_not_take_all_memory(read_text, monkeypatch):
    monkeypatch.setattr(csv_header, "OPEN_QUOTE_CHARACTERS", 10_000)
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 1_000)

    with pytest.raises(SourceError, match="skip_until"):
        read_text("no line end " * 10_000 + "\nsku\n1\n", csv={"skip_until": "sku"})


@pytest.mark.parametrize("block", [1, 5, 4096])
def test_comments_are_lines_that_begin_with_their_sign(table, monkeypatch, block):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", block)
    content = '#a\na,b\n#1,"\n1,#2\n"#3",4\n\n "x#"\n#\r\n5,"\n#6"\n7,8\n# the end'

    assert table(content, comment="#")[1] == [["1", "#2"], ["#3", "4"], "quote", ["5", "\n#6"], ["7", "8"]]


@pytest.mark.parametrize("header", ["a,b", "a,b,"])
def test_a_trailing_delimiter_is_no_column(table, header):
    content = header + '\n1,2,\n3,4,""\n\n5,6\n7,,\n8,\n9,10,11\n"12",13,\n'

    assert table(content, trailing_delimiter=True) == (
        ["a", "b"],
        [["1", "2"], ["3", "4"], "too_few_fields", ["7", ""], "too_few_fields", "too_many_fields", ["12", "13"]],
    )


def test_a_trailing_null_word_is_a_field_too_many(read_text):
    frame = read_text("a,b,\n1,2,-\n3,4,\n", csv={"trailing_delimiter": True, "null_values": ["-"]})

    assert frame[FAULT].fillna("").tolist() == ["too_many_fields", ""]


FAST = {
    "plain": ({}, 'a,b\n1,2\n"3\n",4\n'),
    "no quotes": ({"quote": None}, 'a,b\n1,"2\n3,4\n'),
    "several signs": ({"delimiter": "||"}, 'a||b\n1||"2||"\n3||4\n'),
    "trailing delimiter": ({"trailing_delimiter": True}, 'a,b,\r\n1,"2",\r\n3,4,\r\n'),
    "carriage returns": ({"line_end": "crlf"}, "a,b\r\n1,2\r\n3,4\r\n"),
    "comment above": ({"comment": "#"}, "#\na,b\n1,2\n3,#\n"),
    "escape declared and not used": ({"escape": "\\"}, "a,b\n1,2\n3,4\n"),
    "no header": ({"header_rows": 0, "names": ["a", "b"]}, "1,2\n3,4\n"),
    "accents": ({}, "a,b\n1,é\nü,😀\n"),
    "cp1252": ({"encoding": "cp1252"}, "a,b\n1,é\nü,4\n".encode("cp1252")),
}


@pytest.mark.parametrize("rules,content", FAST.values(), ids=FAST)
def test_a_sound_file_of_a_usual_dialect_is_read_the_fast_way(read_text, monkeypatch, rules, content):
    monkeypatch.setattr(csv_tables.TableReader, "_read_carefully", None)

    assert len(read_text(content, csv=rules)) == 2


PLACES = {
    "utf-8": (b"a,b\n\xc3\xa9,2\nshort\n3,4\n5,\xc3\xa9\xff\n", [(3, 9), (5, 23)]),
    "utf-8-sig": (b"\xef\xbb\xbfa,b\nshort\n1,2\n", [(2, 7)]),
    "utf-16": ("a,b\n😀,2\nshort\n3,4\n".encode("utf-16"), [(3, 2 + 8 + 10)]),
    "utf-16-be": ("\ufeffa,b\n😀,2\nshort\n".encode("utf-16-be"), [(3, 2 + 8 + 10)]),
    "utf-32": ("a,b\nshort\n1,2\n".encode("utf-32"), [(2, 4 + 16)]),
    "cp1252": (b"a,b\n\xe9,2\n\x81,4\n5,6,7\n", [(3, 8), (4, 12)]),
    "shift_jis": ("a,名\n1,名\n名\n2,3\n".encode("shift_jis"), [(3, 10)]),
    "gb18030": ("a,b\n😀,2\n名\n2,3\n".encode("gb18030"), [(3, 11)]),
}


@pytest.mark.parametrize("block", [1, 3, 4096])
@pytest.mark.parametrize("encoding", PLACES)
def test_a_row_at_fault_has_the_line_and_the_byte_where_it_stands(read_text, monkeypatch, encoding, block):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", block)
    content, places = PLACES[encoding]

    frame = read_text(content, csv={"encoding": encoding})

    marked = frame[frame[FAULT].notna()]
    assert list(zip(marked[LINE], marked["_byte"], strict=True)) == places
    assert frame.loc[frame[FAULT].isna(), "_byte"].isna().all()
    for line, byte in places:
        rest = content[byte:].decode(encoding.removesuffix("-sig") if byte else encoding, "replace")
        raw = marked.loc[marked[LINE] == line, RAW].item()
        assert "\\x" in raw or rest.startswith(raw) or encoding in ("utf-16", "utf-32")


def test_bytes_are_right_behind_many_rows_and_faults(read_text, monkeypatch):
    monkeypatch.setattr(csv_tables, "CAREFUL_BYTES", 64)
    rows = [f"{i},é{i}" if i % 7 else f"{i}" for i in range(500)]
    content = ("a,b\r\n" + "\r\n".join(rows)).encode()

    frame = read_text(content)

    marked = frame[frame[FAULT].notna()]
    assert len(marked) == 72
    for byte, raw in zip(marked["_byte"], marked[RAW], strict=True):
        assert content[byte - 2 : byte + len(raw) + 1].startswith(b"\r\n" + raw.encode())


def test_a_row_beyond_the_limit_is_named_and_its_neighbours_load(table):
    rows = table("a,b\n1," + "x" * (csv_rows.FIELD_BYTES + 1) + "\n2,y\n")[1]

    assert rows == ["field_too_large", ["2", "y"]]


@pytest.mark.parametrize("row", ['"sku",name', "sku,name", "\ufeffsku,name"])
def test_a_header_between_rows_refuses_the_file_where_it_stands(read_text, row):
    with pytest.raises(SourceError, match=r"Line 4 of feed\.csv repeats the header"):
        read_text(f"sku,name\nsku,1\n1,name\n{row}\n2,3\n")


@pytest.mark.parametrize("rows_above", [1, 30_000, 60_000])
def test_a_header_is_found_wherever_it_stands(read_text, rows_above):
    row = f"1,{'x' * 100}\n"
    with pytest.raises(SourceError, match=f"Line {rows_above + 2} of feed.csv repeats the header"):
        read_text(f"sku,name\n{row * rows_above}sku,name\n{row * (60_000 - rows_above)}")


@pytest.mark.parametrize(
    "rules,header",
    [
        ({"names": ["a", "b"]}, "sku,name\n"),
        ({"header_rows": 2}, "Item,\nsku,name\n"),
        ({"header_rows": 2, "names": ["a", "b"], "null_values": ["Item"]}, "Item,Text\nsku,name\n"),
    ],
)
@pytest.mark.parametrize("row", ["1,x", '1,"x"y'])
def test_a_header_that_comes_again_is_known_by_what_stands_in_the_file(read_text, rules, header, row):
    with pytest.raises(SourceError, match=r"feed\.csv repeats the header"):
        read_text(f"{header}{row}\n{header}2,3\n", csv=rules)


def test_a_row_without_a_value_is_no_header(table):
    rows = table(",\nsku,name\n1,x\n,\n", header_rows=2)[1]

    assert rows == [["1", "x"], ["", ""]]


def test_a_header_between_rows_can_be_skipped_as_a_comment(table):
    rows = table("sku,name\n1,2\nsku,name\n3,4\n", names=["a", "b"], comment="sku,", header_rows=0)[1]

    assert rows == [["1", "2"], ["3", "4"]]


def test_the_sentence_about_a_header_between_rows_says_how_to_skip_all_of_them(read_text):
    with pytest.raises(SourceError, match=r"`csv: comment`, with `header_rows: 0` and `names`"):
        read_text("sku,name\n1,2\nsku,name\n3,4\n")


@pytest.mark.parametrize(
    "rules,content,line",
    [
        ({"comment": "sku"}, "sku,n\n1,2\n3,4\n", 1),
        ({"comment": "sku", "skip_until": "sku"}, "Prices\n\nsku,n\n\n1,2\n3,4\n", 3),
        ({"comment": "#"}, "# made in May\n#sku,n\n1,2\n3,4\n", 2),
        ({"comment": "#", "trailing_delimiter": True}, "#sku,n,\n1,2,\n3,4,\n", 1),
    ],
)
@pytest.mark.parametrize("block", [1, 4096])
def test_a_row_below_a_header_that_is_skipped_as_a_comment_is_not_taken_for_the_header(
    read_text, monkeypatch, rules, content, line, block
):
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", block)

    with pytest.raises(SourceError, match=rf"Line {line} of feed\.csv is skipped .*`header_rows: 0`"):
        read_text(content, csv={"names": ["a", "b"], **rules})


def test_a_comment_above_a_header_that_names_replace_is_skipped(table):
    assert table("# a, b, and c\nsku,n\n1,2\n", names=["a", "b"], comment="#")[1] == [["1", "2"]]


def test_a_value_like_the_only_name_is_a_value(table):
    assert table("sku\n1\nsku\n")[1] == [["1"], ["sku"]]
