"""What the tests of the casts share: one column in, its values and its reasons out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from restock.contract import Contract, FieldSpec, Kind
from restock.csv_rules import CsvRules
from restock.records import to_records
from transforms.contract_check import cast, fitting

Refer = Callable[[Callable[..., Any]], str]
Read = Callable[..., tuple[list[Any], dict[int, str]]]


@pytest.fixture(scope="session")
def read() -> Read:
    """Cast one column of cells: the plain values of the rows that fit, and the reason codes of the others."""

    def read_cells(
        kind: Kind, cells: list[Any], rules: CsvRules | None = None, dtype: Any = "str", **demands: Any
    ) -> tuple[list[Any], dict[int, str]]:
        spec = FieldSpec("cell", kind, **demands)
        frame = pd.DataFrame({"cell": pd.Series(cells, dtype=dtype)})
        values, faults = cast(frame, Contract({"cell": spec}, ()), rules or CsvRules())
        cells = [record["cell"] for record in to_records(fitting(values, faults))]
        return cells, {row: found.code for row, (found,) in faults.items()}

    return read_cells


@pytest.fixture
def refer(monkeypatch: pytest.MonkeyPatch) -> Refer:
    """Put a function into a module of its own for the time of a test, and give the reference that names it."""

    def as_reference(function: Callable[..., Any]) -> str:
        module = ModuleType(f"shop_rules_{id(function)}")
        module.tidy = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return f"{module.__name__}:tidy"

    return as_reference
