"""An edition is built on the shared base alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_FROM = re.compile(r"\$\{BASE\}(?: [Aa][Ss] ([A-Za-z0-9_.-]+))?")


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        stages: set[str] = set()
        if [item[1:] for item in dockerfile.instructions[:1]] != [("ARG", "BASE")]:
            yield Breach(dockerfile.file, 1, "does not begin with `ARG BASE`", "add it as the first line")
        for item in dockerfile.of("FROM"):
            if found := _FROM.fullmatch(item.rest):
                stages |= {found[1]} if found[1] else set()
            else:
                message = f"`FROM {item.rest}` is not the shared base"
                yield Breach(dockerfile.file, item.line, message, "write `FROM ${BASE}`")
        if not dockerfile.of("FROM"):
            yield Breach(dockerfile.file, 1, "there is no `FROM ${BASE}`", "add it")
        for item in dockerfile.of("COPY"):
            source = item.options().get("from")
            if source is not None and source not in stages:
                yield Breach(dockerfile.file, item.line, f"`{source}` is no stage of this file", "build it here")


RULE = EditionRule(
    code="edition-base",
    severity="error",
    demands="An edition is built on the shared base alone.",
    why="Another image would have to come from a registry, which is what an edition does without.",
    fix="Begin with `ARG BASE` and `FROM ${BASE}`; copy from own stages only.",
    find=_find,
)
