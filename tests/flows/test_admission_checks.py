"""What a source has to pass before it is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from shops import Shop

from flows.runs.admission import sync
from flows.runs.choices import Choices
from flows.runs.door import Door
from flows.runs.loading import load_here
from flows.runs.workplace import open_workplace
from restock.errors import AlreadyServed


def test_a_late_night_has_nothing_to_do_where_its_content_was_loaded_since_it_was_due(sqlite_shop: Shop) -> None:
    place, due = open_workplace(), datetime.now(UTC) - timedelta(hours=1)
    feed = place.feed("products")
    sqlite_shop.write_csv("products.csv", [{"sku": "S-1", "name": "Rake"}])

    [first] = sync(place, feed, Door(load_here), Choices(due=due))
    with pytest.raises(AlreadyServed, match=f"and run {first.run.run_id} has loaded the same content since then"):
        sync(place, feed, Door(load_here), Choices(due=due))

    sqlite_shop.write_csv("products.csv", [{"sku": "S-2", "name": "Hoe"}])
    [other] = sync(place, feed, Door(load_here), Choices(due=due))
    assert other.summary.inserted == 1
