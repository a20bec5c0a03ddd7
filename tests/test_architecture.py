"""The plan of the house, kept by a test: who may import whom, and what no file may hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# flows -> sources | transforms | sinks -> restock; the example app is an app like any user's, and nobody imports it.
MAY_IMPORT: dict[str, set[str]] = {
    "restock": set(),
    "sources": {"restock"},
    "transforms": {"restock"},
    "sinks": {"restock"},
    "flows": {"restock", "sources", "transforms", "sinks"},
    "example_app": set(),
}
# The rooms inside the larger ones, from the ground up: each imports only from those before it. What stands beside them
# is on top of all; but the terminal starts the flows.
FLOORS: dict[str, list[str]] = {
    "sources": ["places", "chunks", "csv_files", "parquet_files", "duplicates", "looking"],
    "sinks": ["database", "model", "rows", "staging", "writers", "isolation", "ledger"],
    "flows": ["runs", "looking", "upkeep", "orchestration", "terminal"],
}
STARTS_FLOWS = ROOT / "flows" / "terminal" / "work.py"
# The demo plays the person at the terminal, so it may use the doors.
DEMO = ROOT / "example_app" / "demo.py"
MAX_LINES = 300

DATABASE_ROOMS = {"sinks", "example_app"}
LIBRARY_ROOMS: dict[str, set[str]] = {
    "prefect": {"flows"},
    "click": {"flows"},
    "rich": {"flows"},
    "prometheus_client": {"flows"},
    "fsspec": {"sources"},
    "pandera": {"transforms"},
    **dict.fromkeys(["flask", "flask_sqlalchemy", "sqlalchemy", "psycopg", "pymysql"], DATABASE_ROOMS),
    "blinker": {"restock"},
}

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|work|home|Users)/[A-Za-z.]")
REGISTRY = re.compile(r"index[-_]url|pypi\.org|pythonhosted\.org|https?://[^ ]*/(?:simple|packages)/")


def modules() -> list[Path]:
    return [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


every_module = pytest.mark.parametrize("path", modules(), ids=name_of)


def imported_packages(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every import, wherever in the module it stands."""
    yield from ((line, parts[0]) for line, parts in imported_modules(path))


def imported_modules(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and dotted name, in its parts, of everything imported; what comes out of a module stands behind its name."""
    room = path.relative_to(ROOT).parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = room if node.level else str(node.module)
            yield from ((node.lineno, [*module.split("."), alias.name]) for alias in node.names)


@every_module
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    allowed = MAY_IMPORT[room] | {room} | ({"flows"} if path == DEMO else set())

    wrong = [f"line {line}: {name}" for line, name in imported_packages(path) if name in MAY_IMPORT.keys() - allowed]

    assert not wrong


@pytest.mark.parametrize("path", [path for path in modules() if len(path.relative_to(ROOT).parts) > 2], ids=name_of)
def test_rooms_inside_a_room_stand_on_each_other(path: Path) -> None:
    room, inner, _ = path.relative_to(ROOT).parts
    floors = FLOORS[room]
    below = {(room, each) for each in floors[: floors.index(inner) + 1]}
    flows = {("flows", "sync_products"), ("flows", "reprocess_failed_chunks")} if path == STARTS_FLOWS else set()

    ours = [(line, parts) for line, parts in imported_modules(path) if parts[0] == room]
    wrong = [f"line {line}: {'.'.join(parts)}" for line, parts in ours if tuple(parts[:2]) not in below | flows]

    assert not wrong


@every_module
def test_each_library_family_stays_in_its_room(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]

    wrong = [
        f"line {line}: {name}" for line, name in imported_packages(path) if room not in LIBRARY_ROOMS.get(name, {room})
    ]

    assert not wrong


@every_module
def test_every_module_says_what_lives_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@every_module
def test_no_module_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_every_room_is_installed_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    found = project["tool"]["setuptools"]["packages"]["find"]["include"]
    rooms = {path.parent.relative_to(ROOT) for path in modules()} - {Path("example_app")}
    installed = {room for room in rooms if any(fnmatch(".".join(room.parts), each) for each in found)}

    assert installed == rooms
    assert [room for room in rooms if not (ROOT / room / "__init__.py").exists()] == []


def test_what_lies_beside_the_code_is_installed_with_it() -> None:
    """Whoever installs the package has no checkout to read it from."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packaged = {f"{name}/{file}" for name, files in setuptools["package-data"].items() for file in files}
    rooms = [path for room in MAY_IMPORT if room != "example_app" for path in (ROOT / room).rglob("*.*")]
    others = [path.relative_to(ROOT) for path in rooms if path.suffix not in (".py", ".pyc")]

    assert {f"{'.'.join(path.parent.parts)}/{path.name}" for path in others} == packaged


def test_where_restock_lies_is_said_in_one_place() -> None:
    """A module that counted folders up from its own place was wrong when it had moved into a room."""
    saying = [name_of(path) for path in modules() if "Path(__file__)" in path.read_text(encoding="utf-8")]

    assert [name for name in saying if not name.startswith("example_app/")] == ["restock/paths.py"]


def test_the_terminal_command_starts_without_prefect() -> None:
    code = "import sys, flows.cli; sys.exit('prefect' in sys.modules)"

    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert finished.returncode == 0, finished.stderr


def test_every_room_opens_without_any_extra() -> None:
    """Whose shop is on SQLite installs no extra: no module may need one before it is used."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {re.split(r"[\[>=<]", each)[0] for some in project["optional-dependencies"].values() for each in some}
    missing = sorted({name.replace("-", "_") for name in extras} | {"distributed", "botocore"})
    # The one module whose import is how the product finds out that Dask is missing.
    asked = [
        name_of(path)[:-3].replace("/", ".") for path in modules() if path.stem not in ("dask_windows", "__init__")
    ]
    code = "import importlib, sys; missing, asked = {}, {}; sys.modules |= dict.fromkeys(missing)"
    code = code.format(missing, asked) + "; [importlib.import_module(each) for each in asked]"

    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert finished.returncode == 0, finished.stderr


def test_no_file_names_a_machine_path_or_a_package_registry() -> None:
    wrong = [
        f"{name_of(path)}:{number}"
        for path in project_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if MACHINE_PATH.search(line) or REGISTRY.search(line)
    ]

    assert not wrong


def project_files() -> list[Path]:
    """The files git tracks or would track; data files are others' and may say what they like."""
    if not (ROOT / ".git").exists():
        pytest.skip("Run this in a git checkout: git says which files belong to the project.")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name and not name.startswith("data/")]
    return [path for path in paths if path.is_file()]


def text_of(path: Path) -> str:
    """The text of a file, or nothing for a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize(
    "line",
    ["cd /" + "root/shop", "see /" + "home/ada/feeds", "pip --index" + "-url x", "https://mirror.example/" + "simple/"],
)
def test_a_machine_path_or_registry_would_be_found(line: str) -> None:
    assert MACHINE_PATH.search(line) or REGISTRY.search(line)
