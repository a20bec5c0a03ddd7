"""The JSON schema of feeds.yaml: up to date, and of one mind with what reads the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from restock.errors import ConfigurationError
from restock.feeds_file import json_schema, read_feeds

ROOT = Path(__file__).parents[2]
FEED = {"source": "a.csv", "app": "shop:app", "model": "shop:Product"}


def test_the_schema_in_the_repository_is_the_one_that_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["feed", "schema"]).output

    assert json.loads(printed) == json_schema()
    told = "run `make fix`, or `restock feed schema > feeds.schema.json`"
    assert (ROOT / "feeds.schema.json").read_text(encoding="utf-8") == printed, told


def test_an_editor_tells_what_blank_means() -> None:
    definitions = json_schema()["$defs"]
    rule, csv = definitions["ColumnRule"]["properties"], definitions["CsvRules"]["properties"]

    assert "before transforms" in rule["default"]["description"]
    assert "after transforms" in rule["blank"]["description"]
    assert "Spaces are text" in csv["null_values"]["description"]


def test_the_feeds_of_the_repository_name_it_and_satisfy_it() -> None:
    text = (ROOT / "feeds.yaml").read_text(encoding="utf-8")

    assert text.startswith("# yaml-language-server: $schema=feeds.schema.json\n")
    jsonschema.validate(yaml.safe_load(text), json_schema())


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"source": ["a.csv", "b.csv"], "match_on": "sku", "kind": "delta"},
        {
            "columns": {
                "sku": "Item",
                "price": {"from": "P", "blank": None, "write": "fill_empty"},
                "n": {"constant": 1},
            }
        },
        {"max_rejects": "1%", "max_chunk_rejects": 5, "max_unpacked": "2 GiB", "chunk_rows": 100},
        {"csv": {"quote": None, "null_values": ["", "-"]}, "key_form": {"trim": True, "zero_pad": 13}},
        {"where": "price > 0", "schema": "a:B", "unknown_columns": "fail"},
        {"sorce": "a.csv"},
        {"source": 5},
        {"name": "other"},
        {"columns": {"sku": 5}},
        {"columns": {"sku": {"form": "x"}}},
        {"columns": {"sku": {"from": "x", "blank": "drop"}}},
        {"kind": "weekly"},
        {"chunk_rows": 0},
        {"csv": {"delimitr": ";"}},
    ],
)
def test_the_schema_and_the_reader_take_and_refuse_the_same(keys: dict[str, Any], tmp_path: Path) -> None:
    feeds = {"feeds": {"shop": FEED | keys}}
    (tmp_path / "feeds.yaml").write_text(yaml.safe_dump(feeds), encoding="utf-8")

    def is_read() -> bool:
        try:
            read_feeds(tmp_path / "feeds.yaml")
        except ConfigurationError:
            return False
        return True

    assert jsonschema.Draft202012Validator(json_schema()).is_valid(feeds) is is_read()
