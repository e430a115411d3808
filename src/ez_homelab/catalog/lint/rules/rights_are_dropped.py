"""Every container drops all capabilities and can gain none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for name, service in app.compose.services.items():
        at = ("services", name)
        if "ALL" not in service.cap_drop:
            yield Breach(COMPOSE, at, f"`{name}` keeps Docker's capabilities", "add `cap_drop: [ALL]`")
        if not {"no-new-privileges", "no-new-privileges:true"} & set(service.security_opt):
            fix = 'add `security_opt: ["no-new-privileges:true"]`'
            yield Breach(COMPOSE, at, f"`{name}` may gain privileges", fix)


RULE = AppRule(
    code="rights-are-dropped",
    severity="warning",
    demands="Every container drops all capabilities and can gain none.",
    why="What a container does not have cannot be taken over; almost no program needs what Docker gives by default.",
    fix='Write `cap_drop: [ALL]` and `security_opt: ["no-new-privileges:true"]`, and give back single capabilities.',
    find=_find,
)
