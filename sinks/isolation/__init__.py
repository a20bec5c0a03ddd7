"""Isolation: which rows the database refuses of a chunk, so that the others are written all the same."""
