"""One suite for every store of objects: S3, Google and Azure, each a real server on this machine."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fix_clouds import azure_login

from restock.contract import Contract
from restock.errors import SourceChanged, SourceError
from restock.settings import read_settings
from sources.extract import open_source
from sources.places import stores
from sources.places.locations import find_source, fingerprint, open_pinned

TEXT = b"sku,name\n" + b"".join(b"%d,product\n" % n for n in range(5_000))
OTHER = TEXT.replace(b"product", b"subject")


@pytest.fixture
def find(cloud, make_feed, tmp_path):
    """The files that a source below the folder `feeds` stands for."""

    def find_in(source):
        root = f"{cloud.scheme}://shop/feeds/"
        settings = read_settings({"RESTOCK_FEEDS": str(tmp_path / "f.yaml"), "RESTOCK_SOURCE_ROOTS": root})
        return find_source(make_feed(source=root + source), settings)

    return find_in


def test_a_file_is_known_by_its_version_and_brought_when_it_is_opened(cloud, find, make_feed, content_of):
    cloud.put("feeds/a.csv", TEXT)

    [file], again = find("a.csv"), find("a.csv")
    cloud.put("feeds/a.csv", OTHER)
    other = find("a.csv")

    assert (file.name, file.format, file.size) == (f"{cloud.scheme}://shop/feeds/a.csv", "csv", len(TEXT))
    assert file.origin._copy is None
    assert fingerprint([file], make_feed()) == fingerprint(again, make_feed()) != fingerprint(other, make_feed())
    assert content_of(other[0]) == OTHER


@pytest.mark.parametrize("source", ["", "[ab]*.csv", "**"])
def test_a_folder_and_a_pattern_stand_for_their_files_in_sorted_order(cloud, find, source):
    for key in ("feeds/b.csv", "feeds/a.csv", "feeds/.hidden.csv", "feeds-evil/c.csv", "feeds/deeper/d.csv", "c.csv"):
        cloud.put(key, TEXT)
    expected = ["a.csv", "b.csv", *(["deeper/d.csv"] if source == "**" else [])]

    assert [file.name for file in find(source)] == [f"{cloud.scheme}://shop/feeds/{name}" for name in expected]


def test_parquet_is_read(cloud, find, make_feed, tmp_path):
    pq.write_table(pa.table({"sku": [f"{n:05}" for n in range(1_000)]}), tmp_path / "a.parquet")
    cloud.put("feeds/a.parquet", (tmp_path / "a.parquet").read_bytes())

    [file] = find("a.parquet")
    table = pa.concat_tables(open_source(file, make_feed(), Contract({}, ())).tables())

    assert table["sku"].to_pylist() == [f"{n:05}" for n in range(1_000)]


def test_a_file_of_many_parts_arrives_whole(cloud, find, monkeypatch, content_of):
    monkeypatch.setattr(stores, "PART_BYTES", 1_000)
    cloud.put("feeds/a.csv", TEXT)

    assert content_of(*find("a.csv")) == TEXT


def test_a_file_that_changed_since_it_was_found_is_refused(cloud, find):
    cloud.put("feeds/a.csv", TEXT)
    [file] = find("a.csv")
    cloud.put("feeds/a.csv", OTHER)

    with pytest.raises(SourceChanged, match=rf"{cloud.scheme}://shop/feeds/a\.csv changed"), open_pinned(file):
        pass


def test_a_file_that_changes_between_two_parts_is_refused(cloud, find, monkeypatch):
    monkeypatch.setattr(stores, "PART_BYTES", 10_000)
    cloud.put("feeds/a.csv", TEXT)
    [file] = find("a.csv")
    brought = file.origin._brought

    def changing(incoming):
        def each():
            for part in incoming:
                cloud.put("feeds/a.csv", OTHER)
                yield part

        return brought(each())

    monkeypatch.setattr(file.origin, "_brought", changing)

    with pytest.raises(SourceChanged, match="changed while it was read"), open_pinned(file):
        pass


@pytest.mark.parametrize(
    "source,sentence",
    [
        ("none.csv", "There is no file .*://shop/feeds/none.csv"),
        ("*.txt", "No file matches the source '.*://shop/feeds/"),
        ("none/", "No file matches the source|There is no file"),
        ("deeper.csv", "is a folder|There is no file"),
        ("empty.csv", r"empty.csv is empty \(0 bytes\)"),
    ],
)
def test_a_file_that_is_not_there_gets_a_sentence(cloud, find, content_of, source, sentence):
    cloud.put("feeds/deeper.csv/a.csv", TEXT)
    cloud.put("feeds/empty.csv", b"")

    with pytest.raises(SourceError, match=sentence):
        content_of(*find(source))


def test_a_file_that_would_be_unpacked_on_the_way_is_refused(cloud, find, content_of):
    cloud.put("feeds/a.csv.gz", gzip.compress(TEXT), encoding="gzip")
    if cloud.scheme == "s3":  # its library gives what is stored
        assert gzip.decompress(content_of(*find("a.csv.gz"))) == TEXT
        return

    with pytest.raises(SourceError, match=r"a\.csv\.gz is stored with the content encoding gzip"):
        find("a.csv.gz")


@pytest.mark.parametrize("cloud", ["az"], indirect=True)
def test_a_store_that_knows_other_credentials_gets_a_sentence_without_them(cloud, find, monkeypatch):
    cloud.put("feeds/a.csv", TEXT)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_login(cloud.server, key="c2VjcmV0"))

    with pytest.raises(SourceError, match=r"a\.csv (may not|cannot) be read.*credentials") as caught:
        find("a.csv")
    assert "c2VjcmV0" not in str(caught.value)
