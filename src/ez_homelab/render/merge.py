"""How a lab's own Compose fragment is laid over what the catalog says: as Compose itself merges files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Compose replaces these whole, although they are lists (compose-spec, "merge and override").
_REPLACED = frozenset({"command", "entrypoint", "test"})


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it: mappings merge, lists grow, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        result[key] = _merged_value(key, result[key], value) if key in result else value
    if "cpus" in over:
        # Docker takes one notation or the other, never both.
        for other in ("cpu_period", "cpu_quota"):
            result.pop(other, None)
    return result


def _merged_value(key: str, base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return merged(base, over)
    if isinstance(base, list) and isinstance(over, list) and key not in _REPLACED:
        return [*base, *(item for item in over if item not in base)]
    return over
