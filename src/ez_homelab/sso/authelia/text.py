"""YAML as Authelia reads it, in one fixed form."""

from __future__ import annotations

from typing import Any

import yaml

try:
    from yaml import CSafeDumper as _Base
except ImportError:  # PyYAML without its C part: slower, same text
    from yaml import SafeDumper as _Base  # type: ignore[assignment]


class _Dumper(_Base):
    """Block style without anchors; text that begins like a number is quoted, whichever YAML's numbers are meant."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: Any, value: str) -> yaml.ScalarNode:
    node: yaml.ScalarNode = dumper.represent_scalar(
        "tag:yaml.org,2002:str", value, '"' if value[:1] in _NUMBERS else None
    )
    return node


_NUMBERS = frozenset("0123456789+-.")
_Dumper.add_representer(str, _text)


def yaml_bytes(data: object, *about: str) -> bytes:
    """The value as a YAML file in its own order, with the lines `about` as comments above it."""
    comment = "".join(f"# {line}\n" for line in about)
    return (comment + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)).encode()
