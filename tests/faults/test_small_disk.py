"""A disk that is really full: that of the rows, and that of the spool (T09, T10).

Not on MariaDB, whose server ends itself when a table's file cannot grow; its error 1114 is raised in
`test_every_database_call`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from faults import children, oracle, upsets
from faults.loads import Load, make_load
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop

from restock.errors import SinkUnavailable

ROWS = 12_000
CHUNK_ROWS = 1_000
NO_POISON = frozenset[int]()


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own, which can be made larger."""

    path: Path

    def grow(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=256m", self.path], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of half a megabyte."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0777", "tmpfs", path]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("Mount a small file system here (as root, where that is allowed) to fill a real disk.")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def load(
    request: pytest.FixtureRequest, make_database: MakeDatabase, make_shop: MakeShop, small_disk: SmallDisk
) -> Iterator[Load]:
    """A load whose table lies on the small disk, and so does all of a SQLite file."""
    home = small_disk.path
    with ExitStack() as cleaning:
        if request.param == "sqlite":
            load = make_load(make_shop(f"sqlite:///{home / 'shop.sqlite'}"))
        else:
            shop = make_shop(make_database(request.param))
            _move_to(shop, home, cleaning)
            load = make_load(shop)
        load.write(ROWS, CHUNK_ROWS, NO_POISON)
        yield load


def _move_to(shop: Shop, home: Path, cleaning: ExitStack) -> None:
    folder = home / "tablespace"
    folder.mkdir()
    [data] = shop.execute("SHOW data_directory")
    os.chown(folder, Path(data["data_directory"]).stat().st_uid, -1)
    name = f"small_{shop.package}"
    for parent in home.parents:
        if not (mode := parent.stat().st_mode) & 0o001:
            parent.chmod(mode | 0o055)  # the server runs as another user where we are root
    autocommit = shop.engine.execution_options(isolation_level="AUTOCOMMIT")

    def run(statement: str) -> None:
        with autocommit.connect() as connection:
            connection.execute(sa.text(statement))

    run(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
    cleaning.callback(run, f"DROP TABLESPACE {name}")
    cleaning.callback(run, "DROP TABLE product")
    run(f"ALTER TABLE product SET TABLESPACE {name}")


def test_a_table_whose_disk_is_full_costs_no_row_and_goes_on_when_there_is_space(
    load: Load, small_disk: SmallDisk
) -> None:
    with pytest.raises(SinkUnavailable, match="no space or memory left in the database") as told:
        upsets.sync_once(load)

    assert str(told.value).count("\n") == 0
    assert load.untruths() == []
    assert oracle.reject_positions(load.shop.engine) == set()
    assert set(oracle.statuses(load.shop.engine)) == {"loaded", "planned"}

    small_disk.grow()
    upsets.load_until_done(load)
    assert load.violations() == []


def test_a_spool_whose_disk_is_full_stops_the_run_before_it_begins(
    make_database: MakeDatabase, make_shop: MakeShop, small_disk: SmallDisk
) -> None:
    load = make_load(make_shop(make_database("sqlite")))
    load.write(40_000, CHUNK_ROWS, NO_POISON)
    place = {"RESTOCK_SPOOL": str(small_disk.path / "spool")}

    status, said = children.run(["sync", "products"], load.shop, env=place)

    assert status == 1, said
    assert "spool cannot be written: its disk is full; make room and start again." in said
    assert len(said.strip().splitlines()) == 2
    assert oracle.spooled(small_disk.path) == []
    assert load.untruths() == []

    small_disk.grow()
    assert children.run(["sync", "products"], load.shop, env=place)[0] == 0
    assert load.violations() == []
