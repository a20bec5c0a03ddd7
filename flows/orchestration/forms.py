"""The fields of the run form in the Prefect UI: their help, and what they offer beyond a type."""

from __future__ import annotations

from typing import Annotated

from pydantic import GetJsonSchemaHandler, WithJsonSchema
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
        field = handler(schema) | {"description": "The feed to bring in."}
        try:
            return field | {"enum": list(read_feeds(read_settings().feeds_file))}
        except ConfigurationError:
            return field  # the run says what is wrong with feeds.yaml; the form is then a plain field


def _described(kind: str, help_text: str) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, "description": help_text})


FeedField = Annotated[str, ConfiguredFeeds()]
FileField = Annotated[
    str,
    _described(
        "string",
        "A file to read this time in place of the feed's own source, inside the allowed folders. Usually empty.",
    ),
]
FreshField = Annotated[
    bool, _described("boolean", "Begin anew where an interrupted run of the same content would go on.")
]
MaxRejectsField = Annotated[
    str,
    _described(
        "string",
        "Hold this run after so many rejected rows, such as 100 or 1%. Empty for the feed's own limit.",
    ),
]
ForceField = Annotated[bool, _described("boolean", "Go on although a limit trips: rows rejected, or too few rows.")]
