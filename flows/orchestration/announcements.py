"""The events that automations of Prefect can wait for. They are small, and hold no value of any row."""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event

from flows.runs.reports import RunReport
from prefect import runtime
from restock.chunks import OUTCOMES, ChunkRef
from restock.errors import ChunkFailed

# A run whose every chunk fails is one trouble: its summary lists more of them.
CHUNKS_ANNOUNCED = 20


def chunk_failed(feed: str, ref: ChunkRef, error: ChunkFailed) -> None:
    """Announce `restock.chunk.failed`."""
    _announce("chunk.failed", feed, {"run_id": ref.run_id, "chunk": ref.number, "rows": ref.rows, "reason": str(error)})


def run_held(report: RunReport) -> None:
    """Announce `restock.run.held`: a limit tripped, and a person decides. Once for a run, however often it is tried."""
    reason = {"reason": report.run.reason or ""}
    _announce("run.held", report.run.feed, {"run_id": report.run.run_id, **reason, **_counts(report)})


def run_completed(report: RunReport) -> None:
    """Announce `restock.run.completed`: nothing of the run is outstanding."""
    status = {"status": report.summary.status}
    _announce("run.completed", report.run.feed, {"run_id": report.run.run_id, **status, **_counts(report)})


def run_stopped(feed: str, reason: str) -> None:
    """Announce `restock.run.stopped`: the database was away or full, and what is outstanding can be loaded later."""
    _announce("run.stopped", feed, {"reason": reason})


def _counts(report: RunReport) -> dict[str, Any]:
    counts = report.summary.as_dict()
    return {name: counts[name] for name in ("read", *OUTCOMES)}


def _announce(name: str, feed: str, payload: dict[str, Any]) -> None:
    resource = {
        "prefect.resource.id": f"restock.feed.{feed}",
        "prefect.resource.name": feed,
        "restock.flow": str(runtime.flow_run.flow_name),
    }
    # Sent from a thread of Prefect's, which tries for a while if the server is away.
    emit_event(f"restock.{name}", resource=resource, payload=payload)
