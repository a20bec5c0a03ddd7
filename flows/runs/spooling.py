"""Reads a source into a spool: for a run, or to look at it."""

from __future__ import annotations

from functools import partial

from flows.runs.progress import Progress
from flows.runs.stopping import check_stop
from restock.interpreter import settle_interpreter
from restock.wording import counted
from sinks.flask_sink import FlaskSink
from sources.chunks.spool import RunSpool
from sources.extract import Chunking, Extraction, extract
from sources.places.locations import SourceFile
from transforms.apply import canonical_keys

QUIET = "{source} holds no rows, so there is nothing to change."


def spool_source(sink: FlaskSink, files: list[SourceFile], spool: RunSpool, progress: Progress) -> Extraction:
    """Read a source whole into a spool, in chunks of the size that suits the feed or its database.

    Raises:
        SourceError: it cannot be read as the feed wants it; nothing of it stays in the spool.
    """
    settle_interpreter()
    feed, contract = sink.feed, sink.target.contract

    def read(rows: int) -> None:
        progress.reading(rows)
        check_stop()

    extraction = extract(
        files,
        feed,
        spool,
        Chunking(feed.chunk_rows or sink.usual_chunk_rows, sink.target.lies_in_key_order),
        partial(canonical_keys, feed=feed, contract=contract),
        contract,
        read,
    )
    if extraction.duplicates is not None:
        progress.note(extraction.duplicates)
    if any(chunk.unmoved is not None for chunk in extraction.chunks):
        progress.note(
            f"The rows come in no order of {', '.join(sink.target.key)}; they were put in that order, so that each "
            f"chunk meets its own part of {sink.target.name}."
        )
    if extraction.keyless and sink.target.inserts_keyless:
        progress.note(
            f"{extraction.keyless:,} of {counted(extraction.rows, 'row')} without {', '.join(sink.target.key)}: "
            "nothing recognises such rows, so content that differs in one row is inserted with all of them. To have "
            "them recognised, name a key that they hold in match_on."
        )
    return extraction
