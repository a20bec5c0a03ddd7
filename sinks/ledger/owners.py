"""Processes by a name that another process on the same host can look up: does the owner of a lease still live?"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, named so that another process on the same host can tell whether it still lives."""

    host: str  # host name, boot and process-number space: equal only where process numbers mean the same
    process: int
    started: str  # tells a process from a later one with the same number

    @classmethod
    def this_process(cls) -> Owner:
        return cls.of_process(os.getpid())

    @classmethod
    def of_process(cls, number: int) -> Owner:
        """A process of this host by its number."""
        return cls(_this_host(), number, _start_of(number) or "")

    @classmethod
    def read(cls, text: str) -> Owner:
        host, process, started = text.rsplit("|", 2)
        return cls(host, int(process), started)

    def __str__(self) -> str:
        return f"{self.host}|{self.process}|{self.started}"

    @property
    def name(self) -> str:
        """The owner for people."""
        return f"process {self.process} on {self.host.partition('/')[0]}"

    @property
    def is_alive_here(self) -> bool:
        """Whether it is a process of this very host that goes on. False says nothing."""
        return self.host == _this_host() and _start_of(self.process) == self.started

    @property
    def is_dead_here(self) -> bool:
        """Whether it was a process of this very host and has ended. False says nothing."""
        return self.host == _this_host() and _start_of(self.process) != self.started


def _this_host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    parts += [boot.read_text().strip()] if boot.exists() else []
    parts += [str(space.readlink())] if space.is_symlink() else []
    return "/".join(parts)


def _start_of(process: int) -> str | None:
    """When a process of this host started, in whatever unit the system tells; None if it has ended."""
    status = Path(f"/proc/{process}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False)
    return re.sub(r"\s+", " ", shown.stdout.strip()) or None
