"""An edition has a health check of its own, which every supported engine understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        checks = [item for item in dockerfile.last_stage() if item.name == "HEALTHCHECK"]
        if not checks or checks[-1].rest.upper() == "NONE":
            line = checks[-1].line if checks else 1
            yield Breach(dockerfile.file, line, "there is no `HEALTHCHECK`", "add one, as in compose.yaml")
        elif "start-interval" in checks[-1].options():
            message = "`--start-interval` is an error before Docker Engine 25"
            yield Breach(dockerfile.file, checks[-1].line, message, "remove it")


RULE = EditionRule(
    code="edition-health",
    severity="warning",
    demands="An edition has a health check of its own, which every supported engine understands.",
    why="The image is tried alone before an app is made of it; `--start-interval` fails before Docker 25.",
    fix="Add `HEALTHCHECK CMD [...]` with a program that is in the image.",
    find=_find,
)
