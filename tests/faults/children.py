"""The restock command in processes of its own, forked from a server that has imported everything but opened nothing."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from faults.failpoints import Failpoint, arm
from looking import PATIENCE_SECONDS, wait_until
from shops import Shop

PRELOADED = [
    *(
        "flows.cli",
        "flows.terminal.work",
        "faults.failpoints",
        "flask_sqlalchemy",
        "pyarrow.dataset",
        "pyarrow.parquet",
    ),
    *("psycopg", "pgpq", "pymysql", "adbc_driver_sqlite.dbapi"),
]

# Called in a child before the command: a function of a module, or a partial of one.
Preparation = Callable[[], None]

forking = multiprocessing.get_context("forkserver")
forking.set_forkserver_preload(PRELOADED)
# To start a process, multiprocessing asks all others for their status, and a status can be read only once.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Child:
    """One restock command under way. Its standard output and error go to one file."""

    process: BaseProcess
    output: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return not connection.wait([self.process.sentinel], 0)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        if not connection.wait([self.process.sentinel], seconds):
            self.process.kill()
            raise AssertionError(f"it did not end in {seconds} s: {self.said()}")
        with _one_at_a_time:
            status = self.process.exitcode
        assert status is not None
        return status

    def wait_until_stopped(self) -> None:
        """Wait until it has been stopped by a signal."""
        status = Path(f"/proc/{self.pid}/stat")
        wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")


def start(
    args: Sequence[str],
    shop: Shop,
    failpoint: Failpoint | None = None,
    env: Mapping[str, str] | None = None,
    prepare: Preparation | None = None,
) -> Child:
    """Start a command in the shop's folder."""
    output = shop.folder / f"output-{uuid.uuid4().hex[:8]}.txt"
    places = {"RESTOCK_FEEDS": str(shop.folder / "feeds.yaml"), "RESTOCK_SPOOL": str(shop.folder / "spool")}
    environment = {**os.environ, **places, **(env or {})}
    process = forking.Process(target=_command, args=(list(args), shop.folder, environment, failpoint, output, prepare))
    with _one_at_a_time:
        process.start()
    return Child(process, output)


def run(
    args: Sequence[str],
    shop: Shop,
    failpoint: Failpoint | None = None,
    env: Mapping[str, str] | None = None,
    prepare: Preparation | None = None,
) -> tuple[int, str]:
    """Run a command to its end: its exit status, and what it said."""
    child = start(args, shop, failpoint, env, prepare)
    status = child.wait()
    return status, child.said()


def _command(
    args: list[str],
    folder: Path,
    environment: dict[str, str],
    failpoint: Failpoint | None,
    output: Path,
    prepare: Preparation | None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if failpoint is not None:
        arm(failpoint)
    if prepare is not None:
        prepare()
    from flows.cli import main

    main(args)
