"""Writers: how new and changed rows come into the table, each in its own way, and what else that takes."""
