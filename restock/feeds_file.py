"""feeds.yaml, read and validated once, at the edge; its faults are sentences that name the place."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from restock.csv_rules import Rules
from restock.errors import ConfigurationError
from restock.feeds import Feed
from restock.paths import shown
from restock.plain_yaml import PlainLoader

LONGEST_NAME = 200  # of a feed, in the ledger


class _FeedsFile(Rules):
    feeds: dict[str, dict[str, Any]]


def read_feeds(path: Path) -> dict[str, Feed]:
    """Read and validate feeds.yaml.

    Returns:
        The feeds by name, in the order of the file.

    Raises:
        ConfigurationError: the file is missing, not YAML, or holds a key or value that restock does not know.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), PlainLoader)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no feeds file {shown(path)}; create it, or name another one in RESTOCK_FEEDS."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{shown(path)} cannot be read: {reason}.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{shown(path)} is not valid YAML{_yaml_place(error)}; correct it there.") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{shown(path)} holds no feeds; begin it with `feeds:` and one entry per feed.")
    try:
        entries = _FeedsFile.model_validate(content).feeds
    except ValidationError as error:
        raise ConfigurationError(_first_fault(error, shown(path), _FeedsFile)) from error
    return {name: _read_feed(name, entry, path) for name, entry in entries.items()}


def find_feed(feeds: dict[str, Feed], name: str, path: Path) -> Feed:
    """The feed of that name.

    Raises:
        ConfigurationError: there is none; the sentence lists those there are.
    """
    if name in feeds:
        return feeds[name]
    near = difflib.get_close_matches(name, feeds, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(feeds) or 'none'}."
    raise ConfigurationError(f"There is no feed {name!r} in {shown(path)}; {hint}")


def json_schema() -> dict[str, Any]:
    """The JSON schema of feeds.yaml, from which editors complete and check keys."""
    feed = _without_titles(Feed.model_json_schema())
    definitions = feed.pop("$defs")
    del feed["properties"]["name"]  # the name is the key of the entry
    feed["required"].remove("name")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "feeds.yaml of restock",
        "type": "object",
        "required": ["feeds"],
        "additionalProperties": False,
        "properties": {"feeds": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Feed"}}},
        "$defs": {"Feed": feed, **definitions},
    }


def _without_titles(schema: Any) -> Any:
    """Titles repeat the names of the keys; a property may be called so, and is no text."""
    if isinstance(schema, dict):
        return {k: _without_titles(v) for k, v in schema.items() if k != "title" or not isinstance(v, str)}
    return [_without_titles(each) for each in schema] if isinstance(schema, list) else schema


def _read_feed(name: str, entry: dict[str, Any], path: Path) -> Feed:
    if "name" in entry:
        raise ConfigurationError(
            f"{shown(path)}, feed {name!r}: its name is {name!r} already; leave the key 'name' out."
        )
    if len(name) > LONGEST_NAME:
        raise ConfigurationError(
            f"{shown(path)}: the name of a feed has at most {LONGEST_NAME} characters; shorten {name[:40]!r}…."
        )
    try:
        return Feed.model_validate({**entry, "name": name})
    except ValidationError as error:
        raise ConfigurationError(_first_fault(error, f"{shown(path)}, feed {name!r}", Feed)) from error


def _yaml_place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
    return f"{place}: {problem}" if problem else place


def _first_fault(error: ValidationError, where: str, model: type[BaseModel]) -> str:
    fault = error.errors()[0]
    path = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        known = [field for field in _fields_at(model, path[:-1]) if field != "name"]
        near = difflib.get_close_matches(path[-1], known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the keys are: {', '.join(known)}."
        return f"{where}: the key {key!r} is unknown; {hint}"
    if fault["type"] == "missing":
        return f"{where}: the key {key!r} is missing; add it."
    if fault["type"] == "string_type" and not isinstance(fault["input"], list | dict):
        if path[-1] == "[key]":
            key = ".".join(path[:-2])
        what = f"{key}: a name" if path[-1] == "[key]" else key
        return f"{where}: {what} is text, and YAML reads {fault['input']!r} there; put it in quotes."
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if key else message
    return f"{where}: {key + ': ' if key else ''}{message}{_given(fault)}."


def _given(fault: Any) -> str:
    given = fault.get("input")
    if repr(given) in fault["msg"]:
        return ""
    return f" (it is {given!r})" if isinstance(given, (str, int, float, bool)) else ""


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that may stand at a place of a feed, by the names that feeds.yaml has for them."""
    for part in path:
        if part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The rules that an annotation holds, as that of `columns` holds those of one column."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((found for each in get_args(kind) if (found := _model_in(each))), None)
