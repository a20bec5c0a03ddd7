"""What an app can listen to: `rows_loaded`, sent after each commit that wrote rows."""

from __future__ import annotations

from blinker import Signal

rows_loaded = Signal(
    """Rows of a feed were committed. At most once for each chunk, and never for rows that were rolled back.

    The sender is the Flask app, inside a fresh app context. Keywords: `feed` (its name), `run_id`, `model` (the class),
    `inserted` and `updated`: the primary keys, generated ones included, as values or, of several columns, as tuples.
    An error of a receiver is logged and harms nothing. Connect while the app is made, so that every process listens.
    """
)
