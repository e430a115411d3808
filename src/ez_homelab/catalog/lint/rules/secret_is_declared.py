"""A mounted secret is declared under `secrets`, and mounted read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import mounts
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    declared = {secret.id for secret in app.manifest.secrets}
    for path, mount in mounts(app):
        if mount.kind != "secret":
            continue
        if mount.source not in declared:
            message = f"secret `{mount.source}` is not declared in service.yaml"
            yield Breach(COMPOSE, path, message, "add it to `secrets`")
        if not mount.read_only:
            yield Breach(COMPOSE, path, f"secret `{mount.source}` is mounted for writing", "add `:ro`")


RULE = AppRule(
    code="secret-is-declared",
    severity="error",
    demands="A mounted secret is declared under `secrets`, and mounted read-only.",
    why="Only a declared secret is generated; Docker would mount an empty folder instead.",
    fix="Add it to `secrets`, and `:ro` to the mount.",
    find=_find,
)
