"""How soon the command answers, and what it does without."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from shops import Shop, run_restock, start_restock
from stories.telling import products

# Runs the command given as arguments, then says on standard error whether Prefect was imported on the way.
WATCHED = """\
import sys
from flows.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"prefect", "pandas", "sqlalchemy", "flask"})
    print("LOADED", *loaded, file=sys.stderr)
"""


def imported_by(args: list[str], shop: Shop) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *args], cwd=shop.folder, capture_output=True, encoding="utf-8", check=True
    )
    return done.stderr.splitlines()[-1].split()[1:]


def test_help_comes_within_half_a_second_and_imports_nothing_heavy(sqlite_shop: Shop) -> None:
    took = []
    for _ in range(3):  # the best of three: the first may have to compile, and other tests may run beside
        started = time.monotonic()
        done = run_restock(["--help"], sqlite_shop)
        took.append(time.monotonic() - started)
        assert done.returncode == 0
    assert "reprocess" in done.stdout
    assert min(took) < 0.5

    assert imported_by(["--help"], sqlite_shop) == []


def test_a_sync_without_a_prefect_server_does_not_import_prefect(sqlite_shop: Shop) -> None:
    sqlite_shop.write_csv("products.csv", products([1]))

    assert imported_by(["sync", "products"], sqlite_shop) == ["flask", "pandas", "sqlalchemy"]
    assert len(sqlite_shop.rows("product")) == 1


def test_the_first_line_comes_before_anything_large_is_imported(sqlite_shop: Shop) -> None:
    sqlite_shop.write_csv("products.csv", products(range(1000)))

    started = time.monotonic()
    with start_restock(["sync", "products"], sqlite_shop) as process:
        assert process.stderr is not None
        first_line = process.stderr.readline()
        until_first_line = time.monotonic() - started
        process.communicate()
    in_all = time.monotonic() - started

    assert process.returncode == 0
    assert first_line == "Opening feed products …\n"
    assert until_first_line < in_all / 2
    assert len(sqlite_shop.rows("product")) == 1000


def test_a_feeds_file_named_by_the_environment_is_found_from_any_folder(sqlite_shop: Shop) -> None:
    sqlite_shop.write_csv("products.csv", products([1]))

    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "sync", "products"],
        cwd=os.sep,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert len(sqlite_shop.rows("product")) == 1
