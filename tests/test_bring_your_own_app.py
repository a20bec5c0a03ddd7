"""What docs/bring-your-own-app.md says: its blocks are put into a shop, and its claims are tried."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stories.doorway import run_here

import restock

PAGE = Path(__file__).parent.parent / "docs" / "bring-your-own-app.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

SHOP = """\
import os

import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Product(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(32), unique=True)
    name: Mapped[str | None] = mapped_column(sa.String(100), default="unnamed")
    stock: Mapped[int | None]
{model}

def create_app(kind="usual", debug=True):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{folder}/shop.sqlite"
    db.init_app(app)
{factory}
    return app


{module}
"""
TABLE = """\
CREATE TABLE product (
    id INTEGER NOT NULL, sku VARCHAR(32) NOT NULL, name VARCHAR(100), stock INTEGER, PRIMARY KEY (id), UNIQUE (sku)
)
"""
NEGATIVE = """
    @validates("stock")
    def check(self, _name, stock):
        if stock is not None and stock < 0:
            raise ValueError("stock")
        return stock
"""
BRANDED = """
    brand_id: Mapped[int | None] = mapped_column(sa.ForeignKey("brand.id"))
"""
BRANDS = """
import sqlite3


class Brand(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)


@sa.event.listens_for(sa.Engine, "connect")
def check_foreign_keys(connection, _record):
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")
"""


def block(language: str, holding: str) -> str:
    """The one code block of the page in a language that holds these words."""
    [found] = [text for name, text in BLOCKS if name == language and holding in text]
    return found


@dataclass(frozen=True)
class Place:
    """A folder with a shop and a feeds.yaml."""

    folder: Path
    module: str

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "shop.sqlite")) as connection:
            rows = connection.execute(statement).fetchall()
            connection.commit()
        return rows

    def feed(self, **replaced: str) -> None:
        """Write the feed of the page, with some of its words replaced."""
        text = block("yaml", "match_on").replace("shop:", f"{self.module}:")
        for old, new in replaced.items():
            text = text.replace(old, new)
        (self.folder / "feeds.yaml").write_text(text, encoding="utf-8")

    def stock(self, text: str) -> None:
        (self.folder / "stock.csv").write_text("article,on hand,colour\n" + text, encoding="utf-8")

    def flask(self, *words: str) -> str:
        """`flask db ...` for the shop: what it said."""
        command = [sys.executable, "-m", "flask", "--app", f"{self.module}:create_app", "db", *words]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONPATH": "."}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a shop: `make_place(model="", module="", factory="")`, each being what stands there in addition."""
    modules = []

    def make(model: str = "", module: str = "", factory: str = "") -> Place:
        name = f"own_{uuid.uuid4().hex[:8]}"
        modules.append(name)
        source = SHOP.replace("{folder}", str(tmp_path))
        for slot, text in {"{model}": model, "{module}": module, "{factory}": factory}.items():
            source = source.replace(slot, text)
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        place = Place(tmp_path, name)
        place.execute(TABLE)
        place.execute("INSERT INTO product (sku, name, stock) VALUES ('a', 'Spade', 1), ('b', 'Rake', 2)")
        place.feed()
        return place

    monkeypatch.setenv("RESTOCK_FEEDS", str(tmp_path / "feeds.yaml"))
    monkeypatch.setenv("RESTOCK_SPOOL", str(tmp_path / "spool"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    receivers = dict(restock.rows_loaded.receivers)
    yield make
    restock.rows_loaded.receivers.clear()
    restock.rows_loaded.receivers.update(receivers)
    for name in modules:
        module = sys.modules.pop(name, None)
        for engines in list(module.db._app_engines.values()) if module else []:
            for engine in engines.values():
                engine.dispose()


def test_the_feed_of_the_page_finds_rows_by_the_suppliers_number(
    make_place: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    place.stock("a,7,red\nb,,blue\nc,3,\n")

    said = run_here(capfd, "sync", "stock", "--json")

    assert said.status == 0, said.err
    assert (said.answer["updated"], said.answer["skipped"]) == (2, 1)
    assert place.execute("SELECT id, sku, name, stock FROM product") == [(1, "a", "Spade", 7), (2, "b", "Rake", None)]


def test_the_commands_of_the_page_bring_the_feed_in_and_the_last_one_again_finds_it_unchanged(
    make_place: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    place.stock("a,7,red\nb,2,blue\n")
    before = {table for (table,) in place.execute("SELECT name FROM sqlite_master")}

    for line in block("console", "restock sync").splitlines():
        command, *words = line.split()
        said = run_here(capfd, *words)
        assert (command, said.status) == ("restock", 0), said.err
        if words[0] == "check":
            assert {table for (table,) in place.execute("SELECT name FROM sqlite_master")} == before
    again = run_here(capfd, "sync", "stock", "--json")

    assert place.execute("SELECT sku, stock FROM product") == [("a", 7), ("b", 2)]
    assert again.answer["unchanged"] == again.answer["read"] == 2


def test_the_receiver_of_the_page_hears_of_new_and_changed_rows(
    make_place: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    place = make_place(module=block("python", "rows_loaded.connect"))
    place.feed(update_only="sync")
    place.stock("a,7,\nb,2,\nc,3,\n")

    with caplog.at_level(logging.INFO):
        said = run_here(capfd, "sync", "stock")

    assert said.status == 0, said.err
    assert "stock brought 1 new and 1 changed rows" in [record.getMessage() for record in caplog.records]


def test_a_foreign_key_is_for_the_database_to_check_and_its_column_is_named(
    make_place: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    place = make_place(model=BRANDED, module=BRANDS)
    place.execute("CREATE TABLE brand (id INTEGER NOT NULL, PRIMARY KEY (id))")
    place.execute("ALTER TABLE product ADD COLUMN brand_id INTEGER REFERENCES brand (id)")
    place.feed(**{"stock: on hand": "stock: on hand, brand_id: colour"})
    place.stock("a,7,12\nb,8,\n")

    looked = run_here(capfd, "check", "stock", "--json")
    said = run_here(capfd, "sync", "stock", "--json")
    listed = run_here(capfd, "rejects", said.answer["run_id"])

    assert (looked.answer["checks"][0]["accepted"], looked.answer["checks"][0]["rejected"]) == (2, 0)
    assert (said.answer["updated"], said.answer["rejected"]) == (1, 1)
    assert "foreign_key:brand_id" in listed.out


def test_a_validator_is_noticed_and_makes_a_reject_of_the_row_it_refuses(
    make_place: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    place = make_place(model=NEGATIVE)
    place.stock("a,-7,\nb,8,\n")

    said = run_here(capfd, "sync", "stock", "--json")

    assert (said.answer["updated"], said.answer["rejected"]) == (1, 1)
    assert place.execute("SELECT code FROM restock_reject") == [("model:ValueError",)]
    assert place.execute("SELECT stock FROM product") == [(1,), (8,)]
    assert "is written as objects, row by row, because" in caplog.text
    assert "@validates(stock)" in caplog.text


@pytest.mark.parametrize("is_told", [True, False])
def test_the_ledger_survives_autogenerate_as_the_page_says(
    make_place: Any, capfd: pytest.CaptureFixture[str], is_told: bool
) -> None:
    """Without `include_object` the same migration drops the ledger: so the page is needed, and this test bites."""
    migrations = block("python", "include_object") if is_told else "Migrate(app, db)"
    place = make_place(factory=textwrap.indent(migrations, "    "))
    place.stock("a,7,\n")
    assert run_here(capfd, "sync", "stock").status == 0
    place.flask("init")

    said = place.flask("migrate", "-m", "nightly")

    scripts = list((place.folder / "migrations" / "versions").glob("*.py"))
    dropped = {name for each in scripts for name in re.findall(r"op.drop_table\('(\w+)'\)", each.read_text())}
    assert dropped == (
        set() if is_told else {"restock_run", "restock_chunk", "restock_reject", "restock_lease", "restock_fence"}
    )
    assert ("No changes in schema detected" in said) == is_told


def test_init_makes_the_ledger_ahead_of_the_first_sync(make_place: Any, capfd: pytest.CaptureFixture[str]) -> None:
    place = make_place()

    assert run_here(capfd, "init").status == 0

    made = {name for (name,) in place.execute("SELECT name FROM sqlite_master WHERE name LIKE 'restock%'")}
    assert {"restock_run", "restock_chunk", "restock_reject", "restock_lease", "restock_fence"} <= made
    assert place.execute("SELECT sku, stock FROM product") == [("a", 1), ("b", 2)]


def test_what_the_shop_wrote_to_an_unchanged_row_stays(make_place: Any, capfd: pytest.CaptureFixture[str]) -> None:
    place = make_place()
    place.stock("a,1,\nb,9,\n")
    place.execute("UPDATE product SET name = 'Spade, on sale'")

    run_here(capfd, "sync", "stock")

    assert place.execute("SELECT name, stock FROM product") == [("Spade, on sale", 1), ("Spade, on sale", 9)]
