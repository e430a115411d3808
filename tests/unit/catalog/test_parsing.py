"""The notations that are parsed at the door, and the schema that describes them to an editor."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from ez_homelab.catalog.base import parse_duration, parse_size
from ez_homelab.catalog.compose_fragment import ComposeFragment, Mount, parse_mount
from ez_homelab.catalog.manifest import Manifest
from ez_homelab.catalog.schema import app_tests_schema, service_schema


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("1h30m", 5400), ("7d", 604800), ("1d1h1m1s", 90061), ("0s", 0)]
)
def test_durations_are_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("value", ["", "30", 30, 1.5, True, None, "1s1m", "-5s", "5 s", "1w", "٣s", "30s\n"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="30s"):
        parse_duration(value)


@pytest.mark.parametrize(("text", "size"), [("64K", 65536), ("512M", 512 << 20), ("4G", 4 << 30), ("1T", 1 << 40)])
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert parse_size(0) == 0


@pytest.mark.parametrize("value", ["", "512", 512, "1.5G", "4g", "4 G", "-1G", False, None, "12X", "1G\n"])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="512M"):
        parse_size(value)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("data:/data", Mount(kind="volume", source="data", target="/data")),
        ("./files/a.conf:/a:ro", Mount(kind="file", source="a.conf", target="/a", read_only=True)),
        ("./files/a/:/a:ro", Mount(kind="file", source="a", target="/a", read_only=True)),
        ("/:/host:ro,rslave", Mount(kind="host", source="/", target="/host", read_only=True, propagation="rslave")),
        ("${MEDIA}/films:/films", Mount(kind="variable", source="${MEDIA}/films", target="/films")),
        ("${DATA}:/y:rw", Mount(kind="variable", source="${DATA}", target="/y")),
    ],
)
def test_a_mount_has_a_kind(text: str, mount: Mount) -> None:
    assert parse_mount(text) == mount


@pytest.mark.parametrize(
    "text",
    [
        "data",
        "data:",
        "data:relative",
        "data:/x:rx",
        "./x:/y",
        "${A}/../b:/y",
        ":/",
        "a:b:/c",
        "${A:-..}:/y",
        "${A}b:/y",
        "A:/b",
    ],
)
def test_what_is_no_mount_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse_mount(text)


def test_shorthand_is_normalised() -> None:
    long = {"image": "a:1", "environment": {"A": "1"}, "depends_on": {"b": "service_started"}, "tmpfs": ("/tmp",)}
    short = {"image": "a:1", "environment": ("A=1",), "depends_on": ("b",), "tmpfs": "/tmp"}
    own_form = long | {"depends_on": {"b": {"condition": "service_started"}}, "environment": {"A": 1}}
    fragments = [ComposeFragment.model_validate({"services": {"a": one}}) for one in (short, own_form)]
    assert fragments[0] == fragments[1]
    assert dict(fragments[0].services["a"].environment) == long["environment"]


def objects(schema: dict[str, Any]) -> dict[str, Any]:
    return {"": schema, **schema["$defs"]}


@pytest.mark.parametrize("schema", [service_schema(), app_tests_schema()], ids=["service", "tests"])
def test_a_schema_refuses_unknown_keys_and_explains_its_parts(schema: dict[str, Any]) -> None:
    for name, part in objects(schema).items():
        assert part["additionalProperties"] is False, name
        assert part["description"], name


def test_the_schema_knows_what_people_write() -> None:
    schema = service_schema()
    assert set(schema["properties"]) == {field.alias or name for name, field in Manifest.model_fields.items()}
    health, memory = schema["$defs"]["Health"]["properties"], schema["$defs"]["Memory"]["properties"]
    assert re.search(health["interval"]["pattern"], "1h30m")
    assert not re.search(health["interval"]["pattern"], "30")
    assert re.search(memory["limit"]["anyOf"][0]["pattern"], "512M")
    assert "class" in schema["$defs"]["Volume"]["properties"]
    assert not any("default" in value for part in objects(schema).values() for value in part["properties"].values())
