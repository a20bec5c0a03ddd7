"""Registers the automations of automations.yaml, beside this file, on the Prefect server that is configured."""

from __future__ import annotations

from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from restock.errors import ConfigurationError
from restock.paths import ROOT

SHIPPED = ROOT / "flows" / "orchestration" / "automations.yaml"
NOTIFY = "{notify}"


def register_automations(notify: str | None) -> tuple[list[str], list[str]]:
    """Create the automations, or bring those of the same name up to date.

    Args:
        notify: the notification block, as `slack-webhook/operators`; without it, what notifies is left out.

    Returns:
        The names of those registered, and of those left out.

    Raises:
        ConfigurationError: the block or a deployment is not on the server.
    """
    registered, left_out = [], []
    with get_client(sync_client=True) as client:
        for entry in yaml.safe_load(SHIPPED.read_text(encoding="utf-8")):
            if notify is None and NOTIFY in str(entry):
                left_out.append(entry["name"])
                continue
            actions = [_with_ids(client, action, notify) for action in entry["actions"]]
            _register(client, AutomationCore.model_validate({**entry, "actions": actions}))
            registered.append(entry["name"])
    return registered, left_out


def _register(client: SyncPrefectClient, automation: AutomationCore) -> None:
    known = client.read_automations_by_name(automation.name)
    if known and known[0].model_dump(include=set(AutomationCore.model_fields)) == automation.model_dump():
        return  # an update, also one that changes nothing, lets the server forget the runs that it watches
    if known:
        client.update_automation(known[0].id, automation)
    else:
        client.create_automation(automation)


def _with_ids(client: SyncPrefectClient, action: dict[str, Any], notify: str | None) -> dict[str, Any]:
    """An action with the ids of what it names: the server knows neither deployments nor blocks by name."""
    resolved = {name: value for name, value in action.items() if name not in ("deployment", "block")}
    if "deployment" in action:
        resolved["deployment_id"] = _deployment_id(client, action["deployment"])
    if "block" in action:
        resolved["block_document_id"] = _block_id(client, notify or action["block"])
    return resolved


def _deployment_id(client: SyncPrefectClient, name: str) -> str:
    try:
        return str(client.read_deployment_by_name(name).id)
    except ObjectNotFound as error:
        raise ConfigurationError(
            f"The Prefect server has no deployment {name}; register it with `prefect --no-prompt deploy --all`."
        ) from error


def _block_id(client: SyncPrefectClient, name: str) -> str:
    kind, _, document = name.partition("/")
    try:
        return str(client.read_block_document_by_name(document, kind).id)
    except ObjectNotFound as error:
        raise ConfigurationError(
            f"The Prefect server has no block {name}; create it on the page Blocks, and name it as kind/name, such as "
            "slack-webhook/operators."
        ) from error
