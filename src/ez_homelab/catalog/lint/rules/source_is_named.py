"""The version, the architectures and the ports have a source and its day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.manifest import Manifest


def _find(app: App) -> Iterator[Breach]:
    known = {fact for source in app.manifest.sources for fact in source.facts}
    for fact in _needed(app.manifest):
        if fact not in known:
            message = f"no source is named for `{fact}`"
            yield Breach(SERVICE, ("sources",), message, "add where and when it was found")


def _needed(manifest: Manifest) -> Iterator[str]:
    yield "version"
    if manifest.architectures != "unknown":
        yield "architectures"
    if manifest.web:
        yield "web.port"
    if manifest.monitoring.metrics:
        yield "monitoring.metrics.port"


RULE = AppRule(
    code="source-is-named",
    severity="error",
    demands="The version, the architectures and the ports have a source and its day.",
    why="A fact without a source cannot be checked, and nobody notices when it becomes wrong.",
    fix="Add where and when it was found to `sources`, or write `unknown`.",
    find=_find,
)
