"""What an edition copies is in its folder, and what is in its folder is copied."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.lint.dockerfile import Dockerfile


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        names = set(dockerfile.context()) - {"Dockerfile"}
        copied: set[str] = set()
        for item in dockerfile.of("COPY"):
            if "from" in item.options():
                continue
            for source in item.arguments()[:-1]:
                found = {name for name in names if _is_copied(name, source)}
                copied |= found
                if not found:
                    yield Breach(dockerfile.file, item.line, f"`{source}` is not in {_folder(dockerfile)}", "add it")
        for name in sorted(names - copied):
            message = f"{_folder(dockerfile)}/{name} is never copied"
            yield Breach(dockerfile.file, 1, message, "copy it, or remove it")


def _is_copied(name: str, source: str) -> bool:
    pattern = source.removeprefix("./").rstrip("/")
    return pattern in ("", ".") or fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}/*")


def _folder(dockerfile: Dockerfile) -> str:
    return dockerfile.file.removesuffix("/Dockerfile")


RULE = EditionRule(
    code="edition-copies-what-is-there",
    severity="error",
    demands="What an edition copies is in its folder, and what is in its folder is copied.",
    why="A missing file fails at the build, minutes later; a forgotten one is part of the tag and of nothing else.",
    fix="Add, correct or remove the file.",
    find=_find,
)
