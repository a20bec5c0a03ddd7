"""The restock command in this process: the same words as in a terminal, without starting Python each time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from flows.cli import main


@dataclass(frozen=True)
class Said:
    """What the command answered: exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """The one JSON object on standard output."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The last thing said on standard error."""
        return self.err.splitlines()[-1]


def run_here(capfd: pytest.CaptureFixture[str], *args: str) -> Said:
    """Run `restock ARGS` in this process, in the current folder."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(args))
    out, err = capfd.readouterr()
    return Said(int(ended.value.code or 0), out, err)
