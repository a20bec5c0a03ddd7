"""The speed claims, re-runnable: `make bench`."""
