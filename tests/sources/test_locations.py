import os

import pytest

from restock.errors import ConfigurationError, SourceChanged, SourceError
from sources.places.locations import find_source, fingerprint, open_pinned


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.csv").write_text("a\n1\n")
    return tmp_path / "home"


def test_a_pattern_finds_its_files_in_sorted_order(folder, make_feed, settings_in):
    for name in ("b.csv", "a.csv", "c.txt"):
        (folder / "data" / name).write_text("a\n1\n")

    files = find_source(make_feed(source="data/*.csv"), settings_in(folder))

    assert [file.name for file in files] == ["data/a.csv", "data/b.csv"]


@pytest.mark.parametrize("name", ["shop[1]", "shop*", "shop?", "[a-z]hop"])
def test_the_folder_of_the_feeds_may_be_called_like_a_pattern(folder, make_feed, settings_in, name):
    for path in (folder / name / "data" / "a.csv", folder / "shop1" / "data" / "b.csv"):
        path.parent.mkdir(parents=True)
        path.write_text("a\n1\n")
    inside, outside = make_feed(source=["data/*.csv", "**/*.csv"]), make_feed(source="../shop1/data/*.csv")

    assert [file.name for file in find_source(inside, settings_in(folder / name))] == ["data/a.csv"]
    with pytest.raises(ConfigurationError, match="leads out"):
        find_source(outside, settings_in(folder / name))


def test_a_folder_stands_for_the_files_in_it(folder, make_feed, settings_in):
    for name in ("b.csv", "a.csv.gz", ".hidden.csv"):
        (folder / "data" / name).write_text("a\n1\n")
    (folder / "data" / "deeper").mkdir()
    (folder / "data" / "deeper" / "c.csv").write_text("a\n1\n")

    files = find_source(make_feed(source="data/"), settings_in(folder))

    assert [file.name for file in files] == ["data/a.csv.gz", "data/b.csv"]


@pytest.mark.skipif(os.name != "posix", reason="Only there a name is bytes.")
def test_a_file_whose_name_is_no_utf_8_is_read_under_a_name_that_every_database_takes(folder, make_feed, settings_in):
    """As archives of suppliers hold them that were packed elsewhere."""
    (folder / "data" / os.fsdecode(b"\xdcbersicht.csv")).write_text("a\n1\n")

    [file] = find_source(make_feed(source="data/"), settings_in(folder))

    assert file.name == r"data/\xdcbersicht.csv"
    with open_pinned(file) as handle:
        assert handle.read() == b"a\n1\n"


def test_a_folder_with_a_file_of_another_kind_is_refused_by_its_name(folder, make_feed, settings_in):
    (folder / "data" / "a.csv").write_text("a\n1\n")
    (folder / "data" / "notes.md").write_text("read me")

    with pytest.raises(ConfigurationError, match=r"The format of data/notes.md cannot be told"):
        find_source(make_feed(source="data"), settings_in(folder))


def test_a_link_in_a_folder_that_leads_out_is_refused(folder, make_feed, settings_in):
    (folder / "data" / "link.csv").symlink_to("../../elsewhere/secret.csv")

    with pytest.raises(ConfigurationError, match="leads out"):
        find_source(make_feed(source="data"), settings_in(folder))


def test_a_run_parameter_names_a_file_and_never_a_folder(folder, make_feed, settings_in):
    with pytest.raises(SourceError, match="data is a folder; name a file in it"):
        find_source(make_feed(), settings_in(folder), "data")


def test_a_file_that_two_patterns_match_is_read_once(folder, make_feed, settings_in):
    (folder / "data" / "a.csv").write_text("a\n1\n")

    files = find_source(make_feed(source=["data/*.csv", "data/a.csv"]), settings_in(folder))

    assert len(files) == 1


@pytest.mark.parametrize(
    "name,expected",
    [
        ("a.csv", "csv"),
        ("a.TSV", "csv"),
        ("a.txt.gz", "csv"),
        ("a.csv.BZ2", "csv"),
        ("a.tsv.zst", "csv"),
        ("a.csv.zip", "csv"),
        ("a.zip", "csv"),
        ("a.parq", "parquet"),
        ("a.b.parquet", "parquet"),
    ],
)
def test_the_format_is_told_by_the_ending(folder, make_feed, settings_in, name, expected):
    (folder / name).write_bytes(b"x")

    assert find_source(make_feed(source=name), settings_in(folder))[0].format == expected


@pytest.mark.parametrize("name", ["a.pickle", "a", "a.gz", "a.parquet.gz", "a.feather", "a.orc", "a.xlsx"])
def test_an_unknown_ending_asks_for_the_format_key(folder, make_feed, settings_in, name):
    (folder / name).write_bytes(b"x")

    with pytest.raises(ConfigurationError, match="format: csv"):
        find_source(make_feed(source=name), settings_in(folder))
    assert find_source(make_feed(source=name, format="csv"), settings_in(folder))[0].format == "csv"


