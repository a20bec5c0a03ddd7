"""What a correction writes into the ledger beside its rows, whatever number of rows it mends."""

from __future__ import annotations

import pytest
from contracts.loads import open_table
from fix_shop import MakeShop

from restock.chunks import WriteCounts
from restock.errors import ChunkFailed, LeaseLost
from sinks.ledger.corrections import CorrectionBook
from sinks.ledger.results import Result

MORE_THAN_A_STATEMENT_TAKES = 70_000  # PostgreSQL ends at 65,535 parameters


def test_a_correction_may_mend_more_rows_than_a_statement_has_parameters(
    make_shop: MakeShop, postgresql_url: str
) -> None:
    products = open_table(make_shop(postgresql_url))
    rows = list(range(1, MORE_THAN_A_STATEMENT_TAKES + 1))
    with products.admitted([len(rows)]) as [ref], products.sink.database.engine.connect() as connection:
        products.shop.execute("UPDATE restock_chunk SET status = 'loaded', rejected = row_count")
        products.shop.execute(
            "INSERT INTO restock_reject (run_id, chunk, position, code, original, resolved_at) "
            "SELECT :run, 1, n, 'null', '{}', CASE WHEN n > :count THEN 1 END FROM generate_series(1, :count + 1) AS n",
            run=ref.run_id,
            count=len(rows),
        )  # the last one by an earlier correction
        book = CorrectionBook(products.sink.ledger, rows)

        book.fence(connection, ref)
        assert book.counts_if_loaded(ref) is None
        book.loaded(connection, ref, Result(WriteCounts(inserted=len(rows))))
        connection.commit()

        assert products.entry(ref).counts == WriteCounts(inserted=len(rows))
        assert book.counts_if_loaded(ref) == WriteCounts(inserted=len(rows))
        assert products.shop.execute("SELECT 1 FROM restock_reject WHERE resolved_at IS NULL") == []
        with pytest.raises(ChunkFailed, match="were resolved meanwhile"):
            book.fence(connection, ref)
        connection.rollback()
        products.shop.execute("UPDATE restock_reject SET resolved_at = NULL WHERE position > 1")
        assert book.counts_if_loaded(ref) == WriteCounts(inserted=len(rows))  # as if the others were rejected again
        with pytest.raises(ChunkFailed, match="were resolved meanwhile"):
            book.fence(connection, ref)  # one is enough: it would be counted twice
        connection.rollback()
        products.take_over()
        assert book.counts_if_loaded(ref) is None  # they may be resolved by whoever took the lease
        with pytest.raises(LeaseLost):
            book.fence(connection, ref)


@pytest.mark.parametrize("inserted, mended", [(1, 1), (1, 3), (2, 2), (2, 1)])
def test_a_correction_whose_counts_do_not_add_up_is_refused(
    make_shop: MakeShop, sqlite_url: str, inserted: int, mended: int
) -> None:
    """Of three rows two were rejected, so one was inserted, and two are mended."""
    products = open_table(make_shop(sqlite_url))
    with products.admitted([3]) as [ref], products.sink.database.engine.connect() as connection:
        counted = f"status = 'loaded', inserted = {inserted}, rejected = 2"
        products.shop.execute(f"UPDATE restock_chunk SET {counted}")
        book = CorrectionBook(products.sink.ledger, [2, 3])

        with pytest.raises(ChunkFailed, match="do not add up"):
            book.loaded(connection, ref, Result(WriteCounts(inserted=mended)))


def test_what_a_correction_came_to_is_what_its_last_attempt_did(make_shop: MakeShop, sqlite_url: str) -> None:
    """The COMMIT of the first one was lost, and the answer to that of the second one: no row is counted twice."""
    products = open_table(make_shop(sqlite_url))
    with products.admitted([1]) as [ref], products.sink.database.engine.connect() as connection:
        products.shop.execute("UPDATE restock_chunk SET status = 'loaded', rejected = 1")
        products.shop.execute(
            "INSERT INTO restock_reject (run_id, chunk, position, code, original) VALUES (:run, 1, 1, 'null', '{}')",
            run=ref.run_id,
        )
        book = CorrectionBook(products.sink.ledger, [1])

        book.loaded(connection, ref, Result(WriteCounts(inserted=1)))
        connection.rollback()
        book.loaded(connection, ref, Result(WriteCounts(updated=1)))
        connection.commit()

        assert book.counts_if_loaded(ref) == WriteCounts(updated=1)
        assert products.entry(ref).counts == WriteCounts(updated=1)
