import threading
from contextvars import ContextVar

import pytest

from restock.ahead import THREADS, in_order

ASKED_BY: ContextVar[str] = ContextVar("ASKED_BY")


def test_what_is_made_comes_in_the_order_of_the_things_whoever_is_first():
    second_is_made = threading.Event()

    def work(number):
        if number == 1:
            assert second_is_made.wait(10)
        second_is_made.set()
        return number * 10

    assert list(in_order(work, range(1, 8))) == [10, 20, 30, 40, 50, 60, 70]
    assert list(in_order(work, [])) == []


@pytest.mark.parametrize("ready", [THREADS, THREADS + 1])
def test_no_more_are_made_than_are_to_be_ready(ready):
    taken = []
    things = (taken.append(number) or number for number in range(100))

    made = in_order(str, things, ready)
    assert next(made) == "0"
    assert len(taken) == ready
    assert next(made) == "1"
    assert len(taken) == ready + 1
    made.close()


@pytest.mark.parametrize("where", ["work", "things"])
def test_an_error_comes_behind_what_was_there_before_it(where):
    def fail_on(number, place):
        if number == 3 and place == where:
            raise ValueError("three")
        return number

    made, found = in_order(lambda number: fail_on(number, "work"), (fail_on(n, "things") for n in range(9))), []
    with pytest.raises(ValueError, match="three"):
        found.extend(made)
    assert found == [0, 1, 2]


def test_who_closes_it_waits_for_what_was_begun_and_nothing_else_is():
    ended = []
    begun, may_end = threading.Semaphore(0), threading.Event()

    def work(number):
        if number:
            begun.release()
            assert may_end.wait(10)
            ended.append(number)
        return number

    made = in_order(work, range(100), THREADS + 1)
    assert next(made) == 0
    for _ in range(THREADS):
        assert begun.acquire(timeout=10)
    threading.Timer(0.05, may_end.set).start()
    made.close()

    assert sorted(ended) == list(range(1, THREADS + 1))


def test_the_work_knows_who_asked_for_it():
    ASKED_BY.set("me")

    assert list(in_order(lambda _: ASKED_BY.get(), range(3))) == ["me"] * 3
