"""The documents tell the truth: their commands run, their examples are valid, and nothing is missing from them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from factories import make_feed

from flows.cli import main
from restock.chunks import RunSummary
from restock.column_rules import ColumnRule
from restock.contract import FieldSpec, Kind
from restock.csv_rules import CsvRules
from restock.feeds import Feed
from restock.feeds_file import read_feeds
from restock.key_form import KeyForm
from sinks.database.db_errors import Trouble
from sinks.database.retries import ATTEMPTS
from transforms.contract_check import cast_column
from transforms.schema_check import schema_faults

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(path.read_text(encoding="utf-8")) if found == language]


def files_of_readme(folder: Path) -> None:
    names = {"python": "shop.py", "csv": "supplier.csv", "yaml": "feeds.yaml"}
    for language, name in names.items():
        (text,) = blocks(ROOT / "README.md", language)
        (folder / name).write_text(text, encoding="utf-8")


def restock(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RESTOCK_", "PREFECT_"))}
    environment |= {"PREFECT_HOME": str(folder / "prefect-home"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_ten_minutes_of_the_readme_come_out_as_it_says(tmp_path: Path) -> None:
    files_of_readme(tmp_path)
    commands = [line for block in blocks(ROOT / "README.md", "console") for line in block.splitlines()]
    assert {"restock check supplier", "restock sync supplier", "restock rejects RUN --csv mended.csv"} <= set(commands)

    guessed = restock(tmp_path, "feed", "guess", "supplier.csv", "--model", "shop:Product")
    looked = restock(tmp_path, "check", "supplier")
    first = restock(tmp_path, "sync", "supplier")
    again = restock(tmp_path, "sync", "supplier")
    listed = restock(tmp_path, "runs")
    run_id = re.findall(r"\d{8}-\d{6}-\d{3}-\w{6}", listed.stdout)[0]
    exported = restock(tmp_path, "rejects", run_id, "--csv", "mended.csv")
    mended = (tmp_path / "mended.csv").read_text(encoding="utf-8")
    mended = mended.replace("00125,,", "00125,Wheelbarrow,").replace("ask us", '"12,00"')
    (tmp_path / "mended.csv").write_text(mended, encoding="utf-8")
    corrected = restock(tmp_path, "reprocess", "--rejects", "mended.csv")

    outcomes = [guessed, looked, first, again, listed, exported, corrected]
    assert [each.returncode for each in outcomes] == [0] * 7, [each.stderr for each in outcomes]
    written = yaml.safe_load((tmp_path / "feeds.yaml").read_text(encoding="utf-8"))["feeds"]["supplier"]
    proposed = yaml.safe_load(guessed.stdout)["feeds"]["supplier"]
    assert {key: proposed[key] for key in ("source", "app", "model", "match_on", "columns")} == {
        key: written[key] for key in ("source", "app", "model", "match_on", "columns")
    }
    assert re.search(r"accepted\W+2\b", looked.stdout)
    assert re.search(r"inserted\W+2\b", first.stdout)
    assert re.search(r"rejected\W+2\b", first.stdout)
    assert re.search(r"unchanged\W+2\b", again.stdout)
    assert "mended 2" in corrected.stdout
    assert restock(tmp_path, "reprocess").returncode == 0


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_feeds_file_in_the_documents_is_valid(path: Path, tmp_path: Path) -> None:
    for text in blocks(path, "yaml"):
        if "feeds" in yaml.safe_load(text):
            (tmp_path / "feeds.yaml").write_text(text, encoding="utf-8")

            assert read_feeds(tmp_path / "feeds.yaml")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_the_documents_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    spoken = re.findall(r"`(?:\.venv/bin/)?(restock|make) ([a-z-]+)", text)
    lines = [line.removeprefix(".venv/bin/") for block in blocks(path, "console") for line in block.splitlines()]
    spoken += [tuple(line.split()[:2]) for line in lines]
    for name in [words[1] for words in spoken if words[0] == "restock"]:
        assert name in main.commands, f"{path.name} mentions `restock {name}`"
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in [words[1] for words in spoken if words[0] == "make"]:
        assert re.search(rf"^{name}:|[ ]{name}[ :]", targets, re.MULTILINE), f"{path.name} mentions `make {name}`"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_the_documents_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_transform_in_the_documents_runs() -> None:
    import pandas as pd

    namespace: dict[str, object] = {}
    [code] = [block for block in blocks(ROOT / "docs" / "feeds.md", "python") if "def only_priced" in block]
    exec(code, namespace)
    frame = pd.DataFrame({"name": ["Hose", "x", "Rake"], "price": ["1.00", "2.00", None]})

    kept = namespace["only_priced"](frame)  # type: ignore[operator]

    assert kept.index.tolist() == [0]


def test_the_transform_of_words_in_the_documents_runs() -> None:
    import pandas as pd

    namespace: dict[str, object] = {}
    [code] = [block for block in blocks(ROOT / "docs" / "feeds.md", "python") if "def named_status" in block]
    exec(code, namespace)
    status = pd.Series(["aktiv", None, "ausgelaufen", "neu"], dtype="str")

    named = namespace["named_status"](pd.DataFrame({"status": status}))["status"]  # type: ignore[operator]
    cast = cast_column(named, FieldSpec("status", Kind.ENUM, choices=("ACTIVE", "GONE")), CsvRules())

    assert named.fillna("").tolist() == ["ACTIVE", "", "GONE", "neu"]
    assert cast.faults == {3: "not_in_enum"}


def test_the_schema_in_the_documents_finds_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    module = ModuleType("documented_schemas")
    [code] = [block for block in blocks(ROOT / "docs" / "feeds.md", "python") if "class ProductSchema" in block]
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    rows = {"sku": ["AB-1234", "x", "AB-1235"], "price": [5.0, None, 5000.0], "stock": [1, 2, 50]}
    feed = make_feed(schema="documented_schemas:ProductSchema")

    found = schema_faults(pd.DataFrame(rows), {}, feed, "here")

    assert {row: [fault.code for fault in faults] for row, faults in found.items()} == {
        1: ["schema:str_matches"],
        2: ["schema:dear_things_are_few"],
    }


def test_every_key_of_a_feed_is_documented() -> None:
    text = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")

    fields = [each for model in (Feed, CsvRules, ColumnRule, KeyForm) for each in model.model_fields.items()]
    missing = {name for name, field in fields if f"`{field.alias or name}`" not in text}

    assert missing == {"name"}  # it is the entry's own key


def test_every_setting_and_command_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    code = "".join(
        path.read_text(encoding="utf-8") for room in ("restock", "flows") for path in (ROOT / room).glob("*.py")
    )

    settings = set(re.findall(r"\bRESTOCK_[A-Z_]+\b", code))

    assert {name for name in settings if f"`{name}`" not in text} == set()
    assert {name for name in main.commands if f"restock {name}" not in text} == set()


def test_the_glossary_has_every_count_and_status() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    counts = [name for name in RunSummary.__dataclass_fields__ if name in text]

    for name in ("read", "inserted", "updated", "unchanged", "superseded", "stale", "rejected", "skipped", "abandoned"):
        assert name in counts


def test_the_packages_install_from_a_plain_checkout(tmp_path: Path) -> None:
    copy = tmp_path / "restock"
    shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".restock", "instance", "*.egg-info", "tests")
    )
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation", "--target"]

    done = subprocess.run([*command, str(tmp_path / "site"), str(copy)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "site").iterdir()} >= {
        "restock",
        "sources",
        "transforms",
        "sinks",
        "flows",
    }


def test_how_often_trouble_is_tried_is_told_as_it_is() -> None:
    words = {3: "three", 5: "five", 12: "twelve"}
    lock, connection, read_only = (
        ATTEMPTS[each] for each in (Trouble.TRANSIENT, Trouble.CONNECTION, Trouble.READ_ONLY)
    )
    account = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    assert set(ATTEMPTS) == {Trouble.TRANSIENT, Trouble.CONNECTION, Trouble.READ_ONLY, Trouble.GONE}
    assert connection == read_only
    assert f"after a conflict or a lock {words[lock]} times, with a lost connection or a database" in account
    assert f"takes no writes {words[connection]} times" in account
    assert f"is not met {words[ATTEMPTS[Trouble.GONE]]} times" in account
    assert f"tries {words[connection]} times (a conflict or a lock {words[lock]} times)" in operations


def test_every_test_that_the_account_of_reliability_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")))
    modules = {path.stem: path for path in (ROOT / "tests").rglob("test_*.py")}
    functions = {name for path in modules.values() for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}

    assert len(named) > 40
    assert named - modules.keys() - functions == set()
