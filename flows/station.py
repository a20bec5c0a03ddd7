"""A station: Prefect server, work pool, worker and deployments on this machine, without containers.

`make up` and `make down` are `python -m flows.station up` and `down`. What it knows stays in `.restock/station` here.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from flows.orchestration.deployments import are_current
from flows.orchestration.prefect_server import answers, is_free, server_environment
from flows.runs.workplace import open_workplace
from restock.errors import ConfigurationError, RestockError
from restock.paths import shown
from sinks.ledger.owners import Owner

PORT = 4200
START_SECONDS = 90.0
# Prefect kills a run that has not ended 30 seconds after it was told to.
STOP_SECONDS = 45.0
POOL = "restock"


@dataclass(frozen=True)
class Station:
    """The station of one folder."""

    home: Path

    def up(self, port: int) -> str:
        """Start what is not running yet; the address of the pages.

        Raises:
            ConfigurationError: the port is taken, or feeds.yaml or prefect.yaml are wrong.
            RestockError: something did not start; the sentence names its log.
        """
        place = open_workplace()
        if not are_current(Path("prefect.yaml"), place.feeds):
            raise ConfigurationError("prefect.yaml is behind feeds.yaml; run `restock deployments`, then try again.")
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._start_server(port)
        if not self._is_running("worker"):
            pool = ["work-pool", "create", POOL, "--type", "process", "--overwrite", "--base-job-template"]
            self._command("prefect", *pool, "prefect/work-pool.json")
        self._command("prefect", "--no-prompt", "deploy", "--all")
        self._command("flows.cli", "automations")
        if not self._is_running("worker"):
            self._start("worker", ["worker", "start", "--pool", POOL], self._environment)
        return self.url.removesuffix("/api")

    def down(self) -> list[str]:
        """End worker and server; which of them were running. The worker's runs roll their chunk back."""
        return [name for name in ("worker", "server") if self._end(name)]

    @property
    def is_paused(self) -> bool:
        """Whether somebody paused the work pool, so that its runs wait."""
        pool = json.loads(self._command("prefect", "work-pool", "inspect", POOL, "--output", "json"))
        return bool(pool["is_paused"])

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{(self.home / 'port').read_text()}/api"

    @property
    def auth_string(self) -> str:
        """What a caller of the API has to know. Other users of this machine can reach the port, but not this file."""
        file = self.home / "auth-string"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(f"restock:{secrets.token_urlsafe(18)}", encoding="utf-8")
        return file.read_text(encoding="utf-8")

    @property
    def _environment(self) -> dict[str, str]:
        """What a caller of the server is started with."""
        return os.environ | {
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_API_AUTH_STRING": self.auth_string,
            "PREFECT_WORKER_QUERY_SECONDS": os.environ.get("PREFECT_WORKER_QUERY_SECONDS", "2"),
            "DO_NOT_TRACK": "1",
        }

    def _start_server(self, port: int) -> None:
        if self._is_running("server"):
            return
        if not is_free(port):
            raise ConfigurationError(
                f"Port {port} is taken by another program; end that one, or choose another: `make up PORT={port + 1}`."
            )
        (self.home / "port").write_text(str(port))
        safe = {
            "PREFECT_SERVER_API_AUTH_STRING": self.auth_string,
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        }
        words = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        self._start("server", words, server_environment(self.home / "prefect", self.url) | safe)
        until = time.monotonic() + START_SECONDS
        while not answers(self.url):
            if time.monotonic() > until or not self._is_running("server"):
                self._end("server")
                raise RestockError(f"The Prefect server did not start; {shown(self._log('server'))} says why.")
            time.sleep(0.2)

    def _start(self, name: str, words: list[str], environment: dict[str, str]) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # Started in the background of a script. A worker that inherits it cannot be ended: it interrupts itself.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with self._log(name).open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True,  # the terminal may be closed
            )  # fmt: skip
        (self.home / f"{name}.process").write_text(str(Owner.of_process(process.pid)), encoding="utf-8")

    def _command(self, *words: str) -> str:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        with self._log("setup").open("a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise RestockError(f"`{' '.join(words)}` failed; {shown(self._log('setup'))} says why.")
        return done.stdout

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _process(self, name: str) -> Owner | None:
        file = self.home / f"{name}.process"
        return Owner.read(file.read_text(encoding="utf-8")) if file.exists() else None

    def _is_running(self, name: str) -> bool:
        process = self._process(name)
        return process is not None and process.is_alive_here

    def _end(self, name: str) -> bool:
        process = self._process(name)
        if process is None or not process.is_alive_here:
            return False
        os.kill(process.process, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while process.is_alive_here:
            if time.monotonic() > until:
                os.killpg(process.process, signal.SIGKILL)
            time.sleep(0.1)
        return True


def main(action: str, port: int) -> str:
    """Do what `make up` or `make down` asks for; what it came to, for the terminal."""
    station = Station(Path(".restock/station").absolute())
    if action == "down":
        ended = station.down()
        return f"Ended: {' and '.join(ended)}. What they knew is kept." if ended else "Nothing was running."
    pages = station.up(port)
    secret = shlex.quote(str(station.home / "auth-string"))
    told = "The deployments of feeds.yaml are registered and a worker waits for their runs; `make down` ends both."
    if station.is_paused:
        told = f"The work pool is paused, so its runs wait: `prefect work-pool resume {POOL}` lets them go."
    return "\n".join(
        [
            f"Prefect's pages:  {pages}",
            f"Sign in with:     {station.auth_string}",
            f"For commands:     export PREFECT_API_URL={station.url}",
            f"                  export PREFECT_API_AUTH_STRING=$(cat {secret})",
            f"Logs and data:    {shown(station.home)}",
            told,
        ]
    )


if __name__ == "__main__":
    try:
        print(main(sys.argv[1], int(os.environ.get("PORT") or PORT)))
    except RestockError as error:
        sys.exit(str(error))
