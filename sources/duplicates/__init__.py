"""Which row of each key counts, and the rows that lost to it."""
