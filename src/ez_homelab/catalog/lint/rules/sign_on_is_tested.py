"""An app behind forward_auth has tests of an anonymous visitor and of forged identity headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import TESTS, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    web, auth = app.manifest.web, app.manifest.auth
    if web is None or web.exposure == "none" or auth.mode != "forward_auth":
        return
    for name, checks in (("anonymous", app.tests.anonymous), ("spoof", app.tests.spoof)):
        if not checks:
            yield Breach(TESTS, (), f"nothing is tested under `{name}`", "add what it must be answered")


RULE = AppRule(
    code="sign-on-is-tested",
    severity="warning",
    demands="An app behind forward_auth has tests of an anonymous visitor and of forged identity headers.",
    why="A route past sign-on is found by trying, not by reading.",
    fix="Add `anonymous` and `spoof` to tests.yaml.",
    find=_find,
)