def test_a_link_that_stays_inside_is_followed(folder, make_feed, settings_in):
    (folder / "data" / "real.csv").write_text("a\n1\n")
    (folder / "link.csv").symlink_to("data/real.csv")

    assert find_source(make_feed(), settings_in(folder), "link.csv")[0].name == "data/real.csv"


def test_a_file_parameter_may_be_relative_to_an_allowed_folder(folder, make_feed, settings_in):
    settings = settings_in(folder, folder.parent / "elsewhere")

    assert find_source(make_feed(), settings, "secret.csv")[0].name == "secret.csv"


def test_the_folder_of_the_feeds_is_not_allowed_where_others_are_named(folder, make_feed, settings_in):
    (folder / "feed.csv").write_text("a\n1\n")

    with pytest.raises(ConfigurationError, match="RESTOCK_SOURCE_ROOTS"):
        find_source(make_feed(source="feed.csv"), settings_in(folder, folder.parent / "elsewhere"))


def test_a_file_parameter_is_never_a_pattern(folder, make_feed, settings_in):
    (folder / "data" / "a.csv").write_text("a\n1\n")

    with pytest.raises(SourceError, match="no file"):
        find_source(make_feed(), settings_in(folder), "data/*.csv")


@pytest.mark.parametrize(
    "source,sentence",
    [
        ("missing.csv", "There is no file missing.csv"),
        ("data/a.csv/b.csv", "There is no file"),
        ("hollow", "The folder 'hollow' holds no file"),
        ("empty.csv", r"empty.csv is empty \(0 bytes\)"),
        ("data/*.parquet", "No file matches"),
        ("pipe.csv", "not a regular file"),
    ],
)
def test_a_source_that_is_no_file_gets_a_sentence(folder, make_feed, settings_in, content_of, source, sentence):
    (folder / "empty.csv").touch()
    (folder / "data" / "a.csv").write_text("a\n1\n")
    os.mkfifo(folder / "pipe.csv")
    (folder / "hollow" / "deeper").mkdir(parents=True)

    with pytest.raises(SourceError, match=sentence) as caught:
        content_of(*find_source(make_feed(source=source), settings_in(folder)))
    assert str(folder) not in str(caught.value)


def test_the_fingerprint_is_of_content_and_reading_not_of_names(folder, make_feed, settings_in):
    for name, content in {"a.csv": "a\n1\n", "b.csv": "a\n1\n", "c.csv": "a\n2\n"}.items():
        (folder / name).write_text(content)
    feed, settings = make_feed(), settings_in(folder)
    prints = [fingerprint(find_source(feed, settings, name), feed) for name in ("a.csv", "b.csv", "c.csv")]

    other_reading = make_feed(csv={"delimiter": ";"})

    assert prints[0] == prints[1] != prints[2]
    assert fingerprint(find_source(feed, settings, "a.csv"), other_reading) != prints[0]


@pytest.mark.parametrize("change", ["append", "truncate", "edit", "replace", "link"])
def test_a_file_that_changed_since_it_was_found_is_refused(folder, make_feed, settings_in, change):
    path = folder / "feed.csv"
    path.write_text("a\n1\n")
    before = path.stat()
    file = find_source(make_feed(), settings_in(folder))[0]

    if change == "append":
        path.write_text("a\n1\n2\n")
    elif change == "truncate":
        path.write_text("a\n")
    elif change == "edit":
        path.write_text("a\n2\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "replace":
        path.unlink()
        path.write_text("a\n3\n")
    else:
        path.unlink()
        path.symlink_to(folder.parent / "elsewhere" / "secret.csv")

    with pytest.raises(SourceError if change == "link" else SourceChanged), open_pinned(file) as handle:
        handle.read()


def test_a_change_is_named_before_any_fault_it_caused(folder, make_feed, settings_in):
    path = folder / "feed.csv"
    path.write_text("a\n1\n")
    file = find_source(make_feed(), settings_in(folder))[0]
    path.write_text("b\n1\n2\n")

    with pytest.raises(SourceChanged, match="it had 4 bytes and has 6"), open_pinned(file):
        raise SourceError("something else")


def test_a_file_that_is_gone_gets_a_sentence(folder, make_feed, settings_in):
    (folder / "feed.csv").write_text("a\n1\n")
    file = find_source(make_feed(), settings_in(folder))[0]
    (folder / "feed.csv").unlink()

    with pytest.raises(SourceError, match="can no longer be read"), open_pinned(file):
        pass
