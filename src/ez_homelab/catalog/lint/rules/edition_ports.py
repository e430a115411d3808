"""The main service's edition exposes the ports that service.yaml names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        exposing = [item for item in dockerfile.last_stage() if item.name == "EXPOSE"]
        exposed = {word.partition("/")[0] for item in exposing for word in item.arguments()}
        line = exposing[-1].line if exposing else 1
        for fact, port in _ports(app, dockerfile.service):
            if str(port) not in exposed:
                message = f"service.yaml says `{fact}: {port}`, which is not exposed"
                yield Breach(dockerfile.file, line, message, f"write `EXPOSE {port}`")


def _ports(app: App, service: str) -> Iterator[tuple[str, int]]:
    web, metrics = app.manifest.web, app.manifest.monitoring.metrics
    if web and web.target == "container" and web.service == service:
        yield "web.port", web.port
    if metrics and (metrics.service or app.main_service) == service:
        yield "monitoring.metrics.port", metrics.port
    for number, route in enumerate(web.extra_routes if web else ()):
        if (route.service or app.main_service) == service:
            yield f"web.extra_routes.{number}.port", route.port


RULE = EditionRule(
    code="edition-ports",
    severity="error",
    demands="The main service's edition exposes the ports that service.yaml names.",
    why="Routes lead to upstream's port; an edition that listens elsewhere cannot be reached.",
    fix="Let the program listen there, and write `EXPOSE`.",
    find=_find,
)
