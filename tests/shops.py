"""A small Flask-SQLAlchemy shop on disk, as a user would have one, and the restock command run beside it.

A `Shop` reads and writes its tables through an engine of its own: what it reports was not seen by the product's code.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
import yaml

# Begins the models module of every shop; a test that brings models of its own gives only what follows.
PREAMBLE = '''\
"""The models of this shop."""

import datetime as dt
import decimal
import enum
import uuid

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
'''

DEFAULT_MODELS = """\
class Category(db.Model):
    __tablename__ = "category"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100), unique=True)


class Product(db.Model):
    __tablename__ = "product"
    __table_args__ = (sa.CheckConstraint("price >= 0", name="price_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(32), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 2))
    stock: Mapped[int | None]
    updated_at: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    category_id: Mapped[int | None] = mapped_column(sa.ForeignKey("category.id"))
"""

# A type of which SQL makes what is stored, for a model that is all of a shop.
SHOUTED = """\
class Shouted(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self):
        return "TEXT"

    def bind_expression(self, bindvalue):
        return sa.func.upper(bindvalue, type_=self)


class Item(db.Model):
    __tablename__ = "item"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None] = mapped_column(Shouted)
"""

APP = '''\
"""The app of this shop."""

from flask import Flask

from .models import *  # so that a feed may name the models here as well
from .models import db

apps = []  # every app made in this process, so that the test can close their connections


def create_app():
    app = Flask(__name__, instance_path={instance!r})
    app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
    app.config["SQLALCHEMY_BINDS"] = {binds!r}
    db.init_app(app)
    apps.append(app)
    return app
'''


@dataclass(frozen=True)
class Shop:
    """One shop: its folder (with feeds.yaml), its importable package, its database."""

    folder: Path
    package: str
    engine: sa.Engine
    feed_name: str = "products"

    @property
    def app(self) -> str:
        """The reference to the app, as feeds.yaml wants it."""
        return f"{self.package}:create_app"

    def model(self, name: str = "Product") -> str:
        """The reference to a model, as feeds.yaml wants it."""
        return f"{self.package}.models:{name}"

    def feeds(self, feeds: Mapping[str, Mapping[str, Any]]) -> Path:
        """Write feeds.yaml; a feed that names no app, model or source gets this shop's, and `<feed>.csv`."""
        whole = {
            name: {"source": f"{name}.csv", "app": self.app, "model": self.model(), **feed}
            for name, feed in feeds.items()
        }
        path = self.folder / "feeds.yaml"
        path.write_text(yaml.safe_dump({"feeds": whole}, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    def feed(self, **keys: Any) -> Path:
        """Write feeds.yaml with the one feed `products`, matched on the SKU unless the keys say otherwise."""
        return self.feeds({self.feed_name: {"match_on": ["sku"], **keys}})

    def write_csv(self, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Path:
        """Write a CSV file beside feeds.yaml; None becomes the empty field. Without rows, give the columns."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns or list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def write_parquet(self, name: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema | None = None) -> Path:
        """Write a Parquet file beside feeds.yaml."""
        path = self.folder / name
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)
        return path

    def rows(self, table: str, *columns: str) -> list[dict[str, Any]]:
        """The rows of a table in the order of its key, all columns or those named. Aware timestamps are in UTC."""
        with self.engine.connect() as connection:
            reflected = sa.Table(table, sa.MetaData(), autoload_with=connection)
            chosen = [reflected.c[name] for name in columns] or list(reflected.c)
            result = connection.execute(sa.select(*chosen).order_by(*(reflected.primary_key.columns or chosen)))
            return [{name: _in_utc(value) for name, value in row.items()} for row in result.mappings()]

    def insert(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Put rows into a table, as someone else than restock would."""
        with self.engine.begin() as connection:
            reflected = sa.Table(table, sa.MetaData(), autoload_with=connection)
            for row in rows:
                connection.execute(reflected.insert().values(**row))

    def execute(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement in a transaction of its own; its rows, if it returns any."""
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(sql), parameters)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    def tables(self) -> list[str]:
        """The names of the tables in the shop's database, sorted."""
        return sorted(sa.inspect(self.engine).get_table_names())


def refuse_by_trigger(shop: Shop, table: str, condition: str, how: str = "") -> None:
    """Let a trigger of the shop refuse rows that meet a condition (`NEW.stock = 4`), in its database's own way."""
    statements = {
        "sqlite": [
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN {condition} "
            "BEGIN SELECT RAISE(ABORT, 'the shop says no to SECRET'); END"
        ],
        "mysql": [
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW IF {condition} THEN "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the shop says no to SECRET'; END IF"
        ],
        "postgresql": [
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
            f"RAISE EXCEPTION 'the shop says no to SECRET'{how}; END IF; RETURN NEW; END $$",
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()",
        ],
    }[shop.engine.dialect.name]
    for statement in statements:
        shop.execute(statement)


def write_package(folder: Path, package: str, url: str, models: str, binds: Mapping[str, str]) -> None:
    """Write the app and its models as an importable package into `folder`."""
    home = folder / package
    home.mkdir()
    app = APP.format(url=url, binds=dict(binds), instance=str(folder / "instance"))
    (home / "__init__.py").write_text(app, encoding="utf-8")
    (home / "models.py").write_text(f"{PREAMBLE}\n\n{models}", encoding="utf-8")


def run_restock(
    args: Sequence[str], shop: Shop, env: Mapping[str, str] | None = None, timeout_seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the restock command in the shop's folder and wait for it."""
    with start_restock(args, shop, env) as process:
        try:
            output, errors = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def start_restock(args: Sequence[str], shop: Shop, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the restock command in the shop's folder, for tests that interrupt it."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *args],
        cwd=shop.folder,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value
