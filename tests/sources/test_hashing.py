"""A file is hashed as it is read, whatever is read of it."""

import hashlib
import io

from hypothesis import given
from hypothesis import strategies as st

from sources.places.hashing import HashedFile

STEPS = st.lists(st.tuples(st.sampled_from(["read", "seek"]), st.integers(0, 40)), max_size=10)


@given(content=st.binary(max_size=60), steps=STEPS)
def test_the_digest_is_that_of_the_file_whatever_was_read_of_it(content, steps):
    plain, seen, expected = io.BytesIO(content), [], []
    with HashedFile(io.BytesIO(content)) as file:
        for step, number in steps:
            seen.append(getattr(file, step)(number))
            expected.append(getattr(plain, step)(number))
        digest = file.digest()

    assert seen == expected
    assert digest == hashlib.sha256(content).hexdigest()


def test_what_was_read_is_what_is_hashed(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_bytes(b"before")
    with path.open("rb", buffering=0) as handle, HashedFile(handle) as file:
        file.read(6)
        path.write_bytes(b"behind")

        assert file.digest() == hashlib.sha256(b"before").hexdigest()


def test_closing_closes_the_file(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_bytes(b"1")
    file = HashedFile(path.open("rb"))

    file.close()

    assert file.closed
