"""The database roles of docs/security.md suffice for a load, and for nothing more. The shipped files keep its rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from shops import Shop, run_restock
from test_docs import blocks

from flows.terminal.work import create_ledgers

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PASSWORD = "a long random text"


@pytest.fixture(params=["postgresql", "mariadb"])
def guarded_shop(request: pytest.FixtureRequest, make_shop: Callable[..., Shop]) -> Iterator[Shop]:
    """A shop whose app signs in with the role of the page, its ledger made by the owner."""
    url = sa.make_url(request.getfixturevalue(f"{request.param}_url"))
    owner = make_shop(url.render_as_string(hide_password=False))
    owner.feed(chunk_rows=2)
    create_ledgers()
    role = f"restock_{url.database[-12:]}"
    postgresql, mariadb = blocks(ROOT / "docs" / "security.md", "sql")
    text = re.sub("--.*", "", postgresql if request.param == "postgresql" else mariadb)
    text = re.sub(r"\b(TO|ROLE|USER) restock\b", rf"\1 {role}", text)
    text = text.replace("DATABASE shop", f"DATABASE {url.database}").replace("shop.", f"{url.database}.")
    for statement in filter(None, (each.strip() for each in text.split(";"))):
        owner.execute(statement)
    home = owner.folder / owner.package / "__init__.py"
    guarded = url.set(username=role, password=PASSWORD).render_as_string(hide_password=False)
    home.write_text(re.sub(r'(DATABASE_URI"\] = ).*', lambda found: f"{found[1]}{guarded!r}", home.read_text()))
    yield owner
    drop = [f"DROP OWNED BY {role}", f"DROP ROLE {role}"] if request.param == "postgresql" else [f"DROP USER {role}"]
    for statement in drop:
        owner.execute(statement)


def test_the_role_of_the_page_loads_and_prunes_and_may_do_no_more(guarded_shop: Shop) -> None:
    rows = [{"sku": f"S-{n}", "name": "" if n == 3 else "Rake"} for n in range(5)]
    guarded_shop.write_csv("products.csv", rows)
    first = run_restock(["sync", "products"], guarded_shop)
    guarded_shop.write_csv("products.csv", [{**row, "name": "Hoe"} for row in rows])

    again = run_restock(["sync", "products"], guarded_shop)
    pruned = run_restock(["prune", "--older-than", "0"], guarded_shop)

    assert [first.returncode, again.returncode, pruned.returncode] == [0, 0, 0], first.stderr + again.stderr
    assert {row["name"] for row in guarded_shop.rows("product")} == {"Hoe"}
    assert len(guarded_shop.rows("product")) == 5
    app = (guarded_shop.folder / guarded_shop.package / "__init__.py").read_text()
    address = re.search(r"DATABASE_URI\"\] = '(.*)'", app)
    assert address
    engine = sa.create_engine(address[1])
    for forbidden in ("DELETE FROM product", "DROP TABLE product", "CREATE TABLE mine (n integer)"):
        with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
            connection.exec_driver_sql(forbidden)
    engine.dispose()


def test_compose_publishes_nothing_but_loopback_and_holds_no_secret() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]

    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert asked == set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "example.env").read_text(), re.MULTILINE))
    server = services["server"]["environment"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"].startswith("${")
    assert server["PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED"] == "true"
    for name in ("server", "worker", "metrics", "setup"):
        assert (services[name]["user"], services[name]["cap_drop"]) == ("10001:10001", ["ALL"])
        assert {network for network in services[name]["networks"]} <= {"inside", "outside"}


def test_the_image_holds_every_room() -> None:
    copied = re.findall(r"^COPY (\S+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)

    assert {"restock", "sources", "transforms", "sinks", "flows", "prefect", "prefect.yaml"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="Install systemd to check the units.")
@pytest.mark.parametrize("unit", sorted(DEPLOY.glob("*.service")), ids=lambda unit: unit.name)
def test_the_units_are_units(unit: Path, tmp_path: Path) -> None:
    here = tmp_path / unit.name
    here.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={shutil.which('true')}", unit.read_text()))

    done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False)

    assert unit.name not in done.stderr, done.stderr
    assert "NoNewPrivileges=yes" in unit.read_text()


def test_the_work_pool_takes_no_command_folder_or_environment() -> None:
    pool = json.loads((ROOT / "prefect/work-pool.json").read_text())

    assert pool["variables"]["properties"] == {}
    assert "{{" not in json.dumps(pool)
