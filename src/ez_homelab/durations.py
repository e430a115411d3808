"""Durations as people write them, in the lab file as in the catalog: `30s`, `10m`, `1h30m`, `7d`."""

from __future__ import annotations

import re

_FORM = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_UNITS = (86400, 3600, 60, 1)


def seconds_of(text: str) -> int | None:
    """Whole seconds; None where it is no duration."""
    found = _FORM.fullmatch(text)
    if not found or not text:
        return None
    return sum(int(number) * unit for number, unit in zip(found.groups(), _UNITS, strict=True) if number)
