"""What a person may decide for one run, as they wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from flows.runs.choices import Choices, read_choices, read_numbers
from restock.errors import ConfigurationError
from restock.feeds import Feed
from restock.limits import Limit

FEED = Feed(name="tools", source=("a.csv",), app="a:b", model="a:C", max_rejects=5, max_chunk_rejects=1)


def test_a_form_that_was_left_empty_decides_nothing() -> None:
    assert read_choices("", False, "", False) == read_choices(None, False, None, False) == Choices()
    assert Choices().applied_to(FEED) == FEED


def test_a_limit_of_the_run_comes_before_that_of_the_feed_and_force_before_both() -> None:
    limited = read_choices("", False, "2%", False).applied_to(FEED)

    assert (limited.max_rejects, limited.max_chunk_rejects) == (Limit.parse("2%"), FEED.max_chunk_rejects)
    forced = read_choices("", False, "2%", True).applied_to(FEED)
    assert (forced.max_rejects, forced.max_chunk_rejects) == (None, None)


@pytest.mark.parametrize(
    "given, told",
    [
        ((7, False, "", False), "file is 7; give a text, or leave it empty."),
        (("", "yes", "", False), "fresh is 'yes'; give true or false."),
        (("", False, "", 1), "force is 1; give true or false."),
        (("", False, ["1%"], False), "max_rejects is ['1%']; give a text, or leave it empty."),
        (
            ("", False, "200%", False),
            "max_rejects: '200%' is not a limit; write a number of rows (100) or a share (1%).",
        ),
    ],
)
def test_what_is_no_choice_is_a_sentence(given: tuple[Any, ...], told: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        read_choices(*given)

    assert str(wrong.value) == told


@pytest.mark.parametrize(
    "text, numbers", [("", None), ("3", {3}), ("3, 7-9", {3, 7, 8, 9}), (" 1 - 2 ,2", {1, 2}), (None, None)]
)
def test_numbers_are_written_as_people_write_them(text: str | None, numbers: set[int] | None) -> None:
    assert read_numbers("chunks", text) == numbers


@pytest.mark.parametrize("text", ["x", "3;4", "9-7", "1-99999999", "3,", "-1", "1.5", [3]])
def test_what_are_no_numbers_is_a_sentence(text: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^chunks is .*; give "):
        read_numbers("chunks", text)
