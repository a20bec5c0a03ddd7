"""Turns "package.module:name" into the object it names, with an error that says which part is wrong."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from typing import Any

from restock.errors import ConfigurationError
from restock.paths import shown

_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
OUR_ROOMS = ("restock", "sources", "transforms", "sinks", "flows")


def resolve(reference: str, wanted: str) -> Any:
    """Import what a reference names.

    Args:
        reference: `package.module:name`, where name may be dotted.
        wanted: what the reference is for ("the app", "the model of feed x"), for the error.

    Raises:
        ConfigurationError: the reference is malformed, the module cannot be imported, or it has no such name.
    """
    module_name, separator, attribute = reference.partition(":")
    if not separator or not module_name or not attribute:
        raise ConfigurationError(f"{_start(wanted)} is given as {reference!r}; write it as package.module:name.")
    target = _import(module_name, reference, wanted)
    for part in attribute.split("."):
        try:
            target = getattr(target, part)
        except AttributeError as error:
            raise ConfigurationError(
                f"{_start(wanted)} {reference} cannot be found: {module_name} has no {part!r}; "
                "correct the name after the colon."
            ) from error
    return target


def resolve_call(reference: str, wanted: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Import what a reference names, with the arguments it gives, as in `shop:create_app("production", debug=False)`.

    Returns:
        The object, and the positional and named arguments: plain values only.

    Raises:
        ConfigurationError: as `resolve`, or it is not one call with plain values.
    """
    name, opening, _ = reference.partition("(")
    if not opening:
        return resolve(reference, wanted), (), {}
    try:
        positional, keywords = _arguments(reference.partition(":")[2], name.partition(":")[2])
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(
            f"{_start(wanted)} is given as {reference!r}; write it as package.module:name(...) with plain values as "
            'arguments, such as "production" or debug=False.'
        ) from error
    return resolve(name, wanted), positional, keywords


def _arguments(text: str, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != name:
        raise ValueError(f"{text} is more than a call of {name}")
    keywords: dict[str, Any] = {}
    for each in call.keywords:
        if each.arg is None:
            raise ValueError(f"{text} unpacks a mapping")
        keywords[each.arg] = ast.literal_eval(each.value)
    return tuple(ast.literal_eval(each) for each in call.args), keywords


def _import(module_name: str, reference: str, wanted: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            hidden = _hidden_behind_us(module_name)
            advice = hidden or "correct the reference, or put the module beside feeds.yaml"
            raise ConfigurationError(
                f"{_start(wanted)} {reference} cannot be imported: there is no module {missing!r}; {advice}."
            ) from error
        raise ConfigurationError(
            f"{_start(wanted)} {reference} cannot be imported: it needs the module {missing!r}, "
            "which is not installed here; install it where restock is."
        ) from error
    except (Exception, SystemExit) as error:
        # Whatever the user's module raises while it is imported, the reader needs its place, not our stack.
        raise ConfigurationError(
            f"{_start(wanted)} {reference} failed while it was imported ({named(error)} in {place_of(error)}); "
            f"run `python -c 'import {module_name}'` to see the whole error."
        ) from error


def _start(wanted: str) -> str:
    return wanted[0].upper() + wanted[1:]


def _hidden_behind_us(module_name: str) -> str | None:
    """A user's own `flows.something` cannot be seen while ours is imported under the same name."""
    room = module_name.partition(".")[0]
    if room not in OUR_ROOMS:
        return None
    return f"correct the reference, or rename a package of yours: {room!r} is restock's own and hides it"


def named(error: BaseException) -> str:
    """An error by its class, and a missing key by its name: that is how a missing environment variable shows."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return f"KeyError {error.args[0]!r}"
    return type(error).__name__


def place_of(error: BaseException) -> str:
    """File and line where an error was raised, or where a file could not be parsed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    own = [frame for frame in frames if not _is_of_a_library(frame.filename)]
    frame = (own or frames)[-1]
    return f"{shown(frame.filename)}, line {frame.lineno}"


def _is_of_a_library(file: str) -> bool:
    """Whether a file is Python's own or an installed package's: rarely what the reader can mend."""
    return file.startswith("<") or any(part in file for part in ("site-packages", "dist-packages", _STANDARD_LIBRARY))


def add_to_import_path(folder: str) -> None:
    """Let modules in `folder` be imported, after everything that is already importable."""
    if folder not in sys.path:
        sys.path.append(folder)
