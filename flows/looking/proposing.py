"""Writes a proposal as YAML that a person can read, correct and put into feeds.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from flows.looking.guessing import Proposal
from restock.csv_rules import CsvRules
from restock.wording import counted

SAMPLE_CHARACTERS = 40
UNUSED_SHOWN = 60


def as_yaml(proposal: Proposal) -> str:
    """The proposal as a whole feeds file: samples and doubts are comments, and what is not certain begins `doubt:`."""
    return "\n".join(_lines(proposal)) + "\n"


def _lines(proposal: Proposal) -> Iterator[str]:
    feed = proposal.feed
    doubts = sum(len(texts) for texts in proposal.doubts.values())
    doubts += len([match for match in proposal.matches if match.doubt and match.attribute in proposal.columns])
    told = counted(doubts, "doubt") if doubts else "no doubts"
    yield f"# Guessed from the first {counted(proposal.rows, 'row')} of {_shown(feed.source[0])}, with {told}."
    yield "# Read it, correct it and put it into feeds.yaml. Then this says what a sync would meet, and writes nothing:"
    yield f"#   restock check {feed.name}"
    yield "feeds:"
    yield f"  {_scalar(feed.name)}:"
    for key, value in (("source", feed.source[0]), ("app", feed.app), ("model", feed.model)):
        yield from _key(proposal, 4, key, value)
    yield from _key(proposal, 4, "match_on", list(feed.match_on)) if feed.match_on else _doubts(proposal, 4, "match_on")
    yield from _columns(proposal)
    yield from _csv(proposal)


def _columns(proposal: Proposal) -> Iterator[str]:
    yield "    columns: # attribute of the model: column of the file"
    by_attribute = {match.attribute: match for match in proposal.matches}
    for attribute, column in proposal.columns.items():
        match = by_attribute[attribute]
        if match.doubt:
            yield f"      # doubt: {match.doubt}"
        yield from _key(proposal, 6, f"columns.{attribute}", column, _samples(proposal, column))
    for attribute in proposal.unfilled:
        reasons = proposal.doubts.get(f"columns.{attribute}", [])
        told = (
            [f"# doubt: {attribute}: nothing fills it", *reasons] if reasons else [f"# {attribute}: nothing fills it"]
        )
        yield f"      {'; '.join(told)}"
    for column in proposal.unused[:UNUSED_SHOWN]:
        yield f"      # not used: {_scalar(column)}{_comment(_samples(proposal, column))}"
    if len(proposal.unused) > UNUSED_SHOWN:
        yield f"      # and {counted(len(proposal.unused) - UNUSED_SHOWN, 'more column')} not used"


def _csv(proposal: Proposal) -> Iterator[str]:
    """The rules that are not the default ones, and those in doubt."""
    shown = {
        key: value
        for key, value in proposal.rules.items()
        if value != _default(key) or f"csv.{key}" in proposal.doubts or key == "encoding"
    }
    if shown:
        yield "    csv:"
    for key, value in shown.items():
        yield from _key(proposal, 6, f"csv.{key}", value)


def _default(key: str) -> Any:
    default = CsvRules.model_fields[key].default
    return list(default) if isinstance(default, tuple) else default


def _key(proposal: Proposal, indent: int, key: str, value: Any, comment: str = "") -> Iterator[str]:
    yield from _doubts(proposal, indent, key)
    name = key.partition(".")[2] or key
    yield f"{' ' * indent}{_scalar(name)}: {_scalar(value)}{_comment(comment)}"


def _doubts(proposal: Proposal, indent: int, key: str) -> Iterator[str]:
    for text in proposal.doubts.get(key, []):
        yield f"{' ' * indent}# doubt: {_shown(text)}"


def _comment(text: str) -> str:
    return f" # {text}" if text else ""


def _samples(proposal: Proposal, column: str) -> str:
    texts = [_shown(text) for text in proposal.samples.get(column, [])]
    shortened = [text if len(text) <= SAMPLE_CHARACTERS else f"{text[:SAMPLE_CHARACTERS]}…" for text in texts]
    return " | ".join(shortened) if texts else "no values" if column in proposal.samples else ""


def _shown(text: str) -> str:
    """Text that stays on one line of a comment, whatever it holds."""
    return "".join(sign if sign.isprintable() else "\\n" if sign == "\n" else " " for sign in text)


def _scalar(value: Any) -> str:
    """A value as YAML on one line."""
    listed = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**9)
    return listed.strip()[1:-1]
