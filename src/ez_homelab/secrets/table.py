"""What may be told of a secret to everybody."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretRow:
    """One secret without its value: whose it is, when it was made and last rotated, which containers are given it.

    Times are ISO 8601, UTC; `rotated` is None for a value that is still the first one. `pending`: a new value is in
    the store and has not yet been put into force everywhere.
    """

    instance: str
    id: str
    made: str
    rotated: str | None
    pending: bool
    used_by: tuple[str, ...]
