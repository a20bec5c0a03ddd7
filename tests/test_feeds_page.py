"""Every example of docs/feeds.md is a feed that works: a small file is read, transformed and cast by it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from flows.looking.checking import check_feed
from flows.runs.progress import Progress
from flows.runs.workplace import open_workplace
from restock.column_rules import ColumnRule
from restock.csv_rules import CsvRules
from restock.feeds import Feed
from restock.key_form import KeyForm

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
MODELS = """\
import datetime as dt
from decimal import Decimal

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Product(db.Model):
    supplier: Mapped[str] = mapped_column(String(20), primary_key=True)
    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    stock: Mapped[int | None]
    on_sale: Mapped[bool | None]
    updated_at: Mapped[dt.datetime | None]
"""
APP = """\
from flask import Flask

from my_shop.models import db


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.sqlite"
    db.init_app(app)
    return app
"""
SCHEMAS = """\
import pandera.pandas as pa


class Stocked(pa.DataFrameModel):
    stock: int = pa.Field(ge=0, nullable=True)
"""

# The file of each feed that is not made below, and the codes of the rows that it rejects.
TEXTS: dict[str, tuple[str, bytes, list[str]]] = {
    "stock": ("incoming/stock-1.csv", b"Article,Price\nA,1.00\nB,?\n", ["not_a_number"]),
    "wholesaler": ("wholesaler.csv", b"GTIN,Name\n 4006381333931,Pen\n4.00638E+12,Pen\n", ["shortened_key"]),
    "acme": (
        "acme.csv",
        b"Article,Title,Price,Text,State\nA,Hose,1,x,new\nB,,1,x,new\nC,Rake,0,x,new\nD,Pot,1,x,discontinued\n",
        ["null"],
    ),
    "german-supplier": (
        "preise.csv",
        "Artikel;Bezeichnung;Preis\nA;S\u00e4ge;1.234,50 \u20ac\nB;Axt;-\nC;Beil;1.50\n".encode("cp1252"),
        ["not_a_number"],
    ),
    "till": (
        "till.txt",
        "Till 7\nMonday\n-- a note\nsku||name||||\n1||'a || b'||1.5||\n2||c\\||d||2||\n3||short||\n".encode("utf-16"),
        ["too_few_fields"],
    ),
    "warehouse": (
        "exports/warehouse-1.dat",
        b"Stock of Monday\r\nArticle,Article,In,On,Last\r\nnumber,name,stock,sale,change\r\n"
        b"007,Hose,5,ja,01.03.2026 10:00\r\n"
        b"7,,6,nein,02.03.2026 10:00\r\n4E12,Rake,-1,ja,01.03.2026 10:00\r\n,Pot,1,ja,01.03.2026 10:00\r\n",
        ["missing_key", "schema:greater_than_or_equal_to"],
    ),
}


def examples() -> dict[str, dict[str, Any]]:
    page = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")
    return {name: feed for text in BLOCK.findall(page) for name, feed in yaml.safe_load(text)["feeds"].items()}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the shop of the examples and with the files of their feeds."""
    for name, text in {"models": MODELS, "__init__": APP, "schemas": SCHEMAS}.items():
        (tmp_path / "my_shop").mkdir(exist_ok=True)
        (tmp_path / "my_shop" / f"{name}.py").write_text(text, encoding="utf-8")
    for file, content, _ in TEXTS.values():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(content)
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "abtbuy_buy.csv", tmp_path / "data")
    (tmp_path / "branches").mkdir()
    branch = pa.table({"sku": ["A"], "name": ["Hose"]})
    pq.write_table(branch, tmp_path / "branches" / "1.parquet")
    pq.write_table(branch.append_column("colour", [["red"]]), tmp_path / "branches" / "2.parquet")
    catalogue = pa.table({"code": ["A"], "product_name": ["Hose"]})
    pq.write_table(catalogue, tmp_path / "incoming" / "catalogue.parquet")
    for name in [name for name in os.environ if name.startswith("RESTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", f"sqlite:///{tmp_path}/example.sqlite")
    monkeypatch.setenv("RESTOCK_FEEDS", str(tmp_path / "feeds.yaml"))
    return tmp_path


@pytest.mark.parametrize("name", examples())
def test_a_file_is_loaded_by_every_example(name: str, house: Path) -> None:
    (house / "feeds.yaml").write_text(yaml.safe_dump({"feeds": {name: examples()[name]}}), encoding="utf-8")
    place = open_workplace()

    [found] = check_feed(place, place.feed(name), Progress())

    assert found.accepted > 0
    assert sorted(reason.code for reason in found.reasons) == (TEXTS[name][2] if name in TEXTS else [])
    assert not found.trouble


def test_every_key_stands_in_an_example() -> None:
    feeds = examples().values()
    rules = [rule for feed in feeds for rule in feed.get("columns", {}).values() if isinstance(rule, dict)]
    for model, given in (
        (Feed, feeds),
        (CsvRules, [feed.get("csv", {}) for feed in feeds]),
        (ColumnRule, rules),
        (KeyForm, [feed.get("key_form", {}) for feed in feeds]),
    ):
        keys = {field.alias or name for name, field in model.model_fields.items()}
        assert keys - {key for each in given for key in each} <= {"name"}  # of a feed it is the entry's own key
