"""The tag of the main service's image holds the version that service.yaml names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    main, version = app.compose.services.get(app.main_service), app.manifest.version
    if main and version.removeprefix("v") not in main.tag:
        message = f"version {version} is not in the tag `{main.tag}` of the main service"
        yield Breach(SERVICE, ("version",), message, "write the same version in both files")


RULE = AppRule(
    code="version-is-tag",
    severity="warning",
    demands="The tag of the main service's image holds the version that service.yaml names.",
    why="People read the version in one file and run the other's.",
    fix="Write the same version in both files.",
    find=_find,
)
