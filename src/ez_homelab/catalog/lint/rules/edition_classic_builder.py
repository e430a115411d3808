"""A Dockerfile has no BuildKit syntax."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_OPTIONS = {"RUN": {"mount", "network", "security"}, "COPY": {"chmod", "link", "parents", "exclude"},
            "FROM": {"platform"}}  # fmt: skip


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        for number, line in enumerate(dockerfile.text.splitlines(), 1):
            if re.match(r"#\s*syntax\s*=", line, re.IGNORECASE):
                yield Breach(dockerfile.file, number, "`# syntax=` asks for BuildKit", "remove it")
        for item in dockerfile.instructions:
            for option in sorted(_OPTIONS.get(item.name, set()) & set(item.options())):
                yield Breach(dockerfile.file, item.line, f"`{item.name} --{option}` needs BuildKit", "do without it")
            if item.name in ("RUN", "COPY") and re.search(r"(?<!<)<<-?[\"']?[A-Za-z_]", item.rest):
                yield Breach(dockerfile.file, item.line, "a here-document needs BuildKit", "COPY a file instead")


RULE = EditionRule(
    code="edition-classic-builder",
    severity="error",
    demands="A Dockerfile has no BuildKit syntax.",
    why="Debian's Docker has the classic builder only.",
    fix="Write it without `# syntax=`, here-documents, and options such as `--mount`, `--chmod` and `--link`.",
    find=_find,
)
