"""A file is hashed as it is read, whatever is read of it."""

import hashlib
import io

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from sources.places.hashing import CheckedFile, hash_file

STEPS = st.lists(st.tuples(st.sampled_from(["read", "seek"]), st.integers(0, 40)), max_size=10)


@given(content=st.binary(max_size=60), steps=STEPS)
def test_the_checksum_is_that_of_the_file_whatever_was_read_of_it(content, steps):
    plain, seen, expected = io.BytesIO(content), [], []
    with CheckedFile(io.BytesIO(content)) as file:
        for step, number in steps:
            seen.append(getattr(file, step)(number))
            expected.append(getattr(plain, step)(number))
        checksum = file.checksum()

    assert seen == expected
    assert hash_file(io.BytesIO(content)) == (len(content), hashlib.sha256(content).hexdigest(), checksum)


def test_what_was_read_is_what_is_hashed(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_bytes(b"before")
    with path.open("rb", buffering=0) as handle, CheckedFile(handle) as file:
        file.read(6)
        path.write_bytes(b"behind")

        assert file.checksum() == xxhash.xxh3_128_hexdigest(b"before")


def test_closing_closes_the_file(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_bytes(b"1")
    with CheckedFile(path.open("rb")) as file:
        pass

    assert file.closed
