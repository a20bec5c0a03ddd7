"""feeds.yaml: what is read, what is refused and with which words, and what shapes a run."""

from __future__ import annotations

import pytest
from factories import make_feed

from restock.errors import ConfigurationError
from restock.feeds_file import find_feed, read_feeds

FEED = """
feeds:
  shop:
    source: in/products.csv
    app: shop:create_app
    model: shop.models:Product
"""


@pytest.fixture
def read(tmp_path):
    """Read text as a feeds file."""

    def read_text(text: str):
        file = tmp_path / "feeds.yaml"
        file.write_text(text, encoding="utf-8")
        return read_feeds(file)

    return read_text


def test_a_feed_needs_a_source_an_app_and_a_model_and_has_defaults_for_the_rest(read):
    feed = read(FEED)["shop"]

    assert (feed.name, feed.source, feed.kind, feed.mode) == ("shop", ("in/products.csv",), "full", "sync")
    assert (feed.csv.encoding, feed.csv.delimiter, feed.csv.null_values) == ("utf-8", ",", ("",))
    assert (feed.transform, feed.max_rejects, feed.duplicate_rule) == ((), None, "last")


def test_one_word_or_a_list_may_stand_where_several_are_possible(read):
    text = FEED + "    transform: [a:b, c:d]\n    match_on: sku\n    csv: {currency: $, null_values: [NA, '']}\n"

    feed = read(text)["shop"]

    assert (feed.transform, feed.match_on) == (("a:b", "c:d"), ("sku",))
    assert (feed.csv.currency, feed.csv.null_values) == (("$",), ("NA", ""))


@pytest.mark.parametrize(
    "addition, sentence",
    [
        ("    matchon: sku\n", "the key 'matchon' is unknown; did you mean 'match_on'"),
        ("    csv: {delimitr: ;}\n", "the key 'csv.delimitr' is unknown; did you mean 'delimiter'"),
        ("    zzz: 1\n", "the key 'zzz' is unknown; the keys are: source, format"),
        ("    kind: weekly\n", "kind: .*'full' or 'delta'"),
        ("    max_rejects: many\n", "max_rejects: 'many' is not a limit"),
        ("    csv: {timezone: Berlin}\n", "'Berlin' is not a time zone"),
        ("    csv: {datetime_format: '%d.%m.%Y %H:%M %Z'}\n", "csv.datetime_format: %Z reads .*write %z"),
        ("    csv: {date_format: '%d.%m.'}\n", "csv.date_format: it reads no year"),
        ("    csv: {date_format: tt.mm.jjjj}\n", "csv.date_format: it reads no year"),
        ("    csv: {date_format: '%Y-%Q'}\n", "csv.date_format: it is no pattern of Python's strptime"),
        ("    csv: {date_format: '%d.%m.%Y %d'}\n", "csv.date_format: it is no pattern of Python's strptime"),
        ("    csv: {date_format: '%Y-W%W'}\n", "csv.date_format: a week is no day"),
        ("    csv: {false_values: []}\n", "csv: true_values and false_values need a word each; leave out the key that"),
        ("    csv: {true_values: [da], false_values: [DA, weg]}\n", "csv: 'da' stands in true_values and in false_val"),
        (
            "    csv: {true_values: ['N']}\n",
            "csv: 'n' stands in true_values and in false_values; name the words",
        ),
        ("    csv: {currency: ''}\n", "csv.currency: it holds an empty sign"),
        ("    csv: {encoding: utf-9}\n", "'utf-9' is not an encoding"),
        ("    csv: {decimal: ',', thousands: ','}\n", "they must differ"),
        ("    csv: {delimiter: '\"'}\n", "delimiter and quote are both"),
        ('    csv: {delimiter: "\\n"}\n', "csv.delimiter: it holds a line end"),
        ('    csv: {quote: "\\0"}\n', "csv.quote: it holds a line end or NUL"),
        ("    csv: {quote: '--'}\n", "csv.quote: .*at most 1 character"),
        ("    csv: {delimiter: '\\t'}\n", "for a tab write it in double quotes"),
        ("    csv: {delimiter: '\",\"'}\n", "delimiter holds the quote"),
        ("    csv: {escape: '\"'}\n", "a doubled quote is always understood"),
        ("    csv: {escape: '|', delimiter: '||'}\n", "delimiter holds the escape"),
        ("    csv: {comment: ',,'}\n", "comment begins like a field"),
        ("    csv: {header_rows: 0}\n", "header_rows is 0 and there are no names"),
        ("    csv: {names: [a, b, a]}\n", "csv.names: 'a' is given to two columns"),
        ("    csv: {names: [a, ' ']}\n", "csv.names: a column has no name"),
        ("    csv: {skip_lines: 2, skip_until: sku}\n", "skip_lines and skip_until both"),
        ("    csv: {line_end: unix}\n", "csv.line_end: .*'any', 'lf', 'crlf' or 'cr'"),
        ("    columns: {a: x, b: x}\n", "'x' is given to two attributes; .* let a transform fill the other from that"),
        ("    columns: {}\n", "no column is named"),
        ("    on_duplicate: newest\n", "newest needs a version_column"),
        ("    chunk_rows: 0\n", "chunk_rows: .*greater than or equal to 1"),
    ],
)
def test_a_wrong_key_or_value_is_told_with_its_place(read, addition, sentence):
    with pytest.raises(ConfigurationError, match=f"feeds.yaml, feed 'shop': .*{sentence}"):
        read(FEED + addition)


