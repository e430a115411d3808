"""The editors' schema and the reference page say what the reader does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from lab_strategies import labs

from ez_homelab.config.options import LAB, Apps, Group, Kind, Named, Short, Stack
from ez_homelab.config.schema import lab_reference_markdown, lab_schema
from ez_homelab.config.starter import starter_lab
from ez_homelab.yaml_text import read_yaml

VALID = Path(__file__).parent / "valid"
SCHEMA = lab_schema()
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
KNOWN = {
    *("$schema", "title", "description", "default", "examples", "type", "properties", "additionalProperties", "enum"),
    *("propertyNames", "items", "anyOf", "const", "minimum", "maximum", "pattern", "maxLength"),
    *("minProperties", "maxProperties"),
}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """The part of JSON Schema that the schema uses; a keyword beyond it fails the test."""
    assert set(schema) <= KNOWN
    types = schema.get("type", [])
    wanted = [types] if isinstance(types, str) else types
    return (
        (not wanted or any(is_type(value, name) for name in wanted))
        and ("const" not in schema or value == schema["const"])
        and ("enum" not in schema or value in schema["enum"])
        and ("anyOf" not in schema or any(fits(value, option) for option in schema["anyOf"]))
        and text_or_number_fits(value, schema)
        and members_fit(value, schema)
    )


def is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool) or name == "boolean":
        return isinstance(value, bool) and name == "boolean"
    return isinstance(value, TYPES[name])


def text_or_number_fits(value: Any, schema: dict[str, Any]) -> bool:
    if isinstance(value, str):
        return len(value) <= schema.get("maxLength", len(value)) and bool(re.search(schema.get("pattern", ""), value))
    if isinstance(value, int):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


def members_fit(value: Any, schema: dict[str, Any]) -> bool:
    if isinstance(value, list):
        return all(fits(item, schema.get("items", {})) for item in value)
    if not isinstance(value, dict):
        return True
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        return False
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    return all(
        fits(key, schema.get("propertyNames", {}))
        and (fits(item, properties[key]) if key in properties else others is not False and fits(item, others))
        for key, item in value.items()
    )


@pytest.mark.parametrize("file", sorted(VALID.rglob("*.y*ml")), ids=lambda file: str(file.relative_to(VALID)))
def test_every_file_that_loads_fits_the_schema(file: Path) -> None:
    assert fits(read_yaml(file.read_bytes(), file.name).data, SCHEMA)


@given(labs())
def test_every_lab_fits_the_schema(data: dict[str, Any]) -> None:
    assert fits(data, SCHEMA)


def test_the_starter_lab_fits_the_schema() -> None:
    assert fits(read_yaml(starter_lab()["homelab.yaml"], "f").data, SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "colour: red",
        "version: 2",
        "domain: localhost",
        "user: {puid: 0}",
        "user: {umask: '999'}",
        "images: {source: package}",
        "servers: {nas: {}}",
        "stacks: {Wiki: [dokuwiki]}",
        "stacks: {wiki: [Doku Wiki]}",
        "stacks: {wiki: [{a: {}, b: {}}]}",
        "stacks: {wiki: {apps: {dokuwiki: {port: 80}}}}",
        "stacks: {wiki: {apps: {dokuwiki: {limits: {memory: lots}}}}}",
        "include: [more.txt]",
    ],
)
def test_what_an_editor_can_see_is_wrong_does_not_fit(text: str) -> None:
    assert not fits(yaml.safe_load(text), SCHEMA)


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def option_names(kind: Kind) -> list[str]:
    if isinstance(kind, Group):
        return [name for option in kind.options for name in (option.name, *option_names(option.kind))]
    if isinstance(kind, (Named, Apps)):
        return option_names(kind.value)
    return option_names(kind.full) if isinstance(kind, (Short, Stack)) else []


def test_every_option_is_on_the_reference_page_once() -> None:
    page = lab_reference_markdown()
    headings = re.findall("^## `(.+)`$", page, re.MULTILINE)
    assert [heading.rpartition(".")[2] for heading in headings] == option_names(LAB)
    assert len(set(headings)) == len(headings)


def test_every_example_on_the_reference_page_fits_its_option() -> None:
    sections = re.split("^## `(.+)`$", lab_reference_markdown(), flags=re.MULTILINE)[1:]
    examples = [
        (path, block)
        for path, section in zip(sections[::2], sections[1::2], strict=True)
        for block in re.findall("^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    ]
    assert len(examples) > 15
    for path, block in examples:
        assert fits(read_yaml(block, path).data[path.rpartition(".")[2]], _schema_at(path))


def _schema_at(path: str) -> dict[str, Any]:
    schema = SCHEMA
    for step in path.split("."):
        schema = schema["anyOf"][0] if "anyOf" in schema else schema
        schema = schema["additionalProperties"] if step.startswith("<") else schema["properties"][step]
    return schema
