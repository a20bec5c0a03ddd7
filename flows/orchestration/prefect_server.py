"""Finds the Prefect server that is configured, or runs a quiet private one. Imports Prefect in no process but its own.

`python -m flows.orchestration.prefect_server PORT` is the private server itself: it ends when its parent does,
however that ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from restock.errors import ConfigurationError, RestockError
from restock.paths import ROOT, shown

START_SECONDS = 60.0
STOP_SECONDS = 10.0
# A busy server takes its time; one that is not there is refused at once.
ANSWER_SECONDS = 15.0
# Another program may take a free port before the server does.
PORTS_TRIED = 3


def configured_api_url() -> str | None:
    """The API address of the Prefect server that is configured here, found where Prefect looks, in its order."""
    return (
        os.environ.get("PREFECT_API_URL")
        or _url_in(_read_toml(Path("prefect.toml")))
        or _url_in(_read_toml(Path("pyproject.toml")).get("tool", {}).get("prefect", {}))
        or _url_of_profile()
    )


def _url_in(settings: Any) -> str | None:
    return settings.get("api", {}).get("url")


def _url_of_profile() -> str | None:
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = _read_toml(Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml"))
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{shown(path)} cannot be read as TOML; correct it, Prefect reads it too.") from error


def check_server(url: str) -> None:
    """Make sure that a Prefect server answers at an API address.

    Raises:
        ConfigurationError: nobody answers there.
    """
    if not answers(url):
        raise ConfigurationError(
            f"The Prefect server at {_without_secrets(url)} does not answer; start it, or unset PREFECT_API_URL and "
            "the Prefect profile to run without Prefect."
        )


def answers(url: str) -> bool:
    """Whether a Prefect server answers at an API address."""
    try:
        with _opener(url).open(f"{url.rstrip('/')}/health", timeout=ANSWER_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # it wants to know who asks, so it is there
    except (OSError, HTTPException, ValueError):
        return False


def _opener(url: str) -> urllib.request.OpenerDirector:
    # A proxy of the environment is for the world outside; it cannot reach this machine's own loopback.
    if url.startswith("http://127.0.0.1:"):
        return urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener()


def _without_secrets(url: str) -> str:
    start, separator, rest = url.partition("://")
    return f"{start}{separator}{rest.rpartition('@')[2]}"


@contextmanager
def quiet_server(home: Path) -> Iterator[str]:
    """Run a Prefect server of our own while the block lasts.

    Args:
        home: the folder of its database and its log. The user's own Prefect settings are neither read nor changed.

    Yields:
        The address of its API.

    Raises:
        RestockError: it did not start.
    """
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    log_file = home / "server.log"
    with log_file.open("w", encoding="utf-8") as log:
        server, url = _start(home, log)
        try:
            yield url
        finally:
            _stop(server)


def _start(home: Path, log: Any) -> tuple[subprocess.Popen[bytes], str]:
    until = time.monotonic() + START_SECONDS
    for _ in range(PORTS_TRIED):
        port = free_port()
        url = f"http://127.0.0.1:{port}/api"
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.orchestration.prefect_server", str(port)],
            stdin=subprocess.PIPE,  # never written to: its end tells the server that we are gone
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,  # away from any prefect.toml or .env of the user
            env=server_environment(home, url),
            start_new_session=True,  # Ctrl-C in the terminal is ours to handle
        )
        try:
            if _wait_until_it_answers(server, url, until):
                return server, url
        except BaseException:
            _stop(server)
            raise
        _stop(server)
        if is_free(port) or time.monotonic() >= until:
            break
    raise RestockError(
        f"The private Prefect server did not start; {shown(home / 'server.log')} says why, or leave --prefect out."
    )


def _wait_until_it_answers(server: subprocess.Popen[bytes], url: str, until: float) -> bool:
    while time.monotonic() < until and server.poll() is None:
        if answers(url):
            return True
        time.sleep(0.1)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def free_port() -> int:
    """A port of this machine at which nobody listens yet."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody listens at a port of this machine."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) != 0


def server_environment(home: Path, url: str) -> dict[str, str]:
    """What a Prefect server of ours is started with: nothing of the user's own Prefect, and nothing told to anybody."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return ours | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), ours.get("PYTHONPATH")])),
        "PREFECT_HOME": str(home),
        "PREFECT_UI_API_URL": url,  # or its pages ask on port 4200
        "PREFECT_UI_URL": url.removesuffix("/api"),  # or notifications say None where the link to the run belongs
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def _serve(port: str) -> None:
    """Run the server in this process, until it is told to end or its parent is gone."""
    import signal

    from prefect.cli import app

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    sys.argv = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    app()


if __name__ == "__main__":
    _serve(sys.argv[1])
