"""One secret as it is kept, and the document that holds all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
"""The form of the document that this program writes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value with its history. Times are ISO 8601, UTC.

    `previous` is the value before the last rotation. `pending`: the rotation is not yet in force everywhere, so an app
    may still know only the previous one.
    """

    value: Secret
    made: str
    previous: Secret | None = None
    rotated: str | None = None
    pending: bool = False

    def values(self) -> tuple[str, ...]:
        """The value, and the previous one where there is one."""
        return tuple(secret.reveal() for secret in (self.value, self.previous) if secret)


Entries = MappingProxyType[tuple[str, str], Entry]
"""Every entry by instance and id."""


class DocumentError(Exception):
    """The document is not one that this program can read; the text says why and tells nothing of its content."""


def encode(entries: Mapping[tuple[str, str], Entry]) -> bytes:
    """The document, as plain text: for sealing only."""
    instances: dict[str, dict[str, object]] = {}
    for (instance, secret_id), entry in sorted(entries.items()):
        instances.setdefault(instance, {})[secret_id] = {
            "value": entry.value.reveal(),
            "previous": entry.previous.reveal() if entry.previous else None,
            "made": entry.made,
            "rotated": entry.rotated,
            "pending": entry.pending,
        }
    return json.dumps({"version": VERSION, "secrets": instances}, indent=1).encode()


def decode(document: bytes) -> Entries:
    """The entries of a document. Raises `DocumentError`."""
    try:
        read = json.loads(document)
        version = read["version"]
        if version != VERSION:
            raise DocumentError(f"its form is version {version!s:.20}, and this program knows version {VERSION}")
        found = {
            (instance, secret_id): _entry(one)
            for instance, secrets in read["secrets"].items()
            for secret_id, one in secrets.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        # Without the original error, whose text and frames may hold values.
        raise DocumentError("what it holds is not a document of secrets") from None
    return MappingProxyType(found)


def _entry(one: dict[str, Any]) -> Entry:
    previous = one["previous"]
    return Entry(
        value=Secret(_text(one["value"])),
        made=_text(one["made"]),
        previous=None if previous is None else Secret(_text(previous)),
        rotated=None if one["rotated"] is None else _text(one["rotated"]),
        pending=one["pending"] is True,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
