"""The user's Flask app, made once in a process; where it cannot be made, a sentence says why."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Flask
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from restock.errors import ConfigurationError, SinkUnavailable
from restock.references import named, place_of, resolve_call
from sinks.database.db_errors import PASSING, trouble_of, when_over
from sinks.database.error_codes import describe
from sinks.database.turned_away import CORRECT_IT, server_of, turned_away


@cache
def open_app(reference: str, _process: int) -> Flask:
    """The app that a reference names, or that the function makes which it names.

    Raises:
        ConfigurationError: it cannot be imported or made, or does not use Flask-SQLAlchemy.
        SinkUnavailable: it could not be made, as its database is away.
    """
    found, arguments, named_arguments = resolve_call(reference, "the app")
    if isinstance(found, Flask):
        if arguments or named_arguments:
            raise ConfigurationError(
                f"The app {reference} is made already and takes no arguments; leave them out, or name the function "
                "that makes it."
            )
        app = found
    else:
        app = _made(reference, found, arguments, named_arguments)
    if not isinstance(app, Flask):
        raise ConfigurationError(
            f"The app {reference} gave a {type(app).__name__} in place of a Flask app; correct it."
        )
    if "sqlalchemy" not in app.extensions:
        raise ConfigurationError(f"The app {reference} does not use Flask-SQLAlchemy; call db.init_app(app) in it.")
    return app


def _made(reference: str, factory: Any, arguments: tuple[Any, ...], named_arguments: dict[str, Any]) -> Any:
    if not callable(factory):
        raise ConfigurationError(
            f"The app {reference} is neither a Flask app nor a function that makes one; name one of these."
        )
    _check_call(reference, factory, arguments, named_arguments)
    try:
        return factory(*arguments, **named_arguments)
    except ModuleNotFoundError as error:  # its database's driver, perhaps
        raise ConfigurationError(
            f"The app {reference} needs the module {error.name!r} (in {place_of(error)}), which is not installed "
            "here; install it where restock is."
        ) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, SQLAlchemyError):
            _check_database(reference, error)
        # Whatever the user's factory raises, the reader needs its place, not our stack.
        raise ConfigurationError(
            f"The app {reference} failed while it was made ({named(error)} in {place_of(error)}); "
            "make it start on its own first."
        ) from error


def _check_call(
    app_reference: str, factory: Callable[..., Any], arguments: tuple[Any, ...], named_arguments: dict[str, Any]
) -> None:
    """Refuse arguments that the function which makes an app does not take, before it is called."""
    try:
        inspect.signature(factory).bind(*arguments, **named_arguments)
    except TypeError as error:
        raise ConfigurationError(
            f"The app {app_reference} cannot be called so: {error}; write what it takes behind the name, as in "
            'shop:create_app("production").'
        ) from error


def _check_database(app_reference: str, error: SQLAlchemyError) -> None:
    """Say what is wrong with the database that an app could not use while it was made, if that can be told.

    Raises:
        SinkUnavailable: it is away.
        ConfigurationError: the address is wrong.
    """
    if isinstance(error, NoSuchModuleError):
        kind = str(error).rpartition(":")[2]
        advice = "write postgresql://" if kind == "postgres" else "correct it, or install what it needs"
        raise ConfigurationError(
            f"The app {app_reference} has a database address that begins with {kind}, which SQLAlchemy does not know; "
            f"{advice}."
        ) from error
    told = f"could not use its database{server_of(error)} while it was made"
    if (why := turned_away(error)) is not None:
        raise ConfigurationError(f"The app {app_reference} {told}: {why} ({describe(error)}); {CORRECT_IT}.") from error
    if trouble_of(error) in PASSING:
        raise SinkUnavailable(
            f"The app {app_reference} {told} ({describe(error)}); start again {when_over(error)}, if the address that "
            "the app has is right."
        ) from error
