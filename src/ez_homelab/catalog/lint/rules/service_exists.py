"""A service that service.yaml or `depends_on` names is one of compose.yaml's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import COMPOSE, SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.lint.parts import Path
    from ez_homelab.catalog.manifest import Manifest


def _find(app: App) -> Iterator[Breach]:
    known = app.compose.services
    for path, name in _named(app.manifest):
        if name not in known:
            yield Breach(SERVICE, path, f"compose.yaml has no service `{name}`", f"it has: {', '.join(known)}")
    for service, definition in known.items():
        for name in definition.depends_on:
            if name not in known:
                yield Breach(COMPOSE, ("services", service, "depends_on", name), f"there is no service `{name}`")


def _named(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    if manifest.web:
        yield ("web", "service"), manifest.web.service
        for n, route in enumerate(manifest.web.extra_routes):
            if route.service:
                yield ("web", "extra_routes", n, "service"), route.service
    if manifest.monitoring.metrics and manifest.monitoring.metrics.service:
        yield ("monitoring", "metrics", "service"), manifest.monitoring.metrics.service
    yield from ((("backup", "dumps", n, "service"), dump.service) for n, dump in enumerate(manifest.backup.dumps))
    yield from ((("network", "internal_only", n), name) for n, name in enumerate(manifest.network.internal_only))
    yield from ((("update", "manual_images", n), name) for n, name in enumerate(manifest.update.manual_images))
    yield from ((("resources", "services", name), name) for name in manifest.resources.services)


RULE = AppRule(
    code="service-exists",
    severity="error",
    demands="A service that service.yaml or `depends_on` names is one of compose.yaml's.",
    why="A route, a dump or a limit for a container that there is not would silently do nothing.",
    fix="Write the service's name as it stands in compose.yaml.",
    find=_find,
)
