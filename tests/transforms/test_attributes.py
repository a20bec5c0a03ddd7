"""Constants and defaults in the columns of a source."""

from __future__ import annotations

import uuid
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from factories import make_feed

from restock.contract import Contract, FieldSpec, Kind
from restock.originals import texts_of
from transforms.attributes import attributes
from transforms.contract_check import cast

MONEY = {"kind": Kind.DECIMAL, "precision": 10, "scale": 2}
MOMENT = {"kind": Kind.DATETIME, "timezone": True}
YEAR_10000 = 253402300800_000_000
NAME, NONAME = uuid.UUID(int=7), uuid.UUID(int=0)


def cast_in_chunks(cells: Any, rows: int, default: Any, csv: dict[str, str], **demands: Any) -> list[str | None]:
    """The text of each cell after the cast of chunks of so many rows, or its reason code."""
    feed = make_feed(columns={"sku": "sku", "cell": {"from": "c", "default": default}}, csv=csv)
    contract = Contract({"cell": FieldSpec("cell", **demands)}, ("sku",))
    found: list[str | None] = []
    for start in range(0, len(cells), rows):
        raw = pd.DataFrame({"c": pd.Series(pd.arrays.ArrowExtensionArray(cells[start : start + rows]))})
        values, faults = cast(attributes(raw, feed, contract)[["cell"]], contract, feed.csv)
        texts = texts_of(values["cell"])
        found += [faults[row][0].code if row in faults else text for row, text in enumerate(texts)]
    return found


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize(
    "cells, default, demands, found",
    [
        (pa.array([19.99, None, 19.99, 5], pa.float32()), 0, MONEY, ["19.99", "0.00", "19.99", "5.00"]),
        (pa.array([19.99, float("nan"), 0.1, None]), 0.1, MONEY, ["19.99", "0.10", "0.10", "0.10"]),
        (pa.array([2, None], pa.int64()), 0.5, MONEY, ["2.00", "0.50"]),
        (
            pa.array([YEAR_10000, None, 0]).cast(pa.timestamp("us", "UTC")),
            "2026-01-01",
            MOMENT,
            ["out_of_range", "2026-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00"],
        ),
        (
            pa.array([YEAR_10000, None]).cast(pa.timestamp("us")),
            "never",
            {"kind": Kind.TEXT},
            ["10000-01-01 00:00:00.000000", "never"],
        ),
        (pa.array([NAME.bytes, None], pa.uuid()), "none", {"kind": Kind.TEXT}, [str(NAME), "none"]),
        (pa.array([NAME.bytes, None], pa.uuid()), str(NONAME), {"kind": Kind.UUID}, [str(NAME), str(NONAME)]),
        (
            pa.array([2**62, None, 5]).cast(pa.duration("s")),
            "PT1H",
            {"kind": Kind.INTERVAL},
            ["out_of_range", "P0DT3600.000000S", "P0DT5.000000S"],
        ),
        (pa.array([7, None], pa.int64()), True, {"kind": Kind.JSON}, ["7", "true"]),
        (pa.array([True, None]), 1, {"kind": Kind.JSON}, ["true", "1"]),
    ],
    ids=[
        "float32",
        "nan",
        "another type",
        "year 10000",
        "year 10000 as text",
        "uuid as text",
        "uuid",
        "duration",
        "true is not 1",
        "1 is not true",
    ],
)
def test_a_default_changes_no_other_cell_whatever_chunk_it_is_in(cells, default, demands, found, rows):
    assert cast_in_chunks(cells, rows, default, {}, **demands) == found


def test_a_default_without_a_zone_is_read_as_the_cells_beside_it_are():
    cells = pa.array([0, None]).cast(pa.timestamp("us"))
    csv = {"timezone": "Europe/Berlin", "datetime_format": "%d.%m.%Y %H:%M"}

    found = cast_in_chunks(cells, 2, "01.01.1970 00:00", csv, **MOMENT)

    assert found == ["1969-12-31T23:00:00+00:00"] * 2
