"""Packages from PyPI and npm are pinned; those in requirements files by hashes too."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles, read
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_ENTRY = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*(==)?")
_PINS = {"pip": "==", "pip3": "==", "npm": "@"}
_VERBS = {"install", "i", "add"}
_VALUED = {"-r", "--requirement", "-c", "--constraint", "--python", "--prefix", "--target", "-t", "--only-binary",
           "--no-binary", "-i", "--index-url", "--extra-index-url"}  # fmt: skip


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        for item in dockerfile.of("RUN"):
            for package in _unpinned(item.rest):
                message = f"installs `{package}` without its version"
                yield Breach(dockerfile.file, item.line, message, "write NAME==VERSION, or use a requirements file")
        folder = dockerfile.file.removesuffix("Dockerfile")
        for name, path in dockerfile.context().items():
            if fnmatchcase(name, "*requirements*.txt"):
                yield from _requirements(f"{folder}{name}", read(path))


def _unpinned(command: str) -> Iterator[str]:
    for part in re.split(r"&&|;|\|\|?", command):
        words = [word.strip("\"'") for word in part.split()]
        tool = next((number for number, word in enumerate(words) if word.rpartition("/")[2] in _PINS), None)
        verb = next((number for number in range(tool or 0, len(words)) if words[number] in _VERBS), None)
        if tool is None or verb is None:
            continue
        pin = _PINS[words[tool].rpartition("/")[2]]
        for before, word in pairwise(words[verb:]):
            if word and word[0] not in "-./$" and before not in _VALUED and pin not in word[1:]:
                yield word


def _requirements(file: str, text: str) -> Iterator[Breach]:
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        entry = _ENTRY.match(line)
        if not entry:
            continue
        hashed = "--hash=sha256:" in line or any("--hash=sha256:" in item for item in lines[number : number + 1])
        if not entry[2]:
            yield Breach(file, number, f"`{line.split()[0]}` has no version", "write NAME==VERSION with its hashes")
        elif not hashed:
            yield Breach(file, number, f"`{line.split()[0]}` has no hash", "uv pip compile --generate-hashes")


RULE = EditionRule(
    code="edition-packages-are-pinned",
    severity="error",
    demands="Packages from PyPI and npm are pinned; those in requirements files by hashes too.",
    why="Tomorrow's build has to be today's image; a hash makes it so whoever serves the package.",
    fix="Make the list with `uv pip compile --universal --generate-hashes`.",
    find=_find,
)
