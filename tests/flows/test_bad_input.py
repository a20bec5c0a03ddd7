"""Whatever is wrong with the call, the configuration or the source: one sentence, and nothing was touched."""

from __future__ import annotations

import gzip
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop, run_restock
from stories.doorway import Said, run_here
from stories.telling import everything, products, sync

from restock.errors import ConfigurationError
from sinks.database.retries import with_retries

Break = Callable[[Shop], object]
SYNC = ("sync", "products")


@pytest.fixture
def stocked(sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop after a good night, with the command in its folder."""
    monkeypatch.chdir(sqlite_shop.folder)
    sqlite_shop.write_csv("products.csv", products([1, 2, 3]))
    sync(sqlite_shop)
    return sqlite_shop


def check_refusal(said: Said, status: int, sentence: str, shop: Shop) -> None:
    assert said.status == status, said.err
    assert said.out == ""
    assert re.search(sentence, said.sentence), said.err
    told = [line for line in said.err.splitlines() if not line.endswith("…")]
    assert len(told) == 1, said.err
    assert told[0].endswith((".", "?"))
    assert str(shop.folder.parent) not in said.err
    assert not list((shop.folder / "spool").glob("*/*"))


def feeds_text(text: str) -> Break:
    return lambda shop: (shop.folder / "feeds.yaml").write_text(text, encoding="utf-8")


def feed_keys(**keys: object) -> Break:
    return lambda shop: shop.feed(**keys)


def module(code: str, **keys: str) -> Break:
    """Put a module `rules` into the shop's package and let a key of the feed name it."""

    def break_it(shop: Shop) -> None:
        (shop.folder / shop.package / "rules.py").write_text(code, encoding="utf-8")
        shop.feed(**{key: f"{shop.package}.{value}" for key, value in keys.items()})

    return break_it


APP = "from flask import Flask\ndef create_app():\n    return Flask('bare')\nnumber = 5\ndef give():\n    return 5\n"
FACTORY = "def create_app():\n    raise RuntimeError('secret 4711')\n"
WORDS = "class Plain:\n    pass\n"

CONFIGURATION: dict[str, tuple[Break, str]] = {
    "no feeds file": (lambda shop: (shop.folder / "feeds.yaml").unlink(), "There is no feeds file feeds.yaml; create"),
    "not YAML": (feeds_text("feeds:\n  a: [1\n"), r"feeds.yaml is not valid YAML \(line 3, column 1\)"),
    "no feeds": (feeds_text("- a\n"), "feeds.yaml holds no feeds; begin it with `feeds:`"),
    "not text": (lambda shop: (shop.folder / "feeds.yaml").write_bytes(b"feeds: \xff"), "it is not UTF-8 text"),
    "unknown key": (feed_keys(chunk_row=5), "the key 'chunk_row' is unknown; did you mean 'chunk_rows'"),
    "unknown csv key": (feed_keys(csv={"delimeter": ";"}), "'csv.delimeter' is unknown; did you mean 'delimiter'"),
    "wrong type": (feed_keys(chunk_rows="many"), "feed 'products': chunk_rows: "),
    "wrong word": (feed_keys(kind="weekly"), "feed 'products': kind: "),
    "wrong limit": (feed_keys(max_rejects="some"), "max_rejects: 'some' is not a limit; write a number of rows"),
    "wrong encoding": (feed_keys(csv={"encoding": "utf-9"}), "csv.encoding: 'utf-9' is not an encoding"),
    "one column twice": (feed_keys(columns={"sku": "a", "name": "a"}), "the source column 'a' is given to two"),
    "app without colon": (feed_keys(app="shop"), "The app is given as 'shop'; write it as package.module:name"),
    "no app module": (feed_keys(app="nowhere:create_app"), "there is no module 'nowhere'; correct the reference"),
    "no app name": (module("", app="rules:make"), "rules has no 'make'; correct the name after the colon"),
    "app hidden by us": (feed_keys(app="flows.shop:create_app"), "'flows' is restock's own and hides it"),
    "app that cannot be imported": (module("1 / 0", app="rules:app"), "ZeroDivisionError in .*rules.py, line 1"),
    "app that is no Python": (module("def", app="rules:app"), "SyntaxError in .*rules.py, line 1"),
    "app that needs more": (module("import nowhere", app="rules:app"), "it needs the module 'nowhere', which is not"),
    "factory that raises": (module(FACTORY, app="rules:create_app"), "RuntimeError in .*rules.py, line 2"),
    "app without SQLAlchemy": (module(APP, app="rules:create_app"), "does not use Flask-SQLAlchemy; call db.init_app"),
    "an app with arguments": (
        module("from flask import Flask\n\nready = Flask(__name__)", app="rules:ready(debug=True)"),
        "is made already and takes no arguments",
    ),
    "no app but a number": (module(APP, app="rules:number"), "neither a Flask app nor a function that makes one"),
    "factory of a number": (module(APP, app="rules:give"), "gave a int in place of a Flask app"),
    "no model": (module(APP, model="models:Produkt"), "The model of feed products .* has no 'Produkt'"),
    "not a model": (module(WORDS, model="rules:Plain"), "is not a mapped SQLAlchemy class; name one of the app's"),
    "match_on unknown": (feed_keys(match_on=["skku"]), "match_on names 'skku', .*; did you mean 'sku'"),
    "match_on not unique": (feed_keys(match_on=["name"]), "match_on name is not unique in the model"),
    "attribute unknown": (feed_keys(columns={"sku": "sku", "titel": "name"}), "columns names 'titel', which is not a"),
    "no transform module": (feed_keys(transform="nowhere:clean"), "the transform of feed 'products' nowhere:clean "),
    "no transform name": (module("", transform="rules:clean"), "rules has no 'clean'; correct the name"),
    "transform is no function": (module("clean = 5", transform="rules:clean"), "is not a function of one frame"),
    "transform of two": (module("def clean(a, b): ...", transform="rules:clean"), "is not a function of one frame"),
    "out of the folder": (feed_keys(source="../x.csv"), "'../x.csv' leads out of the folders that sources may come"),
    "a URI": (feed_keys(source="http://localhost/x.csv"), "is below no address that sources may come from"),
    "no known format": (feed_keys(source="feeds.yaml"), "The format of feeds.yaml cannot be told by its ending; say"),
}


@pytest.mark.parametrize("break_it, sentence", CONFIGURATION.values(), ids=CONFIGURATION)
def test_a_wrong_configuration_is_refused_before_anything_is_read_or_written(
    stocked: Shop, break_it: Break, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = everything(stocked)
    break_it(stocked)

    said = run_here(capfd, *SYNC)

    check_refusal(said, 2, f"(?i){sentence}", stocked)
    assert "4711" not in said.err
    assert everything(stocked) == before


CALLS: dict[str, tuple[list[str], str]] = {
    "unknown feed": (["sync", "product"], "There is no feed 'product' in feeds.yaml; did you mean 'products'?"),
    "nothing like a feed": (["sync", "x"], "There is no feed 'x' in feeds.yaml; it has: products."),
    "file above": (["sync", "products", "--file", "../x.csv"], "'../x.csv' leads out of the folders"),
    "absolute file": (["sync", "products", "--file", os.devnull], f"'{os.devnull}' leads out of the folders"),
    "file URI": (["sync", "products", "--file", "file:///x.csv"], "is neither a plain path nor an address"),
    "chained URI": (["sync", "products", "--file", "zip://x.csv::http://localhost/y"], "is neither a plain path nor"),
    "home": (["sync", "products", "--file", "~/x.csv"], "holds a '~', a '|' or a"),
    "link out": (["sync", "products", "--file", "link.csv"], "'link.csv' leads out of the folders"),
    "show": (["show", "no-run"], "There is no run no-run in any ledger; `restock runs` lists those there are."),
    "rejects": (["rejects", "no-run"], "There is no run no-run in any ledger"),
    "rejects to a file": (["rejects", "no-run", "--csv", "x.csv"], "There is no run no-run in any ledger"),
    "reprocess": (["reprocess", "--run", "no-run"], "There is no run no-run in any ledger"),
    "abandon": (["abandon", "no-run"], "There is no run no-run in any ledger"),
}


@pytest.mark.parametrize("args, sentence", CALLS.values(), ids=CALLS)
def test_a_wrong_call_is_refused(
    stocked: Shop, args: list[str], sentence: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("sku,name\nS-9,Out\n", encoding="utf-8")
    (stocked.folder / "link.csv").symlink_to(outside)
    before = everything(stocked)

    said = run_here(capfd, *args)

    check_refusal(said, 2, re.escape(sentence), stocked)
    assert everything(stocked) == before


@pytest.mark.parametrize("command", ["reprocess", "abandon"])
def test_a_chunk_that_a_run_does_not_have_is_refused(
    stocked: Shop, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run_id = stocked.rows("restock_run")[0]["run_id"]
    args = ["reprocess", "--run", run_id] if command == "reprocess" else ["abandon", run_id]
    before = everything(stocked)

    said = run_here(capfd, *args, "--chunk", "2")

    check_refusal(said, 2, f"Run {run_id} has no chunk 2; it has chunks 1 to 1", stocked)
    assert everything(stocked) == before


def test_nothing_can_be_abandoned_of_a_finished_run(stocked: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    run_id = stocked.rows("restock_run")[0]["run_id"]

    said = run_here(capfd, "abandon", run_id)

    check_refusal(said, 2, f"Run {run_id} has no such outstanding chunks; `restock show {run_id}`", stocked)


@pytest.mark.parametrize(
    "args",
    [
        ["sync"],
        ["sync", "products", "--wait", "long"],
        ["sync", "products", "--unknown"],
        ["reprocess", "--chunk", "1"],
        ["reprocess", "--rejects", "x.csv", "--run", "y"],
        ["nothing"],
    ],
)
def test_a_call_that_cannot_be_understood_ends_with_2(args: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    said = run_here(capfd, *args)

    assert said.status == 2
    assert said.out == ""
    assert said.sentence.startswith("Error: ")


def source(content: bytes, name: str = "products.csv", **keys: object) -> Break:
    def break_it(shop: Shop) -> None:
        (shop.folder / name).write_bytes(content)
        shop.feed(source=name, **keys)

    return break_it


def missing(shop: Shop) -> None:
    (shop.folder / "products.csv").unlink()


def folder(shop: Shop) -> None:
    missing(shop)
    (shop.folder / "products.csv").mkdir()


def parquet_called_csv(shop: Shop) -> None:
    shop.write_parquet("products.csv", [{"sku": "a", "name": "b"}])


HEADER = b"sku,name,price,stock\n"
SOURCES: dict[str, tuple[Break, str]] = {
    "missing": (missing, "There is no file products.csv; put it there, or correct the source."),
    "empty": (source(b""), "products.csv is empty (0 bytes); have it exported again."),
    "header only": (source(HEADER), "products.csv holds no rows, only a header; have it exported again."),
    "blank lines only": (source(b"\n\n"), "products.csv holds no header and no rows"),
    "a folder": (folder, "The folder 'products.csv' holds no file; put one there"),
    "Parquet called CSV": (parquet_called_csv, "products.csv is a Parquet file; say `format: parquet`"),
    "CSV called Parquet": (source(HEADER, "a.parquet"), "a.parquet is not a readable Parquet file; have it exported"),
    "gzip called CSV": (source(gzip.compress(HEADER)), "products.csv is compressed with gzip; give it the ending .gz"),
    "cut gzip": (source(gzip.compress(HEADER * 9)[:-9], "a.csv.gz"), "a.csv.gz is cut short: its gzip data has no end"),
    "no gzip": (source(HEADER, "a.csv.gz"), "a.csv.gz is not sound gzip data"),
    "no file of a glob": (
        feed_keys(source="*.tsv"),
        "No file matches the source '*.tsv'; put one there",
    ),
    "lacks a column": (source(b"sku,nam\na,b\n", columns={"sku": "sku", "name": "name"}), "lacks the column 'name'"),
    "unknown column": (source(b"sku,name,colour\na,b,c\n"), "has the column 'colour', which the model does not know"),
    "other delimiter": (source(b"sku;name\na;b\n", columns={"sku": "sku"}), "so `csv: delimiter` may be wrong"),
    "other delimiter, by name": (source(b"sku;name\na;b\n", columns=None), "so `csv: delimiter` may be wrong"),
    "one name twice": (source(b"sku,name,sku\na,b,c\n"), "products.csv has two columns named 'sku'; give each column"),
    "a column without a name": (source(b"sku,,name\na,b,c\n"), "has a column without a name (number 2)"),
    "wrong encoding": (source("sku,näme\n".encode("cp1252")), "is not in utf-8: byte 5 (0xe4) cannot be decoded; set"),
    "utf-16": (source("sku,name\na,b\n".encode("utf-16")), "byte 0 (0xff) cannot be decoded; set `csv: encoding`"),
}


@pytest.mark.parametrize("break_it, sentence", SOURCES.values(), ids=SOURCES)
def test_a_source_that_cannot_be_used_is_refused_as_a_whole(
    stocked: Shop, break_it: Break, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    break_it(stocked)
    before = everything(stocked)

    said = run_here(capfd, *SYNC)

    check_refusal(said, 1, re.escape(sentence), stocked)
    assert everything(stocked) == before


def test_a_wrong_file_of_several_refuses_them_all(stocked: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    stocked.feed(source=["products.csv", "more.csv"])
    (stocked.folder / "more.csv").write_text("sku,title\na,b\n", encoding="utf-8")
    before = everything(stocked)

    said = run_here(capfd, *SYNC)

    check_refusal(said, 1, "more.csv has the column 'title', which the model does not know", stocked)
    assert everything(stocked) == before


@pytest.mark.parametrize(
    "content, sentence",
    [
        (
            "sku,name\na,b\n",
            "x.csv has no column _restock_run; mend a file that `restock rejects RUN --csv",
        ),
        ("", "x.csv has no column _restock_run"),
        ("sku;name;_restock_run;_chunk;_row\n", "x.csv has another delimiter than its feed; save it with the one that"),
        (None, "x.csv cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_correction_is_refused(
    stocked: Shop, content: str | None, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (stocked.folder / "x.csv").write_text(content, encoding="utf-8")
    before = everything(stocked)

    said = run_here(capfd, "reprocess", "--rejects", "x.csv")

    check_refusal(said, 1, sentence, stocked)
    assert everything(stocked) == before


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_database_that_does_not_answer_is_named_without_its_password(
    stocked: Shop, closed_port: int, driver: str, capfd: pytest.CaptureFixture[str]
) -> None:
    url = f"{driver}://clerk:s3cret@127.0.0.1:{closed_port}/shop"
    package = stocked.folder / stocked.package
    app = (package / "__init__.py").read_text(encoding="utf-8")
    (package / "far.py").write_text(
        app.replace(repr(stocked.engine.url.render_as_string()), repr(url)).replace(
            "from .models import", f"from {stocked.package}.models import"
        ),
        encoding="utf-8",
    )
    stocked.feed(app=f"{stocked.package}.far:create_app")
    before = everything(stocked)

    said = run_here(capfd, *SYNC)

    check_refusal(said, 1, f"127.0.0.1:{closed_port}/shop: .*; what is committed is kept", stocked)
    assert "s3cret" not in said.err
    assert "clerk" not in said.err
    assert everything(stocked) == before


MADE_AT_ONCE = """\
import sqlalchemy as sa
from flask import Flask
from {package}.models import db


def create_app():
    app = Flask(__name__, instance_path={folder!r})
    app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
    db.init_app(app)
    if {creates}:
        with app.app_context():
            db.create_all()
    return app
"""


@pytest.mark.parametrize("creates", [True, False], ids=["create_all", "plain"])
@pytest.mark.parametrize(
    "kind, change, status, told",
    [
        ("postgresql", {"database": "no_such_shop"}, 2, "it has no database of that name"),
        ("postgresql", {"username": "nobody-here"}, 2, "it does not accept the app's user or password"),
        ("postgresql", {"username": "pg_monitor"}, 2, "it does not let the app's user log in"),
        ("mariadb", {"database": "no_such_shop"}, 2, "it has no database of that name"),
        ("mariadb", {"username": "nobody-here", "password": "s3cret"}, 2, "does not accept the app's user or password"),
        ("postgresql", {"host": "127.0.0.1", "port": 1}, 1, "127.0.0.1:1"),
        ("postgresql", {"drivername": "postgres"}, 2, "begins with postgres, which SQLAlchemy does not know"),
    ],
)
def test_a_wrong_address_of_the_database_is_told_apart_from_one_that_is_away(
    stocked: Shop,
    make_database: MakeDatabase,
    no_pauses: None,
    capfd: pytest.CaptureFixture[str],
    creates: bool,
    kind: str,
    change: dict[str, Any],
    status: int,
    told: str,
) -> None:
    url = sa.make_url(make_database(kind)).set(**change)
    if "port" in change:
        url = url.difference_update_query(["host"])
    code = MADE_AT_ONCE.format(
        package=stocked.package,
        folder=str(stocked.folder / "instance"),
        url=url.render_as_string(hide_password=False),
        creates=creates,
    )
    (stocked.folder / stocked.package / "wrong.py").write_text(code, encoding="utf-8")
    stocked.feed(app=f"{stocked.package}.wrong:create_app")

    said = run_here(capfd, *SYNC)

    check_refusal(said, status, told, stocked)
    assert not [each for each in ("s3cret", "nobody-here") if each in said.err]


def test_a_postgresql_database_that_the_user_may_not_use_is_not_said_to_be_away(
    make_shop: MakeShop, postgresql_url: str
) -> None:
    shop = make_shop(postgresql_url)
    database = shop.engine.url.database
    role = f"{database}_guest"
    shop.execute(f"CREATE ROLE {role} LOGIN")
    shop.execute(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    guest = sa.create_engine(shop.engine.url.set(username=role), poolclass=sa.NullPool)
    try:
        with pytest.raises(ConfigurationError) as told:
            with_retries(lambda: guest.connect(), "loading")
    finally:
        shop.execute(f"DROP ROLE {role}")

    assert str(told.value) == (
        "The database server turned the app away while loading: it has no database of that name that the app's user "
        "may use (OperationalError); what is committed is kept: correct the address that the app has of it, or the "
        "rights of that user, then start again."
    )


def test_a_server_that_does_not_tell_whether_it_has_the_database_is_told_apart_too(
    make_shop: MakeShop, mariadb_url: str
) -> None:
    shop = make_shop(mariadb_url)
    shop.write_csv("products.csv", products([1]))
    clerk = f"clerk_{uuid.uuid4().hex[:8]}"
    as_clerk = sa.make_url(mariadb_url).set(username=clerk, password="s3cret", database="no_such_shop")
    app = shop.folder / shop.package / "__init__.py"
    text = app.read_text(encoding="utf-8").replace(mariadb_url, as_clerk.render_as_string(hide_password=False))
    app.write_text(text, encoding="utf-8")
    shop.execute(f"CREATE USER {clerk} IDENTIFIED BY 's3cret'")
    try:
        refused = run_restock(["sync", "products"], shop)
    finally:
        shop.execute(f"DROP USER {clerk}")

    assert refused.returncode == 2
    assert "it has no database of that name that the app's user may use" in refused.stderr


def test_a_user_who_may_not_create_the_ledger_is_told_what_to_do(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url)
    shop.write_csv("products.csv", products([1]))
    role = f"clerk_{uuid.uuid4().hex[:8]}"
    as_role = sa.make_url(postgresql_url).set(username=role, password="s3cret").render_as_string(hide_password=False)
    app = shop.folder / shop.package / "__init__.py"
    app.write_text(app.read_text(encoding="utf-8").replace(postgresql_url, as_role), encoding="utf-8")
    shop.execute(f"CREATE ROLE {role} LOGIN PASSWORD 's3cret'")
    shop.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    shop.execute(f"GRANT SELECT, INSERT, UPDATE ON product TO {role}")
    try:
        refused = run_restock(["sync", "products"], shop)
    finally:
        shop.execute(f"DROP OWNED BY {role}")
        shop.execute(f"DROP ROLE {role}")

    assert refused.returncode == 2
    assert (
        "The ledger tables (restock_run, restock_chunk, restock_reject, restock_lease, restock_fence) cannot be"
        in refused.stderr
    )
    assert "let a database user who may create and alter tables run `restock init` once" in refused.stderr
    assert "s3cret" not in refused.stderr
    assert "Traceback" not in refused.stderr
    assert shop.tables() == ["category", "product"]
