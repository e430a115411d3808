"""An input's variable is used by some service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import variables_in_use
from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    used = variables_in_use(app)
    for number, item in enumerate(app.manifest.inputs):
        if item.env and item.env not in used:
            message = f"no service uses ${{{item.env}}} of input `{item.id}`"
            yield Breach(SERVICE, ("inputs", number), message, "use it in compose.yaml, or remove it")


RULE = AppRule(
    code="input-is-used",
    severity="warning",
    demands="An input's variable is used by some service.",
    why="People are asked for something that then changes nothing.",
    fix="Use the variable in `environment`, or remove the input.",
    find=_find,
)
