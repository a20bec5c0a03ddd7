"""Apps as users have them: whatever they are made of, `restock sync` brings their products in."""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from fix_shop import MakeShop
from shops import Shop, run_restock
from stories.doorway import run_here
from stories.telling import counts, sync

LEDGER = {"restock_run", "restock_chunk", "restock_reject", "restock_lease", "restock_fence"}

MODERN = """
    import datetime, os
    import sqlalchemy as sa
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    class Product(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        sku: Mapped[str] = mapped_column(sa.String(32), unique=True)
        name: Mapped[str]
"""
LEGACY = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    db = SQLAlchemy()

    class Product(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        sku = db.Column(db.String(32), unique=True, nullable=False)
        name = db.Column(db.String(100))
"""
LEGACY_WITH_BASE = """
    from datetime import datetime
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from flask_sqlalchemy.model import Model

    class Stamped(Model):
        def __init__(self, **values):
            super().__init__(**values)
            self.made_by = "constructor"

    db = SQLAlchemy(model_class=Stamped)

    class Timed(db.Model):
        __abstract__ = True
        touched = db.Column(db.Integer, default=1, onupdate=2)

    class Product(Timed):
        id = db.Column(db.Integer, primary_key=True)
        sku = db.Column(db.String(32), unique=True, nullable=False)
        name = db.Column(db.String(100))
"""
FACTORY = """
    def create_app(kind="plain", *, prefix="", noisy=False):
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{folder}/" + prefix + kind + ".sqlite"
        db.init_app(app)
        with app.app_context():
            db.create_all()
        return app
"""
MODULE_LEVEL = f"""
    {FACTORY.strip()}

    app = create_app("module")

    class site:
        app = app
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with feeds.yaml in which apps may be put; they are forgotten after the test."""
    before = set(sys.modules)
    monkeypatch.setenv("RESTOCK_FEEDS", str(tmp_path / "feeds.yaml"))
    monkeypatch.setenv("RESTOCK_SPOOL", str(tmp_path / "spool"))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        db = getattr(sys.modules[name], "db", None) if name.startswith("app_") else None
        for app, engines in list(getattr(db, "_app_engines", {}).items()):
            del app
            for engine in engines.values():
                engine.dispose()
        if name.startswith("app_"):
            del sys.modules[name]


def put_app(folder: Path, source: str) -> str:
    """Put a module into the folder: its name."""
    name = f"app_{uuid.uuid4().hex[:8]}"
    (folder / f"{name}.py").write_text(textwrap.dedent(source).replace("{folder}", str(folder)), encoding="utf-8")
    importlib.invalidate_caches()
    return name


def put_feeds(folder: Path, **apps: str) -> None:
    """Write feeds.yaml with a feed for each app, and the file that they all read."""
    (folder / "products.csv").write_text("sku,name\na,Spade\nb,Rake\n", encoding="utf-8")
    feeds = {
        name: {"source": "products.csv", "app": app, "model": f"{app.partition(':')[0]}:Product", "match_on": ["sku"]}
        for name, app in apps.items()
    }
    (folder / "feeds.yaml").write_text(yaml.safe_dump({"feeds": feeds}), encoding="utf-8")


def products_in(file: Path) -> list[tuple[str, str]]:
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    with closing(engine.connect()) as connection:
        return [tuple(row) for row in connection.execute(sa.text("SELECT sku, name FROM product ORDER BY sku"))]


BOTH = [("a", "Spade"), ("b", "Rake")]


@pytest.mark.parametrize(
    "app, file",
    [
        (":create_app", "plain"),
        (":create_app()", "plain"),
        (':create_app("shop")', "shop"),
        (':create_app("shop", prefix="big_", noisy=True)', "big_shop"),
        (":app", "module"),
        (":site.app", "module"),
    ],
)
@pytest.mark.parametrize("models", [MODERN, LEGACY, LEGACY_WITH_BASE], ids=["modern", "legacy", "legacy with a base"])
def test_an_app_is_named_in_any_of_the_usual_ways(
    folder: Path, capfd: pytest.CaptureFixture[str], models: str, app: str, file: str
) -> None:
    put_feeds(folder, products=put_app(folder, models + MODULE_LEVEL) + app)

    first, second = run_here(capfd, "sync", "products", "--json"), run_here(capfd, "sync", "products", "--json")

    assert (first.status, first.answer["inserted"]) == (0, 2), first.err
    assert (second.status, second.answer["unchanged"]) == (0, 2)
    assert products_in(folder / f"{file}.sqlite") == BOTH


def test_two_apps_share_one_feeds_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, two = (put_app(folder, models + FACTORY) for models in (MODERN, LEGACY))
    put_feeds(folder, one=f'{one}:create_app("one")', two=f'{two}:create_app("two")')

    for feed in ("one", "two"):
        assert run_here(capfd, "sync", feed).status == 0
        assert products_in(folder / f"{feed}.sqlite") == BOTH
    assert run_here(capfd, "sync", "one", "--json").answer["unchanged"] == 2


def test_the_ledger_goes_to_the_bind_of_the_model_and_only_there(make_shop: MakeShop, tmp_path: Path) -> None:
    models = """\
class Page(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)


class Product(db.Model):
    __bind_key__ = "stock"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(32), unique=True)
    name: Mapped[str]
