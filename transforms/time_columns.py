"""Column functions for dates, times of day and timestamps.

ISO 8601 in its extended form (2026-03-01, 2026-03-01T10:00:00.25+01:00, a blank for the T) unless the feed declares a
format. Timestamps without a zone are local to the feed's time zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.contract import FieldSpec
from restock.csv_rules import CsvRules
from transforms.columns import TEXT, Column, Misfit, is_text, keep, one_by_one, places, wrong_type
from transforms.text_bytes import TextBytes

LOCAL = pa.timestamp("us")
INSTANT = pa.timestamp("us", tz="UTC")
TIME = pa.time64("us")
# The years 1 to 9999, which are all that Python knows, in microseconds from 1970.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_A_DAY = 86_400_000_000

_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
_ZONE = r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
_TIMESTAMP = rf"^{_DAY}(?:[T ]{_CLOCK}{_ZONE}?)?$"
_ZONED = rf":.*{_ZONE}$"


def read_date(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """Calendar dates; a timestamp is one if it is midnight."""
    type_ = cells.type
    faults: dict[int, str] = {}
    if is_text(type_):
        pattern = rules.date_format
        texts = _matching(cells, None if pattern else rf"^{_DAY}(?:[T ]{_CLOCK})?$", "not_a_date", faults)
        moments = _parsed(texts, pattern, "not_a_date", faults)
    elif pa.types.is_date(type_):
        moments = cells.cast(pa.date32()).cast(pa.timestamp("s"))
    elif pa.types.is_timestamp(type_):
        moments = cells if type_.tz is None else pc.local_timestamp(cells)
    else:
        return wrong_type(cells, pa.date32())
    local = _in_years(moments, faults)
    odd = pa.array(_microseconds(local) % _A_DAY != 0)
    faults.update(dict.fromkeys(places(pc.and_(odd, pc.is_valid(local))), "not_a_date"))
    return Column(keep(local, pc.invert(odd)).cast(pa.date32()), faults)


def read_time(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """Times of day without a zone; digits of a second that the column does not keep are cut off."""
    faults: dict[int, str] = {}
    if is_text(cells.type):
        texts = _matching(cells, rf"^{_CLOCK}$", "not_a_time", faults)
        dated = pc.binary_join_element_wise(pa.scalar("1970-01-01T", TEXT), texts, pa.scalar("", TEXT))
        local = _parsed(dated, None, "not_a_time", faults)
    elif pa.types.is_time(cells.type):
        ticks = cells.cast(pa.int32()).cast(pa.int64()) if pa.types.is_time32(cells.type) else cells.cast(pa.int64())
        local = _in_years(ticks.cast(pa.timestamp(cells.type.unit)), faults)
    else:
        return wrong_type(cells, TIME)
    return Column(_cut(local, spec.fraction).cast(TIME), faults)


def read_timestamp(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """Instants in UTC, aware if the column keeps a zone; digits of a second that it does not keep are cut off."""
    faults: dict[int, str] = {}
    type_ = cells.type
    if is_text(type_):
        instants = _text_instants(cells, rules, faults)
    elif pa.types.is_timestamp(type_) and type_.tz is not None:
        instants = _in_years(cells.cast(pa.timestamp(type_.unit)), faults)
    elif pa.types.is_timestamp(type_):
        instants = _from_local(_in_years(cells, faults), rules.timezone, faults)
    elif pa.types.is_date(type_):
        days = cells.cast(pa.date32()).cast(pa.timestamp("s"))
        instants = _from_local(_in_years(days, faults), rules.timezone, faults)
    else:
        return wrong_type(cells, INSTANT if spec.timezone else LOCAL)
    values = _cut(instants, spec.fraction)
    return Column(values.cast(INSTANT) if spec.timezone else values, faults)


def _text_instants(cells: Any, rules: CsvRules, faults: dict[int, str]) -> Any:
    pattern = rules.datetime_format
    local = _cast_at_once(cells) if pattern is None else None
    if local is not None:
        return _from_local(_in_years(local, faults), rules.timezone, faults)
    texts = _matching(cells, None if pattern else _TIMESTAMP, "not_a_timestamp", faults)
    tells_zone = pa.scalar(pattern is not None and "%z" in pattern)
    zoned = pc.match_substring_regex(texts, _ZONED) if pattern is None else pa.repeat(tells_zone, len(texts))
    local = _parsed(keep(texts, pc.invert(zoned)), pattern, "not_a_timestamp", faults)
    local = _from_local(_in_years(local, faults), rules.timezone, faults)
    if pc.any(zoned).as_py() is not True:
        return local
    aware = _parsed(keep(texts, zoned), pattern, "not_a_timestamp", faults, INSTANT).cast(LOCAL)
    return pc.coalesce(_in_years(aware, faults), local)


def _cast_at_once(cells: Any) -> Any | None:
    """Text that is all ISO 8601 without a zone as timestamps; None where some cell needs care."""
    hour_alone = len("2026-03-01T10")  # the one form that Arrow reads beside those that are allowed
    if (TextBytes(cells).lengths() == hour_alone).any():
        return None
    try:
        return cells.cast(LOCAL)
    except pa.ArrowInvalid:
        return None


def _matching(cells: Any, pattern: str | None, code: str, faults: dict[int, str]) -> Any:
    """The cells without blanks around them, missing where they do not look as they must."""
    texts = pc.utf8_trim_whitespace(cells)
    if pattern is None:
        return texts
    looks_right = pc.match_substring_regex(texts, pattern)
    faults.update(dict.fromkeys(places(pc.invert(looks_right)), code))
    # Arrow reads six digits of a second; more are beyond what any column keeps.
    return pc.replace_substring_regex(keep(texts, looks_right), r"(\.[0-9]{6})[0-9]+", r"\1")


def _parsed(texts: Any, pattern: str | None, code: str, faults: dict[int, str], type_: pa.DataType = LOCAL) -> Any:
    """Timestamps from text in ISO 8601 or in the declared pattern."""
    if pattern is None:
        try:
            return texts.cast(type_)
        except pa.ArrowInvalid:  # some day is not in the calendar; Arrow does not say which
            pass
    codes = pc.dictionary_encode(texts)  # a day often occurs on many rows, and strptime is slow
    moments, misfits = one_by_one(codes.dictionary.to_pylist(), lambda text: _moment(text, pattern, code))
    if misfits:
        faults.update((place, misfits[i]) for place, i in enumerate(codes.indices.to_pylist()) if i in misfits)
    return pa.array(moments, type_).take(codes.indices)


def _moment(text: str, pattern: str | None, code: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if pattern is None else datetime.strptime(text, pattern)  # noqa: DTZ007
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except ValueError as error:
        raise Misfit(code) from error
    except OverflowError as error:
        raise Misfit("out_of_range") from error


def _microseconds(moments: Any) -> Any:
    return pc.fill_null(moments.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)


def _in_years(moments: Any, faults: dict[int, str]) -> Any:
    """Naive timestamps in microseconds, missing where Python has no such year."""
    if moments.type == LOCAL:
        ends = pc.min_max(moments.view(pa.int64())).as_py()
        if ends["min"] is None or (ends["min"] >= _FIRST and ends["max"] <= _LAST):
            return moments
    unit, ticks = moments.type.unit, _microseconds(moments)
    if unit == "ns":
        return _with_missing(ticks // 1000, moments)
    size = _MICROSECONDS[unit]
    beyond = (ticks < _FIRST // size) | (ticks > _LAST // size)
    if not beyond.any():
        return _with_missing(ticks * size, moments)
    for place in np.flatnonzero(beyond).tolist():
        faults[place] = "out_of_range"
    return keep(_with_missing(np.where(beyond, 0, ticks) * size, moments), pa.array(~beyond))


def _with_missing(microseconds: Any, moments: Any) -> Any:
    return keep(pa.array(microseconds, pa.int64()).cast(LOCAL), pc.is_valid(moments))


def _cut(moments: Any, fraction: int) -> Any:
    if fraction >= 6:
        return moments
    ticks = _microseconds(moments)
    return _with_missing(ticks - ticks % 10 ** (6 - fraction), moments)


def _from_local(local: Any, zone: str, faults: dict[int, str]) -> Any:
    """Naive UTC from naive local timestamps; those that the clocks skipped or showed twice are faults."""
    if zone == "UTC":
        return local
    # pandas cannot place the last hours of the year 9999, a common way to write "for ever", so those are read singly.
    ticks = _microseconds(local)
    at_an_end = (ticks < _FIRST + 2 * _A_DAY) | (ticks > _LAST - 2 * _A_DAY)
    clock = pd.Series(keep(local, pa.array(~at_an_end)).to_numpy(zero_copy_only=False))
    known = clock.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    lost = known.isna() & clock.notna()
    for place in np.flatnonzero(lost.to_numpy()).tolist():
        faults[place] = _clock_fault(clock.iloc[place].to_pydatetime(), ZoneInfo(zone))
    instants = pa.array(known.dt.tz_convert("UTC").dt.tz_localize(None), LOCAL, from_pandas=True)
    if not at_an_end.any():  # so the years are those that Python knows in UTC too
        return instants
    extremes, beyond = one_by_one(
        keep(local, pa.array(at_an_end)).to_pylist(), lambda shown: _to_utc(shown, ZoneInfo(zone))
    )
    faults.update(beyond)
    return pc.coalesce(instants, pa.array(extremes, LOCAL))


def _to_utc(shown: datetime, zone: ZoneInfo) -> datetime:
    try:
        return shown - (shown.replace(tzinfo=zone).utcoffset() or timedelta())
    except OverflowError as error:
        raise Misfit("out_of_range") from error


def _clock_fault(shown: datetime, zone: ZoneInfo) -> str:
    """A local time that the clocks skipped does not survive the way to UTC and back."""
    back = shown.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return "time_overlap" if back.replace(tzinfo=None) == shown else "time_gap"
