"""How rendered files are written down: YAML in a fixed order, with a first line that says where they come from."""

from __future__ import annotations

from typing import Any

import yaml

try:
    from yaml import CSafeDumper as _Base
except ImportError:  # PyYAML without its C part: slower, same text
    from yaml import SafeDumper as _Base  # type: ignore[assignment]

NOTICE = (
    "Written by EZ-Homelab from homelab.yaml. A change made here is shown by `ez-homelab plan` and replaced by `apply`."
)


class _Dumper(_Base):
    """Block style without anchors: a person reads these files."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def yaml_text(data: object) -> str:
    """The value as YAML text in its own order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


def yaml_file(data: object, about: str) -> bytes:
    """A whole YAML file: what it is, where it comes from, the value."""
    return f"# {about[0].upper()}{about[1:]}.\n# {NOTICE}\n{yaml_text(data)}".encode()
