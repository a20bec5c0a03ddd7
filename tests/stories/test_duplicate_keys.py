"""Rows with the same key: the end state does not depend on how a source is cut into chunks."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shops import Shop
from stories.doorway import run_here
from stories.telling import Text, counts, expected, product, sync, table

from flows.runs.progress import Progress
from flows.runs.workplace import open_workplace

NIGHT = [
    product(1, name="1 a"),
    product(2, name="2 a"),
    product(1, name="1 b"),
    product(3, name="3 a"),
    product(2, name="2 b"),
    product(1, name="1 c"),
]


def first_of_each(rows: list[Text]) -> list[Text]:
    return list({row["sku"]: row for row in reversed(rows)}.values())


def alone(rows: list[Text]) -> list[Text]:
    keys = [row["sku"] for row in rows]
    return [row for row in rows if keys.count(row["sku"]) == 1]


def all_in_order(rows: list[Text]) -> list[Text]:
    return rows


@pytest.mark.parametrize("chunk_rows", [1, 3, 1000])
@pytest.mark.parametrize(
    "rule, oracle, count",
    [
        ("last", all_in_order, {"inserted": 3, "superseded": 3}),
        ("first", first_of_each, {"inserted": 3, "superseded": 3}),
        ("reject", alone, {"inserted": 1, "rejected": 5}),
    ],
)
def test_which_row_of_a_key_counts_does_not_depend_on_the_size_of_chunks(
    sqlite_shop: Shop, chunk_rows: int, rule: str, oracle: Callable[[list[Text]], list[Text]], count: dict[str, int]
) -> None:
    sqlite_shop.feed(chunk_rows=chunk_rows, on_duplicate=rule)
    sqlite_shop.write_csv("products.csv", NIGHT)

    assert counts(sync(sqlite_shop)) == count
    assert table(sqlite_shop) == expected(oracle(NIGHT))


class Notes(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


def test_the_losers_are_told_with_both_lines_and_exact_twins_apart(sqlite_shop: Shop) -> None:
    sqlite_shop.write_csv("products.csv", [product(1), product(2), product(1), product(2, name="other")])
    notes = Notes()

    run_id = sync(sqlite_shop, progress=notes).run.run_id

    assert notes.said == [
        "Rows that do not count, because another row has their key: 2, of which 1 equal it in every column: "
        "line 2 (see line 4), line 3 (see line 5).",
        f"`restock superseded {run_id}` lists them all.",
    ]


@pytest.mark.parametrize("chunk_rows", [2, 1000])
def test_every_loser_of_every_file_is_listed_with_the_row_that_counts_until_its_run_is_forgotten(
    sqlite_shop: Shop, chunk_rows: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sqlite_shop.folder)
    sqlite_shop.feed(source="?.csv", chunk_rows=chunk_rows)
    sqlite_shop.write_csv("a.csv", [product(n) for n in range(1, 40)])
    sqlite_shop.write_csv("b.csv", [product(n) if n % 2 else product(n, name="other") for n in range(39, 0, -1)])
    run_id = sync(sqlite_shop).run.run_id

    shown, plain = run_here(capfd, "superseded", run_id), run_here(capfd, "superseded", run_id, "--json").answer
    told = run_here(capfd, "superseded", run_id, "--csv", "lost.csv")
    with Path("lost.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))

    assert "and 19 more; `--csv FILE` writes them all" in shown.out
    assert told.out == "39 superseded rows written to lost.csv.\n"
    assert (plain["run_id"], plain["superseded"], len(plain["first"])) == (run_id, 39, 20)
    assert plain["first"][1] == {
        "file": "a.csv", "row": 2, "line": 3, "counting_file": "b.csv", "counting_row": 38, "counting_line": 39,
        "key": "S-002", "equal": False,
    }  # fmt: skip
    assert [list(row.values()) for row in listed] == [
        ["a.csv", str(n), str(n + 1), "b.csv", str(40 - n), str(41 - n), f"S-{n:03}", str(n % 2 == 1).lower()]
        for n in range(1, 40)
    ]

    sync(sqlite_shop)
    run_here(capfd, "prune", "--older-than", "0")
    assert run_here(capfd, "superseded", run_id).status == 2
    assert len(list(open_workplace().spool.folder.iterdir())) == 1  # the newest run's


def test_rows_of_a_parquet_file_are_listed_by_their_numbers_and_have_no_lines(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [{"sku": "S-001", "name": name} for name in ("first", "last")]
    pq.write_table(pa.Table.from_pylist(rows), sqlite_shop.folder / "products.parquet")
    sqlite_shop.feed(source="products.parquet")
    run_id = sync(sqlite_shop).run.run_id

    [lost] = run_here(capfd, "superseded", run_id, "--json").answer["first"]

    assert [lost[name] for name in ("row", "line", "counting_row", "counting_line")] == [1, None, 2, None]


def test_a_list_that_rotted_into_other_keys_is_refused(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_csv("products.csv", [product(1), product(1)])
    run_id = sync(sqlite_shop).run.run_id
    path = open_workplace().spool.of(run_id).superseded_file
    path.write_bytes(path.read_bytes().replace(b"S-001", b"S-002"))

    said = run_here(capfd, "superseded", run_id)

    assert said.sentence == f"The list of superseded rows of run {run_id} cannot be read; its spool is damaged."


def test_a_rejected_duplicate_says_where_the_other_row_is(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(on_duplicate="reject")
    sqlite_shop.write_csv("products.csv", [product(1), product(2), product(1)])

    sync(sqlite_shop)

    rejects = sqlite_shop.execute("SELECT line, code, value FROM restock_reject ORDER BY line")
    assert [tuple(reject.values()) for reject in rejects] == [
        (2, "duplicate_key", "line 4"),
        (4, "duplicate_key", "line 2"),
    ]


@pytest.mark.parametrize("chunk_rows", [1, 3, 1000])
def test_the_newest_row_of_a_key_counts_wherever_it_stands(shop: Shop, chunk_rows: int) -> None:
    rows = [
        product(1, name="old", updated_at="2026-03-01T00:00:00Z"),
        product(2, name="new", updated_at="2026-03-03T00:00:00Z"),
        product(1, name="new", updated_at="2026-03-03T00:00:00Z"),
        product(2, name="old", updated_at="2026-03-01T00:00:00Z"),
    ]
    shop.feed(chunk_rows=chunk_rows, version_column="updated_at")
    shop.write_csv("products.csv", rows)

    assert counts(sync(shop)) == {"inserted": 2, "superseded": 2}
    assert table(shop) == expected([rows[1], rows[2]])


def test_the_row_that_counts_is_not_replaced_by_its_loser_when_it_is_rejected(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=1)
    sqlite_shop.write_csv("products.csv", [product(1), product(1, price="cheap")])

    assert counts(sync(sqlite_shop)) == {"superseded": 1, "rejected": 1}
    assert table(sqlite_shop) == {}


def test_the_row_that_counts_is_not_replaced_by_its_loser_when_a_filter_leaves_it_out(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(where="price < 100")
    sqlite_shop.write_csv("products.csv", [product(1), product(1, price="100.00")])

    assert counts(sync(sqlite_shop)) == {"superseded": 1, "skipped": 1}
    assert table(sqlite_shop) == {}


def test_a_row_that_cannot_be_split_supersedes_none(sqlite_shop: Shop) -> None:
    sqlite_shop.feed()
    path = sqlite_shop.write_csv("products.csv", [product(1)])
    path.write_text(path.read_text(encoding="utf-8") + "S-001,too short\n", encoding="utf-8")

    assert counts(sync(sqlite_shop)) == {"inserted": 1, "rejected": 1}
    assert table(sqlite_shop) == expected([product(1)])
