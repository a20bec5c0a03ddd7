"""A path as people are shown it: they recognise it, and learn nothing of the machine above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from restock.paths import shown


@pytest.mark.parametrize(
    "path, told",
    [
        ("spool/x.parquet", "spool/x.parquet"),
        ("../above/x.csv", "../above/x.csv"),
        ("/far/away/b/x.csv", "…/b/x.csv"),
        ("/b/x.csv", "…/b/x.csv"),
        ("/x.csv", "…/x.csv"),
    ],
)
def test_a_path_that_lies_elsewhere_is_seen_to_be_cut(
    path: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert shown(path) == told
    assert shown(tmp_path / "here.csv") == "here.csv"
