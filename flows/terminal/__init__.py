"""The terminal: the words of each command, what it does, and how it is shown."""
