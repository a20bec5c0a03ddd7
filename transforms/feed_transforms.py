"""The feed's own transforms: found by reference, run in order, and held to the rules of a transform."""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from restock.contract import Contract
from restock.errors import ChunkFailed, ConfigurationError
from restock.feeds import Feed
from restock.records import plain_values
from restock.references import resolve
from restock.rejecting import RejectedRows, WrongReject, collecting_rejects

Transform = Callable[[pd.DataFrame], pd.DataFrame]


def check_transforms(feed: Feed) -> None:
    """Find the feed's transforms now, rather than in the first chunk.

    Raises:
        ConfigurationError: a reference is wrong, or names something that does not take one frame.
    """
    for reference in feed.transform:
        transform = find_transform(reference, feed.name)
        if not callable(transform) or not _takes_one_argument(transform):
            raise ConfigurationError(
                f"The transform {reference} of feed {feed.name!r} is not a function of one frame; "
                "name one after the colon."
            )


def code_digest(feed: Feed) -> str:
    """A digest of the feed's rules and of the code that they name: a run resumes only under the same."""
    digest = hashlib.sha256(feed.rules_digest().encode())
    for reference in (*feed.transform, *((feed.row_schema,) if feed.row_schema else ())):
        transform = find_transform(reference, feed.name)
        names = {reference.partition(":")[0], getattr(transform, "__module__", None) or ""}
        for name in sorted(names & sys.modules.keys()):
            file = getattr(sys.modules[name], "__file__", None)
            digest.update(name.encode())
            digest.update(Path(file).read_bytes() if file else b"")
    return digest.hexdigest()


@cache
def find_transform(reference: str, feed_name: str) -> Any:
    """What a transform's reference names; looked up once."""
    return resolve(reference, f"the transform of feed {feed_name!r}")


def run_transforms(
    frame: pd.DataFrame, feed: Feed, contract: Contract, place: str
) -> tuple[pd.DataFrame, list[RejectedRows]]:
    """Run the feed's transforms in order.

    Args:
        frame: columns are attributes, the index is the rows' position.
        place: which chunk it is, for errors.

    Returns:
        The frame that goes on to the cast, and the rows that were set aside on the way.

    Raises:
        ChunkFailed: a transform raised, or broke a rule.
    """
    key = tuple(name for name in contract.key if name in frame.columns)
    with collecting_rejects() as rejected:
        for reference in feed.transform:
            transform = find_transform(reference, feed.name)
            given = frame.copy(deep=False)  # copy on write: what it does to its frame in place, it does not do to ours
            given.attrs["key"] = key
            told = len(rejected)
            result = _call(transform, given, reference, place)
            complaint = _broken_rule(frame, result, key, contract) or _strange_rejects(frame, rejected[told:])
            if complaint:
                raise ChunkFailed(f"The transform {reference} {complaint} ({place}).")
            gone = [row for each in rejected[told:] for row in each.rows]
            frame = result[~result.index.isin(gone)] if gone else result
    frame.attrs = {}  # pandas copies them deeply with each column that is looked at
    return frame, rejected


def _call(transform: Transform, frame: pd.DataFrame, reference: str, place: str) -> Any:
    try:
        return transform(frame)
    except WrongReject as error:
        raise ChunkFailed(
            f"The transform {reference} failed on {place}, in {_raised_at(error, transform)}: {error}"
        ) from error
    except (Exception, SystemExit) as error:
        # Its message may hold row values, so only its type and its place are told.
        raise ChunkFailed(
            f"The transform {reference} failed on {place}: {type(error).__name__} in {_raised_at(error, transform)}; "
            "correct it and reprocess the chunk."
        ) from error


def _raised_at(error: BaseException, transform: Transform) -> str:
    """File and line of the transform's own module where the error came up, or the innermost place."""
    stack = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(error.__traceback__)
    own = getattr(getattr(inspect.unwrap(transform), "__code__", None), "co_filename", None)
    frame = ([each for each in stack if each.filename == own] or list(stack))[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def _broken_rule(before: pd.DataFrame, after: Any, key: tuple[str, ...], contract: Contract) -> str | None:
    if not isinstance(after, pd.DataFrame):
        return f"gave back {type(after).__name__} and not a frame; return the frame"
    if not after.columns.is_unique:
        return "gave back two columns of one name; give each its own"
    unknown = [str(name) for name in after.columns if name not in contract.fields and name not in before.columns]
    if unknown:
        return f"added {', '.join(unknown)}, which the model does not have; add only its attributes"
    if not after.index.is_unique:
        return "gave back a row twice; give each row back once, under its own index label"
    if after.index.nlevels > 1 or not (after.index.equals(before.index) or after.index.isin(before.index).all()):
        return "gave back rows under new index labels; keep the index, which is the rows' position"
    return _changed_key(before, after, key)


def _changed_key(before: pd.DataFrame, after: pd.DataFrame, key: tuple[str, ...]) -> str | None:
    for name in key:
        if name not in after.columns:
            return f"left out the key column {name}; keep it"
        old, new = before[name], after[name]
        if len(old) != len(new) or not old.index.equals(new.index):
            old = old.loc[new.index]
        if not old.equals(new) and _plain(old) != _plain(new):
            return f"changed the key column {name}; keys are settled when the source is read, so leave them alone"
    return None


def _plain(column: pd.Series) -> list[tuple[type, Any]]:
    return [(type(value), value) for value in plain_values(column)]


def _strange_rejects(before: pd.DataFrame, rejected: list[RejectedRows]) -> str | None:
    rows = [row for each in rejected for row in each.rows]
    if not rows or pd.Index(rows).isin(before.index).all():
        return None
    return "rejected rows under new index labels; keep the index, which is the rows' position"


def _takes_one_argument(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a function without a signature to look at, such as a built-in one
        return True
    return True
