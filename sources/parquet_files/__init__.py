"""Parquet, read with its types kept and its claims weighed."""
