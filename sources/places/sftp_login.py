"""How restock logs in over SFTP: as `ssh` would, with its known hosts, its configuration, keys and agent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from restock.errors import SourceError


def login(host: str) -> dict[str, Any]:
    """The options of fsspec's SFTP for a host, which may be `user@host:port`.

    A server whose key is not among the known hosts is refused. A password is taken from `RESTOCK_SFTP_PASSWORD`.
    """
    import paramiko

    class KnownHostsOnly(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko has no types
        """Asks the file of known hosts, which fsspec does not read."""

        def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
            known = _own(".ssh/known_hosts")
            if not known.is_file() or not paramiko.HostKeys(str(known)).check(hostname, key):
                raise SourceError(
                    f"The SFTP server {hostname} is not among the known hosts; check its key with whoever runs it, and "
                    "add it with ssh."
                )

    user, _, place = host.rpartition("@")
    name, _, port = place.partition(":")
    written = _own(".ssh/config")
    config = paramiko.SSHConfig.from_path(str(written)).lookup(name) if written.is_file() else {}
    options: dict[str, Any] = {
        "host": config.get("hostname", name),
        "port": int(port or config.get("port", 22)),
        "username": user or config.get("user"),
        "key_filename": config.get("identityfile"),
        "password": os.environ.get("RESTOCK_SFTP_PASSWORD"),
        "timeout": 30,
        "host_key_policy": KnownHostsOnly(),
    }
    return {name: value for name, value in options.items() if value is not None}


def _own(path: str) -> Path:
    return Path.home() / path
