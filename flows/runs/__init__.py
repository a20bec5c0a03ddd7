"""Runs: a source brought in, chunks loaded, loaded again or given up, and what came of it."""
