"""Which Prefect server is configured, and the private one: found without importing Prefect."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from looking import wait_until

from flows.orchestration.prefect_server import check_server, configured_api_url, quiet_server, server_environment
from restock.errors import ConfigurationError, RestockError

URL = "http://127.0.0.1:4200/api"


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_usually_no_server_is_configured() -> None:
    assert configured_api_url() is None


@pytest.mark.parametrize(
    "name, text",
    [
        (".prefect/profiles.toml", f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{URL}"'),
        ("prefect.toml", f'[api]\nurl = "{URL}"'),
        ("pyproject.toml", f'[tool.prefect.api]\nurl = "{URL}"'),
    ],
)
def test_a_server_is_found_where_prefect_keeps_its_settings(name: str, text: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)

    assert configured_api_url() == URL


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("prefect.toml").write_text('[api]\nurl = "http://elsewhere/api"')
    monkeypatch.setenv("PREFECT_API_URL", URL)

    assert configured_api_url() == URL


def test_the_profile_may_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("home").mkdir()
    Path("home", "profiles.toml").write_text(f'active = "ephemeral"\n[profiles.work]\nPREFECT_API_URL = "{URL}"')
    monkeypatch.setenv("PREFECT_HOME", "home")

    assert configured_api_url() is None
    monkeypatch.setenv("PREFECT_PROFILE", "work")
    assert configured_api_url() == URL


def test_settings_that_are_no_toml_are_named() -> None:
    Path("prefect.toml").write_text("[api")

    with pytest.raises(ConfigurationError, match=r"^prefect\.toml cannot be read as TOML"):
        configured_api_url()


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match=r"at http://127\.0\.0\.1:9/api does not answer; start it") as silent:
        check_server("http://ada:secret@127.0.0.1:9/api")

    assert "secret" not in str(silent.value)


def test_asking_for_the_server_does_not_import_prefect() -> None:
    code = (
        "import sys, flows.orchestration.prefect_server as s; s.configured_api_url(); s.answers('http://127.0.0.1:9');"
        "sys.exit('prefect' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_server_of_ours_is_started_where_restock_lies_whatever_the_folder(tmp_path: Path) -> None:
    [first, *_] = server_environment(tmp_path, URL)["PYTHONPATH"].split(os.pathsep)

    assert Path(first, "flows", "orchestration", "prefect_server.py").exists()


def test_the_private_server_answers_and_its_pages_know_where(prefect_url: str) -> None:
    check_server(prefect_url)

    with urllib.request.urlopen(prefect_url.replace("/api", "/ui-settings")) as settings:
        assert prefect_url in settings.read().decode()


def test_a_private_server_that_cannot_start_says_where_to_look() -> None:
    home = Path("private")
    home.mkdir()
    (home / "prefect.db").mkdir()

    with pytest.raises(RestockError, match=r"did not start; private/server\.log says why"), quiet_server(home):
        pass


@pytest.fixture
def orphan(prefect_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A process that wants a private server, among settings of the user that lead elsewhere, and prints its address."""
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////no/such/folder.db")
    (tmp_path / "prefect.toml").write_text(
        '[server.database]\nconnection_url = "sqlite+aiosqlite:////no/such/folder.db"'
    )
    code = (
        "import sys, time; from pathlib import Path; from flows.orchestration.prefect_server import quiet_server\n"
        "with quiet_server(Path(sys.argv[1])) as url: print(url, flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(prefect_home)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8") as process:
        yield process
        process.kill()


def test_the_private_server_leaves_the_user_alone_and_ends_with_the_process_that_wanted_it(
    orphan: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert orphan.stdout is not None
    url = orphan.stdout.readline().strip()
    check_server(url)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prefect.toml", "private"]

    orphan.kill()

    def is_gone() -> bool:
        try:
            check_server(url)
        except ConfigurationError:
            return True
        return False

    wait_until(is_gone)
