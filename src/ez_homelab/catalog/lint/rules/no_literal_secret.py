"""No secret stands in an app's files, by its variable's name, its form or its randomness."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import words
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach
from ez_homelab.catalog.lint.secrecy import NAMES_A_SECRET, has_known_form, is_random, is_switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_VARIABLE = re.compile(r"(?<!\$)\$\{?[A-Za-z_][A-Za-z0-9_]*\}?")
_OPTION = re.compile(r"--?([A-Za-z0-9_-]+)=(.+)", re.DOTALL)
_ASSIGNED = re.compile(r"(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]+)[\"']?\s*[:=]\s*[\"']?([^\s\"']+)")
_FIX = "declare it under `secrets` in service.yaml"


def _find(app: App) -> Iterator[Breach]:
    for name, service in app.compose.services.items():
        for key, value in service.environment.items():
            if message := _in_variable(key, value):
                yield Breach(COMPOSE, ("services", name, "environment", key), message, _FIX)
        for key, command in (("command", service.command), ("entrypoint", service.entrypoint)):
            if any(_in_word(word) for word in words(command)):
                yield Breach(COMPOSE, ("services", name, key), f"`{key}` holds a secret as text", _FIX)
    yield from _in_files(app)


def _in_files(app: App) -> Iterator[Breach]:
    for file, content in app.files.items():
        for line, text in enumerate(content.decode(errors="replace").splitlines(), 1):
            if has_known_form(text) or _is_assigned(text):
                yield Breach(f"files/{file}", line, "holds a secret as text", _FIX)


def _in_variable(key: str, value: str) -> str:
    if _VARIABLE.fullmatch(value):
        return ""
    if NAMES_A_SECRET.search(key) and not is_switch(value):
        return f"`{key}` holds a secret as text"
    return f"the value of `{key}` looks like a secret" if has_known_form(value) or is_random(value) else ""


def _in_word(word: str) -> bool:
    option = _OPTION.fullmatch(word)
    named = bool(option and NAMES_A_SECRET.search(option[1].replace("-", "_")))
    return has_known_form(word) or bool(named and option and not _VARIABLE.fullmatch(option[2]))


def _is_assigned(text: str) -> bool:
    # In a file both have to speak for it: texts for people are full of such words, and pages full of checksums.
    return any(NAMES_A_SECRET.search(name) and is_random(value) for name, value in _ASSIGNED.findall(text))


RULE = AppRule(
    code="no-literal-secret",
    severity="error",
    demands="No secret stands in an app's files, by its variable's name, its form or its randomness.",
    why="A catalog is copied and published; one password for everybody is none.",
    fix="Declare it under `secrets` (generated) or `inputs` (asked).",
    find=_find,
)
