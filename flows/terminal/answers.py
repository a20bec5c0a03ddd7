"""How a terminal command ends: its answer on standard output, everything else on standard error, and a status."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Protocol

import click

from restock.errors import RestockError

UNEXPECTED = 1

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


class Judged(Protocol):
    """Something that may need a person: `verdict` raises what is to be said about it."""

    def verdict(self) -> None: ...


@dataclass(frozen=True)
class Answer:
    """What a command hands back: an object for `--json`, a way to print it, and what may need a word."""

    plain: Any
    show: Callable[[], None]
    reports: Sequence[Judged] = field(default_factory=list)


class Commands(click.Group):
    """Commands whose wrong calls are answered in JSON too, where JSON was asked for."""

    def main(self, *arguments: Any, **named: Any) -> Any:
        if "--json" not in sys.argv:
            return super().main(*arguments, **named)
        try:
            return super().main(*arguments, **{**named, "standalone_mode": False})
        except click.UsageError as error:
            print_error(sys.stdout, "UsageError", error.format_message())
            sys.exit(error.exit_code)


def run(work: Callable[[], Answer], as_json: bool, begin: str | None = None) -> None:
    """Do a command's work and end the process.

    Args:
        work: what the command does, imports of heavy libraries included.
        as_json: whether standard output is for one JSON object alone.
        begin: what is said at once, before anything heavy is imported.
    """
    if begin is not None:
        click.echo(begin, err=True)
    with _stdout_for_the_answer_only() if as_json else nullcontext(sys.stdout) as answer_file:
        try:
            answer = work()
            if as_json:
                _print_json(answer.plain, answer_file)
            else:
                answer.show()
            status = max([0, *(_verdict(report) for report in answer.reports)])
        except (Exception, KeyboardInterrupt) as error:
            kind, message, status = _explained(error)
            if as_json:
                print_error(answer_file, kind, message)
            else:
                click.echo(message, err=True)
    sys.exit(status)


@contextmanager
def _stdout_for_the_answer_only() -> Iterator[IO[str]]:
    """Give the caller standard output alone: whatever the user's code prints there goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(kept, "w", encoding="utf-8", closefd=False) as answer:
            yield answer
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _print_json(answer: Any, file: IO[str]) -> None:
    """Print one JSON object and a line end."""
    file.write(json.dumps(answer, default=_plain, ensure_ascii=False) + "\n")
    file.flush()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_error(file: IO[str], kind: str, message: str) -> None:
    """Print an error as the JSON object that scripts expect."""
    _print_json({"error": {"kind": kind, "message": message}}, file)


def _verdict(report: Judged) -> int:
    try:
        report.verdict()
    except RestockError as verdict:
        click.echo(str(verdict), err=True)
        return verdict.exit_status
    return 0


def _explained(error: BaseException) -> tuple[str, str, int]:
    if os.environ.get("RESTOCK_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, RestockError):
        return error.kind, str(error), error.exit_status
    if isinstance(error, KeyboardInterrupt):
        told = "Interrupted. Nothing is half done; start again to go on."
        return "Interrupted", told, UNEXPECTED
    from restock.references import place_of

    told = (
        f"An unexpected {type(error).__name__} in {place_of(error)} ended the command; what is committed is kept. Set "
        "RESTOCK_DEBUG=1 to see where it comes from, and please report it."
    )
    return "Unexpected", told, UNEXPECTED
