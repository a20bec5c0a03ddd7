"""Dates, times and timestamps: formats, zones, clocks that jump, and the ends of the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.contract import FieldSpec, Kind
from restock.csv_rules import CsvRules
from transforms.time_columns import read_timestamp

BERLIN = CsvRules(timezone="Europe/Berlin")


def arrow(cells, type_):
    return pd.arrays.ArrowExtensionArray(pa.array(cells, type_))


@pytest.mark.parametrize(
    "text, moment",
    [
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01 10:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01T10:00:00-0330", datetime(2026, 3, 1, 13, 30, tzinfo=UTC)),
        ("2026-03-01T10:00+02", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        (" 2026-03-01T10:00:00.25Z ", datetime(2026, 3, 1, 10, 0, 0, 250000, tzinfo=UTC)),
        ("2026-03-01T10:00:00.123456789Z", datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_iso_timestamps_become_aware_and_utc(read, text, moment):
    values, codes = read(Kind.DATETIME, [text, None], timezone=True)

    assert (values, codes) == ([moment, None], {})
    assert values[0].utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        *["2026-02-30T10:00:00", "2026-13-01", "2026-03-01T24:00:00", "2026-03-01T10:00:60", "01.03.2026", "today"],
        *[
            "20260301",
            "2026-3-1",
            "2026-03-01x10:00",
            "2026-W10-1",
            "1772359200",
            "now",
            " ",
            "2026-03-01T10:00:00 CET",
        ],
    ],
)
def test_text_that_is_no_timestamp_is_a_reject_and_its_neighbours_stay(read, text):
    cells = ["2026-03-01T10:00:00", text, "2026-03-01T12:00:00+02:00"]

    ten = datetime(2026, 3, 1, 10)  # noqa: DTZ001
    assert read(Kind.DATETIME, cells) == ([ten, ten], {1: "not_a_timestamp"})


def test_a_local_time_is_read_in_the_declared_zone_and_a_zone_in_the_cell_counts_first(read):
    cells = ["2026-07-01T12:00:00", "2026-01-01T12:00:00", "2026-07-01T12:00:00Z"]

    values, _ = read(Kind.DATETIME, cells, BERLIN, timezone=True)

    assert [value.hour for value in values] == [10, 11, 12]


def test_local_times_that_the_clocks_skipped_or_showed_twice_are_rejects(read):
    cells = ["2026-03-29T02:30:00", "2026-10-25T02:30:00", "2026-10-25T03:00:00", "2026-10-25T02:30:00+01:00"]

    values, codes = read(Kind.DATETIME, cells, BERLIN)

    assert values == [datetime(2026, 10, 25, 2), datetime(2026, 10, 25, 1, 30)]  # noqa: DTZ001
    assert codes == {0: "time_gap", 1: "time_overlap"}


def test_digits_of_a_second_that_the_column_does_not_keep_are_cut_off(read):
    cells = ["1969-12-31T23:59:59.999", "2026-03-01T10:00:00.999999"]

    values, _ = read(Kind.DATETIME, cells, fraction=0)

    assert values == [datetime(1969, 12, 31, 23, 59, 59), datetime(2026, 3, 1, 10)]  # noqa: DTZ001


def test_the_end_of_the_calendar_is_kept_where_utc_still_has_it(read):
    cells = ["0001-01-01T00:00:00", "9999-12-31T23:59:59"]
    tokyo, new_york = CsvRules(timezone="Asia/Tokyo"), CsvRules(timezone="America/New_York")

    assert read(Kind.DATETIME, cells)[1] == {}
    assert read(Kind.DATETIME, cells, tokyo) == ([datetime(9999, 12, 31, 14, 59, 59)], {0: "out_of_range"})  # noqa: DTZ001
    assert read(Kind.DATETIME, cells, new_york)[1] == {1: "out_of_range"}
    assert read(Kind.DATETIME, ["0001-01-01T00:00:00+01:00"])[1] == {0: "out_of_range"}


def test_a_declared_format_is_the_only_one(read):
    rules = CsvRules(datetime_format="%m/%d/%Y %H:%M:%S", timezone="Europe/Berlin")
    cells = ["5/19/2006 0:00:00", "05/19/2006 00:00:00", "2006-05-19T00:00:00", "2/30/2006 0:00:00", None]

    values, codes = read(Kind.DATETIME, cells, rules)

    assert values == [datetime(2006, 5, 18, 22)] * 2 + [None]  # noqa: DTZ001
    assert codes == {2: "not_a_timestamp", 3: "not_a_timestamp"}


def test_a_declared_format_may_hold_the_zone(read):
    rules = CsvRules(datetime_format="%d/%b/%Y:%H:%M:%S %z", timezone="Europe/Berlin")
    cells = ["19/May/2006:10:00:00 +0400", "1/Jan/0001:00:00:00 +0400", "x"]

    values, codes = read(Kind.DATETIME, cells, rules, timezone=True)

    assert values == [datetime(2006, 5, 19, 6, tzinfo=UTC)]
    assert codes == {1: "out_of_range", 2: "not_a_timestamp"}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_parquet_keep_their_instant_in_every_unit(read, unit):
    aware = arrow([datetime(2026, 3, 1, 10, tzinfo=UTC), None], pa.timestamp(unit, "America/New_York"))
    naive = arrow([datetime(2026, 3, 1, 10), None], pa.timestamp(unit))  # noqa: DTZ001

    assert read(Kind.DATETIME, aware, BERLIN, None, timezone=True)[0] == [datetime(2026, 3, 1, 10, tzinfo=UTC), None]
    assert read(Kind.DATETIME, naive, BERLIN, None, timezone=True)[0] == [datetime(2026, 3, 1, 9, tzinfo=UTC), None]


def test_nanoseconds_before_1970_are_cut_off_and_not_rounded(read):
    assert read(Kind.DATETIME, arrow([-1], pa.timestamp("ns")), dtype=None) == (
        [datetime(1969, 12, 31, 23, 59, 59, 999999)],  # noqa: DTZ001
        {},
    )


def test_instants_that_python_cannot_hold_are_rejects(read):
    cells = arrow([2**61, -(2**61), 0], pa.timestamp("s"))

    values, codes = read(Kind.DATETIME, cells, dtype=None)

    assert (values, codes) == ([datetime(1970, 1, 1)], dict.fromkeys([0, 1], "out_of_range"))  # noqa: DTZ001


def test_timestamps_of_a_transform_are_read_whatever_type_it_made(read):
    stamp = pd.Timestamp("2026-03-01T10:00:00")
    ten = datetime(2026, 3, 1, 10)  # noqa: DTZ001

    assert read(Kind.DATETIME, [stamp, None], dtype="datetime64[ns]") == ([ten, None], {})
    assert read(Kind.DATETIME, [stamp, "2026-03-01 10:00", pd.NaT], dtype=object) == ([ten, ten, None], {})
    assert read(Kind.DATETIME, [date(2026, 3, 1)], dtype=object)[0] == [datetime(2026, 3, 1)]  # noqa: DTZ001


def test_timestamps_with_and_without_a_zone_may_stand_in_one_column_of_objects(read):
    cells = [datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, 12)]  # noqa: DTZ001

    values, _ = read(Kind.DATETIME, cells, BERLIN, dtype=object, timezone=True)

    assert [value.hour for value in values] == [12, 10]


@pytest.mark.parametrize("kind", [Kind.DATETIME, Kind.DATE, Kind.TIME])
def test_a_number_is_no_moment(read, kind):
    assert read(kind, arrow([1772359200, None], pa.int64()), dtype=None) == ([None], {0: "wrong_type"})


def test_dates_and_midnights_are_read_from_iso_text(read):
    sound = ["2024-02-29", "2026-03-01T00:00:00", "2026-03-01 00:00", None]
    wrong = ["2025-02-29", "0000-01-01", "2026-03-01T00:00:01", "2026-03-01T00:00:00Z", "1.3.2026"]

    values, codes = read(Kind.DATE, sound + wrong)

    assert values == [date(2024, 2, 29), date(2026, 3, 1), date(2026, 3, 1), None]
    assert codes == dict.fromkeys(range(4, 9), "not_a_date")


def test_dates_are_read_in_the_declared_format_and_hold_no_time(read):
    rules = CsvRules(date_format="%m/%d/%Y %H:%M:%S")

    values, codes = read(Kind.DATE, ["5/19/2006 0:00:00", "5/19/2006 1:00:00", "x"], rules)

    assert (values, codes) == ([date(2006, 5, 19)], {1: "not_a_date", 2: "not_a_date"})


@pytest.mark.parametrize(
    "cells, type_",
    [
        ([date(2026, 3, 1), None], pa.date32()),
        ([date(2026, 3, 1), None], pa.date64()),
        ([datetime(2026, 3, 1), None], pa.timestamp("ns")),  # noqa: DTZ001
        ([datetime(2026, 2, 28, 23, tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
    ],
)
def test_dates_of_parquet_and_midnights_are_dates(read, cells, type_):
    assert read(Kind.DATE, arrow(cells, type_), dtype=None) == ([date(2026, 3, 1), None], {})


def test_a_timestamp_within_a_day_is_no_date_and_a_date_beyond_the_calendar_is_a_reject(read):
    assert read(Kind.DATE, arrow([datetime(2026, 3, 1, 1)], pa.timestamp("us")), dtype=None)[1] == {0: "not_a_date"}  # noqa: DTZ001
    assert read(Kind.DATE, arrow([2**30], pa.date32()), dtype=None)[1] == {0: "out_of_range"}


def test_times_of_day_are_read_and_cut_to_the_column(read):
    cells = ["10:00", "10:00:00.5678", "24:00", "10:00:00Z", "x", None]

    values, codes = read(Kind.TIME, cells, fraction=2)

    assert values == [time(10), time(10, 0, 0, 560000), None]
    assert codes == dict.fromkeys([2, 3, 4], "not_a_time")


@pytest.mark.parametrize("type_", [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")])
def test_times_of_parquet_are_read_in_every_unit(read, type_):
    assert read(Kind.TIME, arrow([time(10, 30), None], type_), dtype=None) == ([time(10, 30), None], {})


offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)


@given(st.lists(st.none() | st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets)))  # noqa: DTZ001
def test_any_aware_moment_written_by_python_is_read_back_in_utc(read, moments):
    cells = [None if moment is None else moment.isoformat() for moment in moments]

    assert read(Kind.DATETIME, cells, BERLIN, timezone=True) == (moments, {})


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), min_size=1))  # noqa: DTZ001
def test_any_local_moment_is_placed_as_zoneinfo_places_it_or_is_a_reject(read, shown):
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    placed = [{moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)} for moment in shown]

    values, codes = read(Kind.DATETIME, [str(moment) for moment in shown], BERLIN, timezone=True)

    assert values == [next(iter(each)) for each in placed if len(each) == 1]
    assert set(codes) == {row for row, each in enumerate(placed) if len(each) == 2}


@given(st.lists(st.dates()), st.lists(st.times()))
def test_any_date_and_time_written_by_python_is_read_back(read, dates, times):
    assert read(Kind.DATE, [each.isoformat() for each in dates]) == (dates, {})
    assert read(Kind.TIME, [each.isoformat() for each in times]) == (times, {})


moments = st.datetimes().flatmap(
    lambda moment: st.sampled_from(
        [str(moment), moment.isoformat(), f"{moment:%Y-%m-%d %H:%M}", f"{moment:%Y-%m-%dT%H}", f"{moment:%Y-%m-%d}"]
    )
)
spoilt = st.builds(
    lambda text, at, sign: text[: at % len(text)] + sign + text[at % len(text) + 1 :],
    moments,
    st.integers(0, 30),
    st.sampled_from([*"0123456789-:. TZ+", ""]),
)


@given(text=moments | spoilt)
def test_a_column_read_at_once_reads_like_one_that_needs_care(text):
    at_once, with_care = (
        read_timestamp(pa.array(cells, pa.large_string()), FieldSpec("cell", Kind.DATETIME), CsvRules())
        for cells in ([text], [text, " 2026-03-01 "])
    )

    assert with_care.values[:1] == at_once.values
    assert (with_care.faults, with_care.values[1].is_valid) == (at_once.faults, True)
