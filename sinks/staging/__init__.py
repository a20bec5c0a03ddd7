"""Where the rows of a chunk meet those of the table: the stage, and what is compared in it."""
