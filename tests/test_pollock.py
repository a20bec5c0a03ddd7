"""The judge of `make pollock`, on a small checkout of the same making: it must tell a wrong row from a named one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.pollock import Loaded, judge, published, read_with_pandas, read_with_restock, rules_of, verdict

NAMES = ["sku", "name", "price"]
ROWS = [["1", "Hose, green", "$4.10"], ["2", 'Rake 24"', "$9"], ["3", "Men's boots", ""], ["4", "Hat, blue", "$1.5"]]
PLAIN = {
    "encoding": "ascii",
    "delimiter": ",",
    "quotechar": '"',
    "escapechar": '"',
    "header_lines": 1,
    "preamble_lines": 0,
    "column_names": NAMES,
    "n_columns": 3,
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder to which files with parameters and truth are added."""
    for name in ("csv", "clean", "parameters"):
        (tmp_path / "polluted_files" / name).mkdir(parents=True)
    return tmp_path


def add(checkout: Path, name: str, content: str, truth: list[list[str]] | None = None, **parameters: Any) -> None:
    folder = checkout / "polluted_files"
    (folder / "csv" / name).write_text(content, encoding="ascii")
    (folder / "parameters" / f"{name}_parameters.json").write_text(json.dumps({**PLAIN, **parameters}))
    with (folder / "clean" / name).open("w", encoding="ascii", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([NAMES, *(ROWS if truth is None else truth)])


SOURCE = 'sku,name,price\n1,"Hose, green",$4.10\n2,"Rake 24""",$9\n3,Men\'s boots,\n4,"Hat, blue",$1.5\n'
FILES: dict[str, tuple[str, dict[str, Any], str]] = {
    "source.csv": (SOURCE, {}, "exact"),
    "row_more_sep_row2_col1.csv": (SOURCE.replace("2,", "2,,"), {}, "exact, the rest named"),
    "row_less_sep_row2_col1.csv": (SOURCE.replace("2,", "2"), {}, "exact, the rest named"),
    "row_less_sep_row0_col1.csv": (SOURCE.replace("sku,", "sku"), {}, "exact"),
    "row_extra_quote1_col1.csv": (SOURCE.replace('"Hose', '""Hose'), {}, "exact, the rest named"),
    "file_preamble.csv": ("PREAMBLE,,\n,,\n" + SOURCE, {"preamble_lines": 2}, "exact"),
    "file_multitable_same.csv": (SOURCE + SOURCE, {}, "refused with a place"),
    "file_header_only.csv": ("sku,name,price\n", {}, "refused with a place"),
    "file_field_delimiter_0x3B.csv": (SOURCE.replace(",", ";").replace("; ", ", "), {"delimiter": ";"}, "exact"),
    "file_escape_char_0x5C.csv": (SOURCE.replace('24""', '24\\"'), {"escapechar": "\\"}, "exact"),
}


def test_each_pollution_ends_without_a_wrong_or_a_lost_row(checkout: Path) -> None:
    for name, (content, parameters, _) in FILES.items():
        add(checkout, name, content, [] if "header_only" in name else None, **parameters)

    counts = judge(checkout, read_with_restock)

    expected: dict[str, list[str]] = {}
    for name, (_, _, found) in FILES.items():
        kind = next((each for each in ("row_more_sep", "row_less_sep", "row_extra_quote") if each in name), name[:-4])
        expected.setdefault(kind, []).append(found)
    assert {kind: sorted(found.elements()) for kind, found in counts.items()} == {
        kind: sorted(found) for kind, found in expected.items()
    }


def test_a_reader_that_guesses_is_told_wrong(checkout: Path) -> None:
    add(checkout, "row_less_sep_row4_col1.csv", SOURCE.replace("4,", "4"))

    assert judge(checkout, read_with_pandas)["row_less_sep"] == {"wrong": 1}


def test_published_results_are_judged_alike(checkout: Path) -> None:
    add(checkout, "source.csv", SOURCE)
    add(checkout, "file_preamble.csv", "PREAMBLE,,\n,,\n" + SOURCE, preamble_lines=2)
    loading = checkout / "results" / "guesser" / "polluted_files" / "loading"
    loading.mkdir(parents=True)
    (loading / "source.csv_converted.csv").write_text(SOURCE.replace("$9", " $9"), encoding="utf-8")
    (loading / "file_preamble.csv_converted.csv").write_text("PREAMBLE,,\n,,\n" + SOURCE, encoding="utf-8")

    [(name, read)] = published(checkout).items()

    assert name == "guesser, as published"
    assert judge(checkout, read) == {"source": {"exact": 1}, "file_preamble": {"wrong": 1}}


TRUTH = [tuple(row) for row in ROWS]


@pytest.mark.parametrize(
    "loaded,found",
    [
        (Loaded(TRUTH), "exact"),
        (Loaded(TRUTH[1:], 1), "exact, the rest named"),
        (Loaded(TRUTH[1:]), "lost"),
        (Loaded(TRUTH[2:], 1), "lost"),
        (Loaded([*TRUTH, TRUTH[0]]), "wrong"),
        (Loaded([TRUTH[1], TRUTH[0], *TRUTH[2:]]), "wrong"),
        (Loaded([("1", "Hose", "$4.10"), *TRUTH[1:]]), "wrong"),
        (Loaded(refusal="The quote on line 3 is never closed"), "refused with a place"),
        (Loaded(refusal="no"), "refused"),
    ],
)
def test_the_judge_knows_every_verdict(loaded: Loaded, found: str) -> None:
    assert verdict(loaded, TRUTH) == found


def test_a_file_without_columns_is_read_with_what_is_known_of_it() -> None:
    nothing = {**PLAIN, "delimiter": "", "quotechar": "", "escapechar": "", "column_names": [], "n_columns": 0}

    assert rules_of({**nothing, "header_lines": 0}) == {
        "encoding": "ascii",
        "delimiter": ",",
        "quote": None,
        "escape": None,
        "null_values": [],
    }


def test_the_command_shows_both_readers_and_fails_on_a_wrong_row(checkout: Path) -> None:
    from benchmarks.pollock import main

    add(checkout, "source.csv", SOURCE)
    good = CliRunner().invoke(main, [str(checkout)])
    add(checkout, "source.csv", SOURCE, truth=ROWS[:1])
    bad = CliRunner().invoke(main, [str(checkout)])

    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "1 exact, 0 exact, the rest named" in good.output
    assert "1 wrong" in bad.output
