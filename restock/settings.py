"""Where restock finds things: the feeds file, the spool and the folders that sources may come from.

Read from the environment. The database address is not among them: it belongs to the user's Flask app.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from restock.errors import ConfigurationError

# Where the task runs of a flow run take place: in its own process, or on a Dask cluster.
TASK_RUNNERS = ("thread", "dask")


@dataclass(frozen=True)
class Settings:
    """The places of one installation, all absolute.

    Sources may come from inside `source_roots`, and from below `source_addresses` such as s3://bucket/feeds/.
    """

    feeds_file: Path
    spool: Path
    source_roots: tuple[Path, ...]
    lease_seconds: float | None = None
    source_addresses: tuple[str, ...] = ()
    task_runner: str = "thread"
    dask_scheduler: str | None = None

    @property
    def folder(self) -> Path:
        """The folder of feeds.yaml: relative paths in it start here, and the user's modules are found here."""
        return self.feeds_file.parent


def read_settings(environment: dict[str, str] | None = None) -> Settings:
    """Read the variables that begin with `RESTOCK_`; docs/operations.md has them all.

    Raises:
        ConfigurationError: a value cannot be used.
    """
    values = dict(os.environ) if environment is None else environment
    feeds_file = Path(values.get("RESTOCK_FEEDS") or "feeds.yaml").expanduser().absolute()
    spool = values.get("RESTOCK_SPOOL")
    named = [part.strip() for part in values.get("RESTOCK_SOURCE_ROOTS", "").split(",") if part.strip()]
    addresses = tuple(part for part in named if "://" in part)
    roots = tuple(Path(part).expanduser().absolute() for part in named if part not in addresses)
    return Settings(
        feeds_file=feeds_file,
        spool=Path(spool).expanduser().absolute() if spool else feeds_file.parent / ".restock" / "spool",
        source_roots=roots if named else (feeds_file.parent,),
        source_addresses=addresses,
        lease_seconds=_seconds("RESTOCK_LEASE_SECONDS", values.get("RESTOCK_LEASE_SECONDS")),
        task_runner=_one_of(TASK_RUNNERS, "RESTOCK_TASK_RUNNER", values.get("RESTOCK_TASK_RUNNER")),
        dask_scheduler=values.get("RESTOCK_DASK_SCHEDULER") or None,
    )


def _one_of(words: tuple[str, ...], name: str, text: str | None) -> str:
    """The word of a variable, or the first one where it says nothing."""
    if text and text not in words:
        raise ConfigurationError(f"{name} is {text!r}; give it one of: {', '.join(words)}.")
    return text or words[0]


def _seconds(name: str, text: str | None) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:
        raise ConfigurationError(f"{name} is {text!r}; give a number of seconds from 1 to 86400.")
    return seconds
