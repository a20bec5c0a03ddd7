import bz2
import gzip
import io
import tracemalloc
import zipfile

import pyarrow as pa
import pytest

from restock.errors import ConfigurationError, SourceError

ROWS = 3_000
TEXT = ("sku,name\n" + "".join(f"{n},product {n * 7919 % 1000}\n" for n in range(ROWS))).encode()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return archive.getvalue()


def zstandard(content):
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


PACKED = {
    "gz": gzip.compress(TEXT, mtime=0),
    "bz2": bz2.compress(TEXT),
    "zst": zstandard(TEXT),
    "zip": zipped(("feed.csv", TEXT)),
}


@pytest.fixture
def read_packed(tmp_path, read):
    def read_back(name, content, **keys):
        (tmp_path / name).write_bytes(content)
        return read(tmp_path / name, **keys)

    return read_back


@pytest.mark.parametrize("ending", PACKED)
def test_a_packed_file_is_read_as_the_file_in_it(read_packed, ending):
    frame = read_packed(f"feed.csv.{ending}", PACKED[ending])

    assert frame["sku"].tolist() == [str(n) for n in range(ROWS)]
    assert frame["name"].iloc[-1] == f"product {(ROWS - 1) * 7919 % 1000}"


@pytest.mark.parametrize(
    "ending,content",
    [
        ("gz", gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:])),
        ("bz2", bz2.compress(TEXT[:5000]) + bz2.compress(TEXT[5000:])),
        ("zst", zstandard(TEXT[:5000]) + zstandard(TEXT[5000:])),
        ("zip", zipped(("folder/", b""), ("folder/Feed.CSV", TEXT))),
        ("zip", zipped(("feed.txt", TEXT), method=zipfile.ZIP_BZIP2)),
        ("zip", zipped(("feed.txt", TEXT), method=zipfile.ZIP_LZMA)),
        ("zip", zipped(("../../outside.csv", TEXT))),
    ],
)
def test_what_the_usual_tools_write_is_read_whole(tmp_path, read_packed, ending, content):
    assert len(read_packed(f"feed.csv.{ending}", content)) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [f"feed.csv.{ending}"]  # nothing is unpacked beside it


@pytest.mark.parametrize("ending", PACKED)
def test_a_packed_file_cut_anywhere_is_refused(read_packed, ending):
    whole = PACKED[ending]

    for length in range(1, len(whole) - 1, len(whole) // 23):
        with pytest.raises(SourceError, match=r"is cut short|is not sound"):
            read_packed(f"feed.csv.{ending}", whole[:length])


@pytest.mark.parametrize("ending", ["gz", "bz2", "zst"])
def test_a_second_stream_that_is_damaged_is_refused(read_packed, ending):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard}[ending]
    first, second = pack(TEXT[:5000]), pack(TEXT[5000:])

    for behind in (bytes([second[0] ^ 1]) + second[1:], b"\x01junk", second[:2]):
        with pytest.raises(SourceError, match=r"is cut short|is not sound"):
            read_packed(f"feed.csv.{ending}", first + behind)


@pytest.mark.parametrize(
    "ending", sorted(PACKED.keys() - {"zst"})
)  # Arrow writes no checksum into zstd, other tools do
def test_a_packed_file_with_a_changed_byte_is_refused_or_read_right(read_packed, ending):
    whole, sound = PACKED[ending], read_packed("feed.csv", TEXT)

    for place in range(0, len(whole), len(whole) // 37):
        changed = whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]
        try:
            frame = read_packed(f"feed.csv.{ending}", changed)
        except SourceError:
            continue
        assert frame.equals(sound)


@pytest.mark.parametrize("ending", PACKED)
def test_a_small_file_that_unpacks_to_a_gigabyte_meets_the_limit_in_bounded_memory(read_packed, ending):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard, "zip": lambda text: zipped(("a.csv", text))}
    line = b"x" * 999 + b"\n"
    content = pack[ending](b"sku\n" + line * 20_000)
    assert len(content) < 200_000
    tracemalloc.start()

    with pytest.raises(
        SourceError, match="unpacks to more than 15 MiB; if that is right, raise the limit `max_unpacked`"
    ):
        read_packed(f"feed.csv.{ending}", content, max_unpacked="16 MB")

    assert tracemalloc.get_traced_memory()[1] < 120 * 2**20
    tracemalloc.stop()


def test_the_limit_is_for_what_is_unpacked(read_packed):
    assert len(read_packed("feed.csv", TEXT, max_unpacked=1)) == ROWS


@pytest.mark.parametrize(
    "content,sentence",
    [
        (zipped(("a.csv", TEXT), ("b.csv", TEXT)), "holds 2 files"),
        (zipped(), "holds 0 files"),
        (zipped(("folder/", b"")), "holds 0 files"),
        (zipped(("feed.parquet", TEXT)), "whose ending is not that of CSV"),
        (zipped(("feed.csv.gz", PACKED["gz"])), "whose ending is not that of CSV"),
        (zipped(("feed.csv", PACKED["zip"])), "holds another packed"),
        (b"no archive", "is not sound zip data"),
    ],
)
def test_an_archive_that_is_not_one_csv_file_is_refused(read_packed, content, sentence):
    with pytest.raises(SourceError, match=sentence):
        read_packed("feed.zip", content)


def test_an_encrypted_archive_is_refused(read_packed):
    content = bytearray(zipped(("feed.csv", TEXT)))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1

    with pytest.raises(SourceError, match=r"feed.zip is encrypted; have it exported without a password"):
        read_packed("feed.zip", bytes(content))


@pytest.mark.parametrize("outer", PACKED)
@pytest.mark.parametrize("inner", PACKED)
def test_a_file_that_is_packed_twice_is_refused(read_packed, outer, inner):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard, "zip": lambda text: zipped(("a.csv", text))}

    with pytest.raises(SourceError, match="holds another packed or binary file"):
        read_packed(f"feed.csv.{outer}", pack[outer](PACKED[inner]))


@pytest.mark.parametrize("ending", PACKED)
def test_a_packed_file_under_a_plain_name_is_told_its_ending(read_packed, ending):
    with pytest.raises(SourceError, match=rf"feed.csv is .* the ending \.{ending}"):
        read_packed("feed.csv", PACKED[ending])


def test_only_csv_is_unpacked(read_packed):
    with pytest.raises(ConfigurationError, match="cannot be told by its ending"):
        read_packed("feed.parquet.zst", b"x")
