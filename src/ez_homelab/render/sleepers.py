"""What sleeps and wakes as one on a server: its names, its containers in the order in which they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.lazy import Part, Sleeper
from ez_homelab.render.desired import WakeGroup
from ez_homelab.render.override import service_override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ez_homelab.lazy.engine import Readiness
    from ez_homelab.render.instance import Instance
    from ez_homelab.route import Lazy, Route


def make_sleepers(
    instances: Sequence[Instance], routes: Iterable[Route], lazy: Mapping[str, Lazy]
) -> tuple[Sleeper, ...]:
    """What sleeps of a server's apps, in the order of the lab file. `lazy` is by app (see `find_asleep`)."""
    by_name = {route.name: route for route in routes}
    return tuple(
        Sleeper(
            members[0].server,
            lazy[members[0].name],
            tuple(by_name[instance.name] for instance in members if instance.name in by_name),
            tuple(_parts(members, by_name)),
        )
        for members in _groups(instances, lazy).values()
    )


def wake_groups(
    sleepers: Iterable[Sleeper], instances: Sequence[Instance], lazy: Mapping[str, Lazy]
) -> tuple[WakeGroup, ...]:
    """The same as the planner and the executor see it."""
    groups = _groups(instances, lazy)
    return tuple(
        WakeGroup(
            sleeper.name,
            tuple(instance.name for instance in groups[sleeper.name]),
            tuple(part.container for part in sleeper.parts),
            sleeper.lazy.timeout,
            tuple(part.memory for part in sleeper.parts),
        )
        for sleeper in sleepers
    )


def _groups(instances: Iterable[Instance], lazy: Mapping[str, Lazy]) -> dict[str, list[Instance]]:
    groups: dict[str, list[Instance]] = {}
    for instance in instances:
        if instance.name in lazy:
            groups.setdefault(lazy[instance.name].group, []).append(instance)
    return groups


def _parts(members: Sequence[Instance], routes: Mapping[str, Route]) -> list[Part]:
    needed = {app for member in members for app in member.app.manifest.requires.services}
    before = {member.name: [other.name for other in members if other.app.id in member.app.manifest.requires.services]
              for member in members}  # fmt: skip
    by_name = {member.name: member for member in members}
    ordered = _in_order(by_name, lambda name: before[name])
    return [part for name in ordered
            for part in _own_parts(by_name[name], routes.get(name), by_name[name].app.id in needed)]  # fmt: skip


def _own_parts(instance: Instance, route: Route | None, is_needed: bool) -> list[Part]:
    conditions = {name: _waits_for(instance, name) for name in instance.app.compose.services}
    waited_for = {other for waits in conditions.values() for other, how in waits.items() if how == "service_healthy"}
    if is_needed:
        waited_for.add(instance.main_service)
    return [_part(instance, name, route, name in waited_for)
            for name in _in_order(conditions, lambda name: [*conditions[name]])]  # fmt: skip


def _part(instance: Instance, name: str, route: Route | None, waited_for: bool) -> Part:
    container, memory = instance.container(name), _memory(instance, name)
    if route is not None and name == instance.main_service:
        return Part(container, memory, "http", route.target, route.expectation)
    ready: Readiness = "health" if waited_for and instance.app.compose.services[name].healthcheck else "running"
    return Part(container, memory, ready)


def _memory(instance: Instance, name: str) -> int:
    """What it needs at rest where that was measured, else what is kept free for it."""
    resources = instance.app.manifest.resources
    memory = resources.services.get(name, resources).memory
    return memory.reserve if memory.measured_idle == "unknown" else memory.measured_idle


def _waits_for(instance: Instance, name: str) -> dict[str, str]:
    """The services of the same app that this one waits for, each with Compose's condition."""
    own = instance.app.compose.services
    containers = {instance.container(service): service for service in own}
    override = service_override(instance, name).get("depends_on", {})
    added = {containers[other]: how["condition"] for other, how in override.items() if other in containers}
    return {**own[name].depends_on, **added}


def _in_order(names: Iterable[str], before: Callable[[str], Iterable[str]]) -> list[str]:
    """The names, each behind those it waits for; otherwise as they come. A circle is cut where it is entered."""
    ordered: dict[str, None] = {}
    entered: set[str] = set()

    def add(name: str) -> None:
        if name in entered:
            return
        entered.add(name)
        for other in before(name):
            add(other)
        ordered[name] = None

    for name in names:
        add(name)
    return [*ordered]
