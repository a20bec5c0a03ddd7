"""Pages that promise more than the file may unpack to are refused before Arrow makes room for them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.errors import SourceError
from sources.parquet_files.pages import pages_of

TEXT = "x" * 1_200_000
# A field of 32 bits whose number follows the last one's, and the largest number of so many bytes.
FIELD, MOST = 0x15, bytes([0xFE, 0xFF, 0xFF, 0x7F])


def written(path, **options):
    pq.write_table(pa.table({"sku": [TEXT]}), path, compression="snappy", write_statistics=False, **options)
    return path


def patched(path, old, new):
    content = path.read_bytes()
    assert content.count(old, 0, 64) == 1
    path.write_bytes(content.replace(old, new, 1))
    return path


def varint(number):
    number, found = number << 1, b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def sizes_of(path):
    with path.open("rb") as handle:
        return [page.unpacked for page in pages_of(handle, path.name, ["sku"])]


def test_a_page_that_promises_more_than_the_file_may_unpack_to_is_refused(tmp_path, read):
    path = written(tmp_path / "feed.parquet", use_dictionary=False)
    [size] = sizes_of(path)
    patched(path, bytes([FIELD]) + varint(size), bytes([FIELD]) + MOST)

    assert sizes_of(path) == [2**27 - 1]
    with pytest.raises(SourceError, match=r"unpacks to more than 100 MiB.*`max_unpacked`"):
        read(path, max_unpacked="100 MiB")


def test_a_dictionary_that_promises_more_values_than_it_has_bytes_is_refused(tmp_path, read):
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"sku": [f"{n:03}" for n in range(1_000)]}), path)
    assert sizes_of(path)[0] == 7_000
    patched(path, bytes([FIELD]) + varint(1_000), bytes([FIELD, 0xFE, 0x7F]))

    with pytest.raises(SourceError, match="its pages are not as they should be"):
        read(path)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("statistics", [True, False])
def test_the_pages_of_a_sound_file_are_found_however_long_their_headers_are(tmp_path, version, statistics):
    path = tmp_path / "feed.parquet"
    rows = {"sku": [f"{n:05}" * 200 for n in range(500)], "other": [[n] for n in range(500)]}
    options = {"data_page_version": version, "write_statistics": statistics, "row_group_size": 200}
    pq.write_table(pa.table(rows), path, use_dictionary=False, compression="none", data_page_size=10_000, **options)

    assert sum(sizes_of(path)) >= 500 * 1_000
    with path.open("rb") as handle:
        assert list(pages_of(handle, path.name, [])) == []
        assert len(list(pages_of(handle, path.name, ["other"]))) >= 3


@settings(max_examples=300)
@given(at=st.integers(0, 2_000), byte=st.integers(0, 255))
def test_any_byte_of_a_file_may_be_wrong(tmp_path_factory, at, byte):
    path = tmp_path_factory.mktemp("pages") / "feed.parquet"
    pq.write_table(pa.table({"sku": [f"{n:05}" for n in range(100)], "n": range(100)}), path)
    content = bytearray(path.read_bytes())
    content[at % (len(content) - 8)] = byte  # the footer's own place is looked at before
    path.write_bytes(content)

    try:
        sizes = sizes_of(path)
    except SourceError:
        return
    assert all(size >= 0 for size in sizes)
