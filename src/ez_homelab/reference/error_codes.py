"""errors.md, from the tree of exceptions."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

import ez_homelab
from ez_homelab.errors import EzError, FaultyFileError
from ez_homelab.reference.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Errors

An error has a stable code and says four things: what failed, the evidence, the likely cause, one fix. A terminal shows
them on standard error, without a traceback; with `--json` the same object is on standard output
([JSON](json.md#an-error)). How to read one: [When something fails](../guides/when-something-fails.md)."""


def error_classes() -> list[type[EzError]]:
    """Every kind of error that a person can meet, by exit status and code."""
    for module in pkgutil.walk_packages(ez_homelab.__path__, "ez_homelab."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    # The two that only others are made from; a child without a code of its own is told as its parent.
    own = {kind for kind in _below(EzError) if "code" in vars(kind)} - {FaultyFileError}
    return sorted(own, key=lambda kind: (kind.exit_status, kind.code))


def _below(kind: type[EzError]) -> Iterator[type[EzError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def errors_page() -> str:
    """Every code with its exit status and meaning."""
    rows = [
        (f"`{kind.code}`", str(kind.exit_status), cell((kind.__doc__ or "").split("\n\n")[0]))
        for kind in error_classes()
    ]
    return "\n".join([_INTRODUCTION, "", *table(("Code", "Exit status", "Meaning"), rows)]) + "\n"
