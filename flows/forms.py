"""What the run form in the Prefect UI offers beyond the types of a flow's parameters."""

from __future__ import annotations

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from restock.errors import ConfigurationError
from restock.feeds_file import read_feeds
from restock.settings import read_settings


class ConfiguredFeeds:
    """Makes a parameter a drop-down of the feeds in feeds.yaml, as they are when the deployment is registered.

    It only shapes the form: the run itself looks the feed up again, in the feeds.yaml of its worker.
    """

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        try:
            names = list(read_feeds(read_settings().feeds_file))
        except ConfigurationError:
            return handler(schema)  # the run says what is wrong with feeds.yaml; the form is then a plain field
        return handler(schema) | {"enum": names}
