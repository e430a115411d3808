"""The table of options as JSON Schema (for editors) and as a reference page (for people)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from ez_homelab.config.options import (
    LAB,
    Apps,
    Choice,
    Group,
    Kind,
    Listed,
    Named,
    Option,
    Short,
    Stack,
    Text,
    Version,
    Whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_FILE = "homelab.schema.json"

_NUMBERS = ["string", "number", "boolean", "null"]


def lab_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of homelab.yaml and of what it includes.

    It accepts every lab that loads; loading checks more. Nothing is required, as an included file may lack anything.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "homelab.yaml",
        "description": "What a homelab is. `ez-homelab check` says what an editor cannot see.",
        **_schema(LAB),
    }


def _schema(kind: Kind) -> dict[str, Any]:
    match kind:
        case Text():
            limits = {"maxLength": kind.maximum} | ({"pattern": kind.pattern} if kind.pattern else {})
            return {"type": _NUMBERS if kind.numbers else "string", **limits}
        case Whole():
            return {"type": "integer", "minimum": kind.lowest, "maximum": kind.highest}
        case Version():
            return {"const": 1}
        case Choice():
            return {"enum": [*kind.values, *(int(value) for value in kind.values if value.isdigit())]}
        case _:
            return _schema_of_many(kind)


def _schema_of_many(kind: Group | Short | Named | Listed | Apps | Stack) -> dict[str, Any]:
    match kind:
        case Group():
            properties = {option.name: _option_schema(option) for option in kind.options}
            return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
        case Short():
            return {"anyOf": [_schema(kind.full), _schema(kind.kind)]}
        case Named():
            return _mapping(kind.key, _schema(kind.value))
        case Listed():
            return {"type": ["array", "null"], "items": _schema(kind.item)}
        case Apps():
            mapping = _mapping(kind.key, _schema(kind.value))
            one = {**mapping, "type": "object", "minProperties": 1, "maxProperties": 1}
            return {"anyOf": [mapping, {"type": "array", "items": {"anyOf": [_schema(kind.key), one]}}]}
        case Stack():
            return {"anyOf": [_schema(kind.full), _schema(kind.apps)["anyOf"][1]]}


def _mapping(key: Text, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["object", "null"], "propertyNames": _schema(key), "additionalProperties": value}


def _option_schema(option: Option) -> dict[str, Any]:
    about: dict[str, Any] = {"description": option.description}
    if option.default is not None:
        about["default"] = option.default
    if option.example is not None:
        about["examples"] = [option.example]
    return about | _schema(option.kind)


def lab_reference_markdown() -> str:
    """The reference page of homelab.yaml: every option once, in the order of the file."""
    lines = [
        "# homelab.yaml",
        "",
        "Every option, in the order of the file. `<...>` stands for a name that you choose. Unknown keys are refused.",
    ]
    for path, option in _options(LAB, ""):
        lines += ["", f"## `{path}`", "", option.description, "", *_facts(option)]
    return "\n".join(lines) + "\n"


def _options(group: Group, above: str) -> Iterator[tuple[str, Option]]:
    for option in group.options:
        path = f"{above}{option.name}"
        yield path, option
        below, prefix = _below(option.kind, f"{path}.")
        if below is not None:
            yield from _options(below, prefix)


def _below(kind: Kind, prefix: str) -> tuple[Group | None, str]:
    match kind:
        case Group():
            return kind, prefix
        case Named() | Apps():
            return _below(kind.value, f"{prefix}<{kind.label}>.")
        case Stack() | Short():
            return kind.full, prefix
        case _:
            return None, prefix


def _facts(option: Option) -> list[str]:
    facts = [f"- Type: {_type_words(option.kind)}"]
    if isinstance(option.kind, Choice):
        facts += [f"  - `{value}`: {meaning}" for value, meaning in option.kind.values.items()]
    if option.required:
        facts.append("- Required")
    elif option.default is not None or option.otherwise:
        facts.append(f"- Default: {option.otherwise or f'`{option.default}`'}")
    if option.example is not None:
        text = yaml.safe_dump({option.name: option.example}, sort_keys=False, width=100).rstrip()
        facts += ["", "```yaml", text, "```"]
    return facts


_TYPES: dict[type, str] = {
    Version: "the number 1",
    Choice: "one of",
    Listed: "list of text",
    Apps: "mapping from name to settings; or a list of names",
}


def _type_words(kind: Kind) -> str:
    match kind:
        case Whole():
            return f"whole number from {kind.lowest} to {kind.highest}"
        case Text():
            return "text or number" if kind.numbers else "text"
        case Short():
            return f"mapping; or its `{kind.option}` alone"
        case Named():
            return f"mapping from {kind.label} to {'a stack' if isinstance(kind.value, Stack) else 'its value'}"
        case _:
            return _TYPES.get(type(kind), "mapping")
