"""Files to frames: reads a feed's source strictly, settles duplicate keys and spools the rows in chunks."""