@pytest.mark.parametrize(
    "pattern", ["%d.%m.%y", "%m/%Y", "%G-W%V-%u", "%Y-%m-%dT%H:%M:%S.%f%z", "%d %B %Y %I %p", "%c"]
)
def test_a_pattern_that_tells_the_day_is_taken(read, pattern):
    csv = read(FEED + f"    csv: {{date_format: '{pattern}', datetime_format: '{pattern}'}}\n")["shop"].csv

    assert (csv.date_format, csv.datetime_format) == (pattern, pattern)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("feeds: {shop: {source: x, app: a:b}}", "feed 'shop': the key 'model' is missing; add it"),
        ("feeds: {shop: {source: [], app: a:b, model: a:B}}", "feed 'shop': source: no file is named; give a path"),
        ("feeds: [1, 2", "is not valid YAML .*line 1"),
        ("just text", "holds no feeds; begin it with `feeds:`"),
        ("", "holds no feeds"),
        ("feeds: {shop: {}, shop: {}}", r"line 1, column 19\): the key 'shop' stands there a second time; keep one"),
        (FEED + "    mode: insert_only\n    mode: sync\n", "the key 'mode' stands there a second time; keep one"),
        (FEED + "    columns: {a: {constant: 00123}}", "00123 would be read as another number; write it in quotes"),
        (FEED + "    columns: {a: {constant: 12:30}}", "12:30 would be read as another number; write it in quotes"),
        ("feeds: {yes: {}}", "feeds: a name is text, and YAML reads True there; put it in quotes"),
        ("feeds: {12: {}}", "feeds: a name is text, and YAML reads 12 there; put it in quotes"),
        (FEED + "    csv: {true_values: [yes]}", "csv.true_values.0 is text, and YAML reads True there; put it in"),
        (FEED + "    csv: {null_values: [null]}", "csv.null_values.0 is text, and YAML reads None there; put it in"),
        ("fields: {}", "feeds.yaml: the key '(fields|feeds)' is (unknown|missing)"),
        (FEED.replace("shop:\n", f"{'s' * 201}:\n", 1), "the name of a feed has at most 200 characters; shorten 'ssss"),
    ],
)
def test_a_file_that_is_not_a_feeds_file_is_refused(read, text, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        read(text)


def test_a_number_is_what_it_looks_like_and_a_merged_key_may_be_told_anew(read):
    base = "  base: &base {source: a.csv, app: a:b, model: a:c, mode: sync}\n"
    columns = "{a: a, b: {constant: 0}, c: {constant: -0.50}, d: {constant: 0x1F}, e: {constant: 1_0}}"

    feed = read(f"feeds:\n{base}  shop: {{<<: *base, mode: insert_only, columns: {columns}}}")["shop"]

    assert feed.mode == "insert_only"
    assert [rule.constant for rule in feed.columns.values()] == [None, 0, -0.5, 31, 10]


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"There is no .*feeds\.yaml"):
        read_feeds(tmp_path / "feeds.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"feeds: \xff")
    with pytest.raises(ConfigurationError, match="it is not UTF-8 text"):
        read_feeds(tmp_path / "latin.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_feeds(tmp_path)


def test_a_feed_is_found_by_name_or_its_neighbours_are_named(read, tmp_path):
    feeds = read(FEED)

    assert find_feed(feeds, "shop", tmp_path) is feeds["shop"]
    with pytest.raises(ConfigurationError, match=r"There is no feed 'shp' in .* did you mean 'shop'"):
        find_feed(feeds, "shp", tmp_path)
    with pytest.raises(ConfigurationError, match="it has: shop"):
        find_feed(feeds, "zzz", tmp_path)


@pytest.mark.parametrize(
    "keys, rule",
    [
        ({}, "last"),
        ({"mode": "insert_only"}, "first"),
        ({"version_column": "updated_at"}, "newest"),
        ({"version_column": "updated_at", "on_duplicate": "reject"}, "reject"),
    ],
)
def test_which_row_of_a_key_counts_follows_from_the_feed(keys, rule):
    assert make_feed(**keys).duplicate_rule == rule


def test_columns_are_renamed_to_attributes_or_matched_by_name():
    mapped, by_name = make_feed(columns={"sku": "Item", "name": "Title"}), make_feed()

    assert mapped.renames(["Note", "Title", "Item"], ()) == {"Title": "name", "Item": "sku"}
    assert (mapped.attribute_of("Note"), mapped.source_column_of("sku")) == (None, "Item")
    assert by_name.renames(["b", "a"], {"a"}) == {"b": "b", "a": "a"}
    assert make_feed(unknown_columns="ignore").renames(["b", "a"], {"a"}) == {"a": "a"}
    assert by_name.source_column_of("sku") == "sku"


def test_the_digest_of_the_rules_leaves_out_what_does_not_shape_rows():
    digest = make_feed().rules_digest()

    assert make_feed(chunk_rows=5, max_rejects="1%", max_chunk_rejects=3, source="other.csv").rules_digest() == digest
    assert make_feed(csv={"decimal": ","}).rules_digest() != digest


def test_only_what_makes_rows_of_the_bytes_is_part_of_a_fingerprint():
    assert make_feed(csv={"decimal": ","}).reader_options() == make_feed().reader_options()
    assert make_feed(csv={"delimiter": ";"}).reader_options() != make_feed().reader_options()


def test_a_feed_cannot_be_changed_after_it_was_read():
    with pytest.raises(ValueError, match="frozen"):
        make_feed().name = "other"
