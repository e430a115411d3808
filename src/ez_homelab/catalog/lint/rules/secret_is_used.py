"""A declared secret reaches some container: by its variable or by its mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import mounts, variables_in_use
from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    used = variables_in_use(app)
    mounted = {mount.source for _, mount in mounts(app) if mount.kind == "secret"}
    for number, secret in enumerate(app.manifest.secrets):
        if secret.env not in used and secret.id not in mounted:
            message = f"no service is given the secret `{secret.id}`"
            fix = f"mount `./secrets/{secret.id}:/run/secrets/{secret.id}:ro`"
            yield Breach(SERVICE, ("secrets", number), message, fix)


RULE = AppRule(
    code="secret-is-used",
    severity="error",
    demands="A declared secret reaches some container: by its variable or by its mount.",
    why="A secret that nobody gets protects nothing, and the app runs with none.",
    fix="Write `${ENV}` in `environment`, or mount `./secrets/ID:/run/secrets/ID:ro`.",
    find=_find,
)