"""
    urls = {name: f"sqlite:///{tmp_path}/{name}.sqlite" for name in ("main", "stock", "other")}
    shop = make_shop(urls["main"], models, binds={"stock": urls["stock"], "other": urls["other"]})
    shop.write_csv("products.csv", [{"sku": "a", "name": "Spade"}, {"sku": "b", "name": "Rake"}])

    report = sync_without_conservation(shop)

    assert report == 2
    assert products_in(tmp_path / "stock.sqlite") == BOTH
    assert tables_in(urls["stock"]) == {"product", *LEDGER}
    assert tables_in(urls["main"]) == {"page"}
    assert tables_in(urls["other"]) == set()


def sync_without_conservation(shop: Shop) -> int:
    """`restock sync`, whose ledger is not in the database that the shop looks at: how many rows it inserted."""
    done = run_restock(["sync", "products", "--json"], shop)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["inserted"]


def tables_in(url: str) -> set[str]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    return set(sa.inspect(engine).get_table_names())


NOISE = """
    import sys, warnings
    print("the shop says hello")
    sys.stdout.write("and more\\n")
    warnings.warn("the shop is old", DeprecationWarning)
    warnings.warn("and grumbles")
"""


def test_an_app_that_prints_and_warns_does_not_spoil_the_answer(make_shop: MakeShop, sqlite_url: str) -> None:
    shop = make_shop(sqlite_url)
    home = shop.folder / shop.package / "__init__.py"
    home.write_text(home.read_text() + textwrap.dedent(NOISE), encoding="utf-8")
    shop.write_csv("products.csv", [{"sku": "a", "name": "Spade"}])

    done = run_restock(["sync", "products", "--json"], shop)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["inserted"] == 1
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("where", ["import", "factory"])
def test_an_app_that_misses_an_environment_variable_is_told_by_name_file_and_line(
    folder: Path, capfd: pytest.CaptureFixture[str], where: str
) -> None:
    needs = 'os.environ["SHOP_SECRET_URL"]'
    factory = f"    def create_app():\n        return {needs}\n"
    source = MODERN + (f"    URL = {needs}\n" if where == "import" else "") + factory
    name = put_app(folder, source)
    put_feeds(folder, products=f"{name}:create_app")

    said = run_here(capfd, "sync", "products")

    line = 1 + textwrap.dedent(source).splitlines().index(
        "URL = " + needs if where == "import" else f"    return {needs}"
    )
    assert said.status == 2
    assert f"{name}:create_app failed while it was {'imported' if where == 'import' else 'made'}" in said.sentence
    assert "KeyError 'SHOP_SECRET_URL'" in said.sentence
    assert f"{name}.py, line {line}" in said.sentence
    assert "Traceback" not in said.err


def test_an_app_that_needs_a_module_which_is_not_here_is_told_what_to_install_and_where(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = put_app(folder, MODERN + "    def create_app():\n        import no_such_driver\n")
    put_feeds(folder, products=f"{name}:create_app")

    said = run_here(capfd, "sync", "products")

    assert said.status == 2
    assert f"{name}:create_app needs the module 'no_such_driver' (in " in said.sentence
    assert said.sentence.endswith(f"{name}.py, line 18), which is not installed here; install it where restock is.")


@pytest.mark.parametrize(
    "call, why", [("create_app", "missing a required argument: 'config'"), ("create_app(1, 2)", "too many positional")]
)
def test_a_factory_that_is_called_with_other_arguments_than_it_takes_is_told_so(
    folder: Path, capfd: pytest.CaptureFixture[str], call: str, why: str
) -> None:
    name = put_app(folder, MODERN + "    def create_app(config):\n        return app\n")
    put_feeds(folder, products=f"{name}:{call}")

    said = run_here(capfd, "sync", "products")

    assert said.status == 2
    assert f"The app {name}:{call} cannot be called so: {why}" in said.sentence
    assert said.sentence.endswith('; write what it takes behind the name, as in shop:create_app("production").')


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate"])
def test_the_journal_mode_of_the_app_is_left_alone(sqlite_shop: Shop, mode: str) -> None:
    asked = sqlite_shop.execute(f"PRAGMA journal_mode = {mode}")
    sqlite_shop.write_csv("products.csv", [{"sku": "a", "name": "Spade"}])

    sync(sqlite_shop)

    assert asked == sqlite_shop.execute("PRAGMA journal_mode") == [{"journal_mode": mode}]


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
def test_what_an_open_shop_writes_during_a_sync_is_neither_lost_nor_undone(sqlite_shop: Shop, writer: str) -> None:
    """The shop counts in a column that the feed does not fill, in rows that change and in rows that do not."""
    rows = [{"sku": f"S{number:05}", "name": "Spade", "stock": 1} for number in range(2_000)]
    with sqlite_shop.engine.begin() as connection:
        table = sa.table("product", *map(sa.column, ["sku", "name", "stock", "price"]))
        connection.execute(table.insert(), [row | {"price": 0} for row in rows])
    changed = [row | {"stock": 2 if place % 2 else 1} for place, row in enumerate(rows)]
    sqlite_shop.write_csv("products.csv", changed)
    sqlite_shop.feed(writer=writer, chunk_rows=250)
    is_over = threading.Event()

    def sell() -> int:
        sales = 0
        while not is_over.wait(0.01):
            sku = f"S{sales * 7919 % 2_000:05}"
            sqlite_shop.execute("UPDATE product SET price = price + 1 WHERE sku = :sku", sku=sku)
            sales += 1
        return sales

    with ThreadPoolExecutor(1) as customers:
        selling = customers.submit(sell)
        try:
            report = sync(sqlite_shop)
        finally:
            is_over.set()
        sales = selling.result()

    assert counts(report) == {"updated": 1_000, "unchanged": 1_000}
    assert sales > 5
    assert sqlite_shop.execute("SELECT sum(price) AS sold FROM product") == [{"sold": sales}]
    assert [row["stock"] for row in sqlite_shop.rows("product", "sku", "stock")] == [1, 2] * 1_000
