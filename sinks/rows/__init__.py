"""The rows of a chunk on their way to the server, in whatever form its driver takes fastest."""
