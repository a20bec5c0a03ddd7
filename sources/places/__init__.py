"""Where files are, and the bytes of what was found there."""
