"""When a feed is brought in by itself: a cron expression in a time zone."""

from __future__ import annotations

import re
from zoneinfo import available_timezones

from pydantic import field_validator

from restock.csv_rules import Rules

_FIELD = re.compile(r"[0-9A-Za-z*/,\-#?]+")


class Schedule(Rules):
    """The `schedule` of a feed, such as `{cron: "15 2 * * *", timezone: Europe/Berlin}`."""

    cron: str
    timezone: str = "UTC"

    @field_validator("cron")
    @classmethod
    def _has_five_fields(cls, cron: str) -> str:
        parts = cron.split()
        if len(parts) != 5 or not all(_FIELD.fullmatch(part) for part in parts):
            raise ValueError("write minute, hour, day, month and weekday, such as 15 2 * * *")
        return " ".join(parts)

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, timezone: str) -> str:
        if timezone not in available_timezones():
            raise ValueError("write a time zone of the tz database, such as Europe/Berlin")
        return timezone
