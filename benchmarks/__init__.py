"""The speed claims, re-runnable: `make bench`. Nothing of it is part of the product."""
