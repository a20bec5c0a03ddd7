"""What a scenario has to find when a safety rule is in force, and when it is switched off (T46)."""

from __future__ import annotations


def judge(found: list[str], is_on: bool) -> None:
    """With the rule in force nothing is wrong, and without it something is."""
    if is_on:
        assert not found, "\n".join(found)
    else:
        assert found
