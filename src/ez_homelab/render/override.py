"""A lab's own Compose fragment for one service in the forms that rendering writes: whole mounts, container names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.render.instance import Instance

_PROPAGATIONS = frozenset({"rslave", "rshared", "rprivate", "slave", "shared", "private"})
_SELINUX = frozenset({"z", "Z"})


def service_override(instance: Instance, name: str) -> dict[str, Any]:
    """The fragment for the service; empty where the lab has none."""
    written = _written(instance, name)
    changed: dict[str, Any] = {}
    if "volumes" in written:
        changed["volumes"] = [_mount(instance, entry) for entry in written["volumes"]]
    if "depends_on" in written:
        changed["depends_on"] = _depends_on(instance, written["depends_on"])
    return written | changed


def override_volumes(instance: Instance) -> tuple[str, ...]:
    """The volumes, by Docker's name, that the fragment mounts in any service."""
    return tuple(dict.fromkeys(name for service in instance.app.compose.services
                               for name in service_volumes(instance, service)))  # fmt: skip


def service_volumes(instance: Instance, name: str) -> Iterator[str]:
    """The volumes, by Docker's name, that the fragment mounts in this service."""
    for mount in service_override(instance, name).get("volumes", ()):
        if mount["type"] == "volume" and mount.get("source"):
            yield mount["source"]


def _written(instance: Instance, name: str) -> dict[str, Any]:
    services: Any = instance.override.get("services", {})
    return dict(services.get(name, {}))


def _mount(instance: Instance, entry: Any) -> dict[str, Any]:
    mount = _from_text(entry) if isinstance(entry, str) else dict(entry)
    if mount["type"] == "volume" and mount.get("source"):
        mount["source"] = instance.volume(mount["source"])
    if mount["type"] == "bind":
        # A source that is not there is an error, whatever the fragment says of it.
        mount["bind"] = {**mount.get("bind", {}), "create_host_path": False}
    return mount


def _from_text(text: str) -> dict[str, Any]:
    """`/source:/target:ro`, `volume:/target` or `/target` as Compose's long form."""
    first, _, rest = text.partition(":")
    target, _, words = rest.partition(":")
    if not rest:
        return {"type": "volume", "target": first}
    options = set(words.split(","))
    mount: dict[str, Any] = {"type": "bind" if "/" in first else "volume", "source": first, "target": target}
    if "ro" in options:
        mount["read_only"] = True
    named = {"propagation": options & _PROPAGATIONS, "selinux": options & _SELINUX}
    if bind := {key: found.pop() for key, found in named.items() if found}:
        mount["bind"] = bind
    return mount


def _depends_on(instance: Instance, written: Any) -> dict[str, Any]:
    """Compose's services are called as their containers are; the fragment's are those of the app's own compose.yaml."""
    conditions = written if isinstance(written, dict) else {name: {"condition": "service_started"} for name in written}
    own = instance.app.compose.services
    return {instance.container(name) if name in own else name: how for name, how in conditions.items()}
