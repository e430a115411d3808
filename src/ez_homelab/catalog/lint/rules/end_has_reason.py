"""A deprecated or disabled app says why, or what takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    manifest = app.manifest
    if manifest.status in ("deprecated", "disabled") and not (manifest.replaced_by or manifest.notes):
        yield Breach(SERVICE, ("status",), f"a {manifest.status} app says why", "add `replaced_by` or `notes`")


RULE = AppRule(
    code="end-has-reason",
    severity="error",
    demands="A deprecated or disabled app says why, or what takes its place.",
    why="People who run it need to know what to do.",
    fix="Add `replaced_by` or `notes`.",
    find=_find,
)
