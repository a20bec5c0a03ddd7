"""The automations of a station, registered so that their notifications reach an address."""

from __future__ import annotations

from operations.houses import House


def register(house: House, *words: str) -> str:
    """Register the shipped automations; what the command said."""
    done = house.run("flows.cli", "automations", *words, **house.caller)
    return done.stdout + done.stderr


def notify(house: House, address: str) -> str:
    """Let the shipped automations write to an address; what the command said."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    block = CustomWebhookNotificationBlock(
        name="operators", url=address, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    block.save("operators", overwrite=True)
    told = register(house, "--notify", "custom-webhook/operators")
    assert "Registered: restock calls for a person" in told, told
    return told
