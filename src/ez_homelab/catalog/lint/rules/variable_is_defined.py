"""A variable in compose.yaml is the lab's, an input's or a secret's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import variables
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.lint.parts import Path

LAB_VARIABLES = frozenset({"MEDIA", "DOWNLOADS", "PUID", "PGID", "UMASK", "TZ"})
"""Variables every app may use in compose.yaml: the lab's paths, user and time zone."""


def _find(app: App) -> Iterator[Breach]:
    defined = LAB_VARIABLES | {item.env for item in app.manifest.inputs if item.env}
    defined |= {item.env for item in app.manifest.secrets if item.env}
    for name, service in app.compose.services.items():
        texts: list[tuple[Path, str]] = [(("environment", key), value) for key, value in service.environment.items()]
        texts += [(("volumes", number), mount.source) for number, mount in enumerate(service.volumes)]
        for where, text in texts:
            for variable in sorted(variables(text) - defined):
                at = ("services", name, *where)
                yield Breach(COMPOSE, at, f"nothing defines ${{{variable}}}", "declare an input for it")


RULE = AppRule(
    code="variable-is-defined",
    severity="error",
    demands="A variable in compose.yaml is the lab's, an input's or a secret's.",
    why="Compose puts an empty text in place of a variable that nothing defines.",
    fix="Declare an input or a secret with that `env`.",
    find=_find,
)
