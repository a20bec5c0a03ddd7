"""Guesses about a file, for a person to correct: nothing here is used by a run."""
