"""The events that restock announces, as a real Prefect server has them: what they say, and how little."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from looking import look_until
from shops import Shop

from flows.orchestration.announcements import CHUNKS_ANNOUNCED
from flows.orchestration.automations import register_automations
from flows.runs.choices import Choices
from flows.runs.progress import Progress
from flows.sync_products import run_sync_flow
from restock.errors import ConfigurationError, SourceError

COUNTS = {"read", "inserted", "updated", "unchanged", "superseded", "stale", "rejected", "skipped", "abandoned"}
COUNTS |= {"outstanding"}


@pytest.fixture
def announced(server: Any) -> Callable[[str, str, int], list[dict[str, Any]]]:
    """The events of a name that the server has of a feed, once there are so many."""

    def look(name: str, feed: str, count: int) -> list[dict[str, Any]]:
        asked = {"filter": {"event": {"name": [name]}, "resource": {"id": [f"restock.feed.{feed}"]}}, "limit": 50}

        def found() -> list[dict[str, Any]] | None:
            events = server.client._client.post("/events/filter", json=asked).json()["events"]
            assert len(events) <= count, events
            return events if len(events) == count else None

        return look_until(found)

    return look


def sync(shop: Shop, feed: str, **keys: Any) -> Any:
    """Bring the shop's products in as a feed of its own name: the events of a name stay apart from other tests'."""
    shop.feeds({feed: {"source": "products.csv", "match_on": ["sku"], "chunk_rows": 2, **keys}})
    return run_sync_flow(feed, Choices(), Progress())[0]


def small(event: dict[str, Any]) -> dict[str, Any]:
    """The payload of an event, which is small and holds no value of any row."""
    text = json.dumps(event)
    assert len(text) < 3000
    assert "S-0000" not in text
    assert "4711" not in text
    payload: dict[str, Any] = event["payload"]
    return payload


def test_a_completed_run_is_announced_with_its_counts(announced: Callable[..., Any], chunked_shop: Shop) -> None:
    report = sync(chunked_shop, "complete")

    (event,) = announced("restock.run.completed", "complete", 1)
    payload = small(event)
    assert event["resource"]["prefect.resource.name"] == "complete"
    assert event["resource"]["restock.flow"] == "sync-products"
    assert {payload.pop("run_id"), payload.pop("status")} == {report.run.run_id, "completed"}
    assert set(payload) == COUNTS
    assert {name: number for name, number in payload.items() if number} == {"read": 6, "inserted": 6}


def test_what_came_in_before_a_file_that_is_refused_is_announced_and_has_its_page(
    announced: Callable[..., Any], server: Any, chunked_shop: Shop
) -> None:
    (chunked_shop.folder / "products2.csv").write_text("another\n1\n")

    with pytest.raises(SourceError):
        sync(chunked_shop, "changes", source="products*.csv", kind="delta", chunk_rows=6)

    (event,) = announced("restock.run.completed", "changes", 1)
    assert small(event)["inserted"] == 6
    assert server.artifacts()["changes-summary"].startswith("# changes: completed\n")


def test_a_held_run_is_announced_with_its_reason(announced: Callable[..., Any], chunked_shop: Shop) -> None:
    chunked_shop.write_csv("products.csv", [{"sku": "S-00001", "name": "Ax"}, {"sku": "S-00002", "name": ""}])

    report = sync(chunked_shop, "held", max_rejects=0)
    assert sync(chunked_shop, "held", max_rejects=0).was_held  # which is no news

    (event,) = announced("restock.run.held", "held", 1)
    payload = small(event)
    assert (payload["run_id"], payload["reason"]) == (report.run.run_id, report.run.reason)
    assert payload["read"] == 2
    announced("restock.run.completed", "held", 0)


def test_a_failed_chunk_is_announced_with_its_sentence_and_no_more_than_some_are(
    announced: Callable[..., Any], chunked_shop: Shop
) -> None:
    broken = f"{chunked_shop.package}.rules:fail_on_s_00003"
    report = sync(chunked_shop, "failing", transform=broken)

    (event,) = announced("restock.chunk.failed", "failing", 1)
    chunk = {"run_id": report.run.run_id, "chunk": 2, "rows": 2, "reason": report.failed[0].error}
    assert small(event) == chunk
    announced("restock.run.completed", "failing", 0)

    rows = [{"sku": f"S-{n:05}", "name": "Rake"} for n in range(CHUNKS_ANNOUNCED + 5)]
    chunked_shop.write_csv("products.csv", rows)
    (chunked_shop.folder / chunked_shop.package / "worse.py").write_text("def fail(frame): raise ValueError(4711)")
    sync(chunked_shop, "worse", transform=f"{chunked_shop.package}.worse:fail", chunk_rows=1)

    events = announced("restock.chunk.failed", "worse", CHUNKS_ANNOUNCED)
    assert {small(event)["chunk"] for event in events} == set(range(1, CHUNKS_ANNOUNCED + 1))


def test_automations_on_a_server_without_our_deployments_are_refused_by_the_first_name(server: Any) -> None:
    with pytest.raises(ConfigurationError, match="has no deployment reprocess-failed-chunks/by-hand"):
        register_automations(None)
