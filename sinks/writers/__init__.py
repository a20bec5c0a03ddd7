"""Writers: how what is new and what has changed comes into the table, and what is theirs alone."""
