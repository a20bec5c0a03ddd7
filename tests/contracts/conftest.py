"""The tables that the contract of the sink is tried on."""

from __future__ import annotations

from contracts.loads import make_table

__all__ = ["make_table"]
