"""lint-rules.md, from the rules themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint import AppRule, CatalogRule, EditionRule, all_rules
from ez_homelab.catalog.lint.linter import FORMAT
from ez_homelab.reference.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.lint import Rule

_INTRODUCTION = f"""\
# What `ez-homelab catalog lint` demands

Each finding has a code from this page and the file, line and column it is about. An `error` makes the exit status 1; a
`warning` does not, and the shipped apps have none of either. How to use it: [Lint an app](../guides/lint.md).

`{FORMAT}` is the code of everything that the form of the files forbids: an unknown key, a wrong type, an image without
a tag or with a digest, `ports:`, `labels:` and all else that rendering writes, `start_interval`, missing limits. What
the form is stands in the schemas of [service.yaml](service.schema.json) and [tests.yaml](tests.schema.json)."""

_PARTS: tuple[tuple[str, str, type[Rule]], ...] = (
    ("The app's own files", "An app that breaks one of these errors does not load: no lab can use it.", AppRule),
    ("Package editions", "Asked by `catalog lint` only. Nothing here is built or run.", EditionRule),
    ("The catalog as a whole", "Asked by `catalog lint` only, of each app against all others.", CatalogRule),
)


def lint_rules_page() -> str:
    """Every rule by what it looks at, with severity, demand, reason and fix."""
    lines = [_INTRODUCTION]
    for title, words, kind in _PARTS:
        lines += ["", f"## {title}", "", words, "", *_table(kind)]
    return "\n".join(lines) + "\n"


def _table(kind: type[Rule]) -> Iterator[str]:
    rows = [
        (f"`{rule.code}`", rule.severity, *(cell(text) for text in (rule.demands, rule.why, rule.fix)))
        for rule in all_rules()
        if isinstance(rule, kind)
    ]
    yield from table(("Code", "Severity", "What is demanded", "Why", "Fix"), rows)
