"""The keys of a printed document, in the words of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def keys_of(value: Any, documented: Collection[str], at: str = "") -> Iterator[str]:
    """Every key's path; `.*` where the reference says that the keys are data."""
    if isinstance(value, dict):
        for key, inner in value.items():
            path = f"{at}.*" if f"{at}.*" in documented else f"{at}.{key}".lstrip(".")
            yield path
            yield from keys_of(inner, documented, path)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, documented, f"{at}[]")


def matched(documented: Collection[str], printed: object) -> set[str]:
    """The documented keys that were printed; one that was printed and is not documented fails the test."""
    found = {*keys_of(printed, documented)}
    assert not found - {*documented}, "printed and not documented"
    return found
