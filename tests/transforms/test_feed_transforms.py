"""Transforms that misbehave, and the digest that tells whether their code is still the same."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
from factories import make_feed

import restock
from restock.contract import Contract, FieldSpec, Kind
from restock.errors import ChunkFailed, ConfigurationError
from transforms.feed_transforms import check_transforms, code_digest, run_transforms

PRODUCT = Contract(
    {
        "sku": FieldSpec("sku", Kind.TEXT),
        "name": FieldSpec("name", Kind.TEXT),
        "stock": FieldSpec("stock", Kind.INTEGER),
    },
    key=("sku",),
)


@pytest.fixture
def write_rules(tmp_path, monkeypatch):
    """Write a module of transforms and give its name; it is gone after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def write(body: str, name: str = "") -> str:
        name = name or f"rules_{tmp_path.name.replace('-', '_')}_{len(names)}"
        names.append(name)
        (tmp_path / f"{name}.py").write_text(body, encoding="utf-8")
        return name

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def complaint(refer):
    """Run a function as the transform of a feed on three rows, and give the sentence with which the chunk failed."""

    def run(function) -> str:
        reference = refer(function)
        frame = pd.DataFrame({"sku": ["A", "B", None], "name": ["x", "y", "z"]}, index=[4, 5, 6], dtype="str")
        with pytest.raises(ChunkFailed) as caught:
            run_transforms(frame, make_feed(transform=reference), PRODUCT, "chunk 1 of run r")
        message = str(caught.value)
        assert message.startswith(f"The transform {reference} ")
        assert "chunk 1 of run r" in message
        return message

    return run


@pytest.mark.parametrize(
    "function, sentence",
    [
        (lambda frame: None, "gave back NoneType and not a frame"),
        (lambda frame: frame["name"], "gave back Series and not a frame"),
        (lambda frame: frame.reset_index(drop=True), "gave back rows under new index labels"),
        (lambda frame: frame.set_index("name", append=True, drop=False), "gave back rows under new index labels"),
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), "gave back a row twice"),
        (lambda frame: frame.assign(sku=frame["sku"].str.lower()), "changed the key column sku"),
        (lambda frame: frame.assign(sku=frame["sku"].fillna("C")), "changed the key column sku"),
        (lambda frame: frame.assign(sku=["B", "A", None]), "changed the key column sku"),
        (lambda frame: frame.iloc[1:].assign(sku=["A", None]), "changed the key column sku"),
        (lambda frame: frame.isetitem(0, ["C", "D", "E"]) or frame, "changed the key column sku"),
        (lambda frame: frame.drop(columns=["sku"]), "left out the key column sku"),
        (lambda frame: frame.assign(colour="red"), "added colour, which the model does not have"),
        (lambda frame: frame[["sku", "name", "name"]], "gave back two columns of one name"),
        (
            lambda frame: restock.reject(frame.reset_index(drop=True), [True] * 3, "no"),
            "rejected rows under new index labels",
        ),
        (
            lambda frame: restock.reject(frame, pd.Series([True, False, False]), "no"),
            "does not have the labels of the frame; give it as an array or a list",
        ),
        (lambda frame: restock.reject(frame, [True] * 3, 17), "The code of restock.reject is no text"),
    ],
)
def test_a_transform_that_breaks_a_rule_fails_the_chunk_with_a_sentence(complaint, function, sentence):
    assert sentence in complaint(function)


def test_a_transform_that_raises_is_told_by_type_and_place_and_never_by_its_values(complaint):
    def explode(frame):
        raise ValueError(f"secret {frame['name'].iloc[0]}")

    message = complaint(explode)

    line = explode.__code__.co_firstlineno + 1
    assert f"failed on chunk 1 of run r: ValueError in test_feed_transforms.py, line {line};" in message
    assert "secret" not in message
    assert "/" not in message


def test_the_place_is_in_the_transform_even_if_pandas_raised(complaint):
    def ask_for_more(frame):
        return frame["absent"]

    message = complaint(ask_for_more)

    assert f"KeyError in test_feed_transforms.py, line {ask_for_more.__code__.co_firstlineno + 1};" in message


def test_a_key_of_another_type_but_the_same_values_is_unchanged(write_rules):
    name = write_rules("def f(frame):\n    return frame.assign(sku=frame['sku'].astype(object)).iloc[::-1]\n")
    frame = pd.DataFrame({"sku": ["A", None], "name": ["x", "y"]}, index=[4, 5], dtype="str")

    result, rejected = run_transforms(frame, make_feed(transform=f"{name}:f"), PRODUCT, "chunk 1")

    assert (result.index.tolist(), rejected) == ([5, 4], [])


def test_references_are_checked_before_any_row_is_read(write_rules):
    name = write_rules("RATE = 2\ndef two(frame, other): ...\ndef one(frame, other=1): return frame\n")

    check_transforms(make_feed())
    check_transforms(make_feed(transform=[f"{name}:one", "transforms.products:clean"]))
    for wrong in ("RATE", "two"):
        with pytest.raises(ConfigurationError, match=f"{name}:{wrong} of feed 'products' is not a function of one"):
            check_transforms(make_feed(transform=f"{name}:{wrong}"))
    with pytest.raises(ConfigurationError, match="has no 'three'"):
        check_transforms(make_feed(transform=f"{name}:three"))


def test_the_digest_changes_with_the_rules_and_with_the_code(write_rules, tmp_path):
    name = write_rules("def f(frame):\n    return frame\n")
    feed = make_feed(transform=f"{name}:f")
    before = code_digest(feed)

    assert code_digest(feed) == before
    assert code_digest(make_feed(transform=f"{name}:f", chunk_rows=7)) == before
    assert code_digest(make_feed(transform=f"{name}:f", mode="insert_only")) != before
    write_rules("def f(frame):\n    return frame.iloc[1:]\n", name)
    assert code_digest(feed) != before


def test_the_digest_covers_the_module_in_which_a_transform_is_defined(write_rules):
    inner = write_rules("def f(frame):\n    return frame\n")
    outer = write_rules(f"from {inner} import f\n")
    feed = make_feed(transform=f"{outer}:f")
    before = code_digest(feed)

    write_rules("def f(frame):\n    return frame.iloc[1:]\n", inner)

    assert code_digest(feed) != before
