"""`edition` in service.yaml and the recipe of the main service stand together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    if app.manifest.edition and app.main_service not in app.image_folders:
        yield Breach(SERVICE, ("edition",), "there is no image/Dockerfile", "add it, or remove `edition`")
    if app.runtime_folder and not app.runtime_folder.is_dir():
        message = f"EZ-Homelab has no program `{app.runtime_folder.name}` for containers"
        yield Breach(SERVICE, ("edition", "runtime"), message, "remove it")
    if app.image_folders and not app.manifest.edition:
        message = "image/Dockerfile is there, but `edition` is missing"
        yield Breach(SERVICE, (), message, "say what the package edition carries")


RULE = AppRule(
    code="edition-is-declared",
    severity="error",
    demands="`edition` in service.yaml and the recipe of the main service stand together.",
    why="Without a declaration nobody knows what the edition carries; without a recipe there is nothing to build.",
    fix="Add image/Dockerfile or `edition`, or remove the other.",
    find=_find,
)
