"""Debian packages are installed without recommendations, and their lists do not stay in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        for item in dockerfile.of("RUN"):
            if "apt-get install" in item.rest and "--no-install-recommends" not in item.rest:
                message = "installs recommended packages too"
                yield Breach(dockerfile.file, item.line, message, "add `--no-install-recommends`")
            if "apt-get update" in item.rest and "rm -rf /var/lib/apt/lists/*" not in item.rest:
                message = "leaves the lists of packages in the image"
                yield Breach(dockerfile.file, item.line, message, "end with `rm -rf /var/lib/apt/lists/*`")


RULE = EditionRule(
    code="edition-apt",
    severity="error",
    demands="Debian packages are installed without recommendations, and their lists do not stay in the image.",
    why="Recommended packages and lists are often larger than the program.",
    fix="Write `apt-get install --no-install-recommends` and `rm -rf /var/lib/apt/lists/*` in the same RUN.",
    find=_find,
)
