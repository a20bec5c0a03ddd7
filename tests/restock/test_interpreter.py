import gc

from restock.interpreter import settle_interpreter


def test_the_collector_leaves_alone_what_was_there_when_the_first_run_began_and_nothing_later() -> None:
    settle_interpreter()
    frozen = gc.get_freeze_count()
    later = [[number] for number in range(1000)]

    settle_interpreter()

    assert frozen > 10_000
    assert gc.get_freeze_count() <= frozen, f"{len(later)} objects that came later are frozen too"
