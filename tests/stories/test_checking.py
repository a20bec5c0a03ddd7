"""Looking first: `restock check` says what a sync would meet, and writes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from shops import Shop
from stories.doorway import run_here
from stories.telling import counts, everything, product, products, sync

ROWS = [
    *products([1, 2]),
    product(2, price="3.50"),
    product(3, price="cheap"),
    product(4, price="dear"),
    *products([5, 6, 7]),
]


def files_under(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_a_check_counts_what_a_sync_then_does(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    shop.feed(chunk_rows=3)
    shop.write_csv("products.csv", ROWS)

    said = run_here(capfd, "check", "products", "--json")
    report = sync(shop)

    [check] = said.answer["checks"]
    assert said.status == 0
    assert counts(report) == {"inserted": 5, "rejected": 2, "superseded": 1}
    assert (check["read"], check["accepted"], check["rejected"], check["superseded"]) == (8, 5, 2, 1)
    assert check["superseded_samples"] == [{"row": 2, "line": 3}]


def test_a_check_writes_nothing_anywhere(
    shop: Shop, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    shop.write_csv("products.csv", ROWS)
    shop.insert("product", {"sku": "S-001", "name": "as it is"})
    before, files = everything(shop), files_under(shop.folder, temporary)

    said = run_here(capfd, "check", "products")

    assert said.status == 0
    assert everything(shop) == before
    assert files_under(shop.folder, temporary) == files
    assert not [name for name in sa.inspect(shop.engine).get_table_names() if name.startswith("restock")]


def test_a_check_needs_no_table(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_csv("products.csv", products([1]))
    sqlite_shop.execute("DROP TABLE product")

    assert run_here(capfd, "check", "products", "--json").answer["checks"][0]["accepted"] == 1


def test_values_are_shown_only_to_whom_asks_for_them(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_csv("products.csv", ROWS)

    plain = run_here(capfd, "check", "products")
    as_json = run_here(capfd, "check", "products", "--json")
    with_values = run_here(capfd, "check", "products", "--samples")

    for said in (plain, as_json):
        assert "cheap" not in said.out + said.err
    assert "line 5, 6" in plain.out
    assert "price is not a number" in plain.out
    assert "line 5: 'cheap', 6: 'dear'" in with_values.out


@pytest.mark.parametrize(
    "limits, status, told",
    [
        ({"max_rejects": 1}, 3, "held before chunk 2: 2 of the 8 rows are rejects by then, more than max_rejects 1"),
        ({"max_rejects": "20%"}, 3, "more than max_rejects 20% allows"),
        ({"max_rejects": 2}, 0, ""),
        ({"max_chunk_rejects": "50%"}, 1, "1 chunks of products.csv would fail"),
        ({"max_chunk_rejects": 2, "max_rejects": "25%"}, 0, ""),
    ],
)
def test_a_check_ends_as_the_sync_would(
    sqlite_shop: Shop,
    capfd: pytest.CaptureFixture[str],
    limits: dict[str, object],
    status: int,
    told: str,
) -> None:
    sqlite_shop.feed(chunk_rows=3, **limits)
    sqlite_shop.write_csv("products.csv", ROWS)

    said = run_here(capfd, "check", "products")
    synced = run_here(capfd, "sync", "products")

    assert (said.status, synced.status) == (status, status)
    assert told in said.err


def test_a_transform_that_fails_is_told_with_its_chunk(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    module = sqlite_shop.folder / sqlite_shop.package / "rules.py"
    module.write_text("def clean(frame):\n    return frame[frame['colour'] == 'red']\n", encoding="utf-8")
    sqlite_shop.feed(transform=f"{sqlite_shop.package}.rules:clean")
    sqlite_shop.write_csv("products.csv", ROWS)

    said = run_here(capfd, "check", "products")

    assert said.status == 1
    assert "failed on chunk 1 of run check: KeyError in rules.py, line 2" in said.out
    assert "outstanding" in said.out


def test_columns_that_are_not_used_and_those_that_are_lacking_are_named(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.feed(columns={"sku": "sku", "price": "price"})
    sqlite_shop.write_csv("products.csv", products([1]))

    said = run_here(capfd, "check", "products")

    assert "Columns not used: name, stock" in said.out
    assert "the model requires name as well" in said.out


def test_each_file_of_a_delta_feed_is_checked_by_itself(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.feed(kind="delta", source="night-*.csv")
    sqlite_shop.write_csv("night-1.csv", products([1, 2]))
    sqlite_shop.write_csv("night-2.csv", products([1]))

    said = run_here(capfd, "check", "products", "--json")

    assert [(each["source"], each["accepted"]) for each in said.answer["checks"]] == [
        ("night-1.csv", 2),
        ("night-2.csv", 1),
    ]


def test_a_source_that_cannot_be_read_is_the_error_of_a_sync(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    said = run_here(capfd, "check", "products", "--json")

    assert said.status == 1
    assert said.answer["error"]["kind"] == "SourceError"
