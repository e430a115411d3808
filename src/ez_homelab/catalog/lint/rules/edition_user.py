"""An edition runs as a numeric user that is not root, unless a permission lets it be root."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.parts import is_root, may_be_root
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_NUMERIC = re.compile(r"[0-9]{1,9}(:[0-9]{1,9})?")


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        if may_be_root(app, dockerfile.service):
            continue
        users = [item for item in dockerfile.last_stage() if item.name == "USER"]
        if not users:
            yield Breach(dockerfile.file, 1, "there is no `USER`, so it runs as root", "add `USER UID:GID`")
        elif not _NUMERIC.fullmatch(users[-1].rest):
            message = f"the user `{users[-1].rest}` is not a number"
            yield Breach(dockerfile.file, users[-1].line, message, "write `USER UID:GID`")
        elif is_root(users[-1].rest):
            message = "it runs as root"
            fix = "write another user, or add permission `root` with its reason"
            yield Breach(dockerfile.file, users[-1].line, message, fix)


RULE = EditionRule(
    code="edition-user",
    severity="error",
    demands="An edition runs as a numeric user that is not root, unless a permission lets it be root.",
    why="Names of users differ from image to image; the owner of a volume is a number.",
    fix="End with `USER UID:GID`.",
    find=_find,
)
