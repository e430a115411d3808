"""An edition's labels say what it is, from where, its licence, and the version that service.yaml names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_PREFIX = "org.opencontainers.image."


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        items = [item for item in dockerfile.last_stage() if item.name == "LABEL"]
        labels = dict(word.partition("=")[::2] for item in items for word in item.words())
        line = items[-1].line if items else 1
        for name in ("title", "version", "source", "licenses"):
            if not labels.get(_PREFIX + name):
                yield Breach(dockerfile.file, line, f"there is no label {_PREFIX}{name}", "add it")
        carried, named = labels.get(f"{_PREFIX}version"), _version(app, dockerfile.service)
        if carried and named and carried != named:
            message = f"its label says version {carried}, service.yaml says {named}"
            yield Breach(dockerfile.file, line, message, "write the one that is inside")


def _version(app: App, service: str) -> str:
    edition = app.manifest.edition
    if edition is None:
        return ""
    if service == app.main_service:
        return (edition.image_version or app.manifest.version).removeprefix("v")
    return edition.services[service].image_version if service in edition.services else ""


RULE = EditionRule(
    code="edition-labels",
    severity="error",
    demands="An edition's labels say what it is, from where, its licence, and the version that service.yaml names.",
    why="Whoever finds the image on a server can tell what it is without the catalog.",
    fix="Add `LABEL org.opencontainers.image.title`, `version`, `source` and `licenses`.",
    find=_find,
)
