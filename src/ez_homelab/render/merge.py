"""How a lab's own Compose fragment is laid over what the catalog says: as Compose itself merges files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Compose replaces these whole, although they are lists (compose-spec, "merge and override").
_REPLACED = frozenset({"command", "entrypoint", "test"})

# What says the same thing twice is an error for Compose or for Docker: the fragment's notation goes.
_SAME: dict[tuple[str, ...], tuple[str, ...]] = {
    ("cpus",): ("cpu_period", "cpu_quota"),
    ("deploy", "resources", "limits", "cpus"): ("cpu_period", "cpu_quota"),
    ("deploy", "resources", "limits", "memory"): ("mem_limit", "mem_reservation"),
    ("deploy", "resources", "limits", "pids"): ("pids_limit",),
    ("deploy", "resources", "reservations", "memory"): ("mem_reservation",),
    # Docker refuses to reserve more than the limit.
    ("mem_limit",): ("mem_reservation",),
}


def merged_service(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The service `base` with the fragment `over` laid on it."""
    result = merged(base, over)
    for path, others in _SAME.items():
        if _has(over, path):
            for other in others:
                if other not in over:
                    result.pop(other, None)
    return result


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it: mappings merge, lists grow, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        result[key] = _merged_value(key, result[key], value) if key in result else value
    return result


def _merged_value(key: str, base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return merged(base, over)
    if isinstance(base, list) and key not in _REPLACED:
        more = over if isinstance(over, list) else [over]
        targets = {mount["target"] for mount in more} if key == "volumes" else ()
        kept = [item for item in base if not (targets and item["target"] in targets)]
        return [*kept, *(item for item in more if item not in kept)]
    return over


def _has(over: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(over, dict) or key not in over:
            return False
        over = over[key]
    return True
