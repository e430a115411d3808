"""JSON Schemas of an app's files, for editors. The models are their only source.

compose.yaml has none here: Docker Compose's own, which editors know, fits it, and the loader says what is narrower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from ez_homelab.catalog.app_tests import AppTests
from ez_homelab.catalog.manifest import Manifest

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

    from ez_homelab.catalog.base import Model


class _AsWritten(GenerateJsonSchema):
    """Without defaults: those are what the program holds (seconds, bytes), not what a person would write."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def service_schema() -> dict[str, Any]:
    """The JSON Schema of service.yaml as people write it: durations and sizes are texts such as `30s` and `512M`."""
    return _schema(Manifest, "service.yaml")


def app_tests_schema() -> dict[str, Any]:
    """The JSON Schema of an app's tests.yaml."""
    return _schema(AppTests, "tests.yaml")


def _schema(model: type[Model], file: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, schema_generator=_AsWritten)
    return {"$schema": GenerateJsonSchema.schema_dialect} | schema | {"title": f"EZ-Homelab catalog: {file}"}
