"""What sleeps on a server as a proof sees it, and how it has that wake and sleep, whichever engine the lab has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ez_homelab.config.rules import ON_DEMAND_APPS
from ez_homelab.errors import EzError
from ez_homelab.hosts import Command
from ez_homelab.lazy.builtin import routers_of
from ez_homelab.lazy.sablier import ROUTES_FILE
from ez_homelab.waker_admin import order, waker_status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ez_homelab.hosts import Host
    from ez_homelab.observe import ObservedServer
    from ez_homelab.render.desired import DesiredServer, WakeGroup
    from ez_homelab.route import Route
    from ez_homelab.waker_admin import GroupStatus

ASK_RUNNING = Command(("docker", "ps", "--format", "{{.Names}}"), changes=False, timeout=30)
SETTLED = 60.0
"""Seconds after which Docker has to say of a group what the waker says: a look at Docker may be older than the word."""


@dataclass(frozen=True, slots=True)
class LazyGroup:
    """A wake group with the names that lead to it. `memory` is what its containers reserve, in bytes."""

    wakes: WakeGroup
    routes: tuple[Route, ...]
    memory: int

    @property
    def name(self) -> str:
        """The group's name."""
        return self.wakes.name


@dataclass(frozen=True, slots=True)
class Seen:
    """A group at one moment.

    `awake`: it answers without being started; None where nobody could say. `well`: that is as it should be.
    """

    awake: bool | None
    well: bool
    evidence: str


class OnDemand(Protocol):
    """The engine of one server."""

    @property
    def orders(self) -> Orders | None:
        """How it is told to wake and to sleep; None where it takes no orders."""
        ...

    def routers(self, routes: Iterable[Route]) -> Mapping[str, str]:
        """The routers that Traefik should have for those of the routes that may sleep, and their rules."""
        ...

    async def look(self) -> Mapping[str, Seen]:
        """Every group now, by name. What cannot be looked at is not well."""
        ...


@dataclass(frozen=True, slots=True)
class Orders:
    """What the waker of a server is told to do."""

    host: Host

    async def wake(self, group: LazyGroup) -> float:
        """Wake it; how long that took, in seconds. Raises `EzError`."""
        return (await order(self.host, "wake", group.name, start=group.wakes.timeout))["seconds"]

    async def sleep(self, group: LazyGroup) -> None:
        """Put it to sleep. Raises `AppInUseError` where somebody uses it, `EzError` where it cannot be done."""
        await order(self.host, "sleep", group.name, start=group.wakes.timeout)


def lazy_groups(server: DesiredServer, routes: Iterable[Route]) -> tuple[LazyGroup, ...]:
    """The server's wake groups in the order in which they are declared."""
    named = [route for route in routes if route.lazy]
    return tuple(
        LazyGroup(
            group,
            tuple(route for route in named if route.lazy and route.lazy.group == group.name),
            sum(service.reserved_memory for service in server.services if service.wake_group == group.name),
        )
        for group in server.wake_groups
    )


def on_demand(host: Host, server: DesiredServer, found: ObservedServer) -> OnDemand:
    """The engine that the server has; the built-in one where it has none yet."""
    apps = {service.app for service in server.services}
    return Sablier(host, server) if apps & {*ON_DEMAND_APPS["sablier"]} else Waker(host, server, found)


class Waker:
    """The built-in engine. `found` is what Docker said at the look which the proof begins with."""

    def __init__(self, host: Host, server: DesiredServer, found: ObservedServer) -> None:
        self.orders: Orders | None = Orders(host)
        self._host = host
        self._server = server
        self._running = [container.name for container in found.containers if container.state == "running"]

    def routers(self, routes: Iterable[Route]) -> Mapping[str, str]:
        """See `OnDemand`. The waker writes them itself."""
        named = [route for route in routes if route.lazy]
        return {f"{name}@file": rule for route in named for name, rule in routers_of(route).items()}

    async def look(self) -> Mapping[str, Seen]:
        """See `OnDemand`."""
        try:
            apps = (await waker_status(self._host))["apps"]
        except EzError as error:
            return {group.name: Seen(None, False, str(error)) for group in self._server.wake_groups}
        return {group.name: self._seen(group, apps.get(group.name)) for group in self._server.wake_groups}

    def _seen(self, group: WakeGroup, told: GroupStatus | None) -> Seen:
        if told is None:
            return Seen(None, False, "the waker does not know it")
        state, since, trouble = told["state"], told["since"], told["trouble"]
        evidence = trouble or f"{state.replace('_', ' ')} for {in_words(since)}: {', '.join(group.containers)}"
        if state == "failed":
            return Seen(False, False, f"it has not started: {told['reason']}")
        running = _of(group, self._running) if state == "asleep" and since > SETTLED else []
        if running:
            return Seen(False, False, f"{evidence}, yet Docker runs {', '.join(running)}")
        return Seen(state in ("awake", "waking"), not trouble, evidence)


class Sablier:
    """Sablier, which takes no orders: it wakes what is asked for, and stops what nobody has asked for long enough."""

    def __init__(self, host: Host, server: DesiredServer) -> None:
        self.orders: Orders | None = None
        self._host = host
        self._server = server

    def routers(self, routes: Iterable[Route]) -> Mapping[str, str]:
        """See `OnDemand`. They are in a file of the lab's, beside which each name has to have one at least."""
        texts = [file.content for file in self._server.files if file.path.endswith(f"/{ROUTES_FILE}")]
        told = {name: entry["rule"] for text in texts for name, entry in json.loads(text)["http"]["routers"].items()}
        told |= {route.name: route.rule for route in routes if route.lazy}
        return {f"{name}@file": rule for name, rule in told.items()}

    async def look(self) -> Mapping[str, Seen]:
        """See `OnDemand`. It is Docker that says so."""
        completed = await self._host.run(ASK_RUNNING)
        if not completed.ok:
            return {group.name: Seen(None, False, completed.last_line) for group in self._server.wake_groups}
        running = completed.stdout.split()
        return {group.name: _as_docker_says(group, running) for group in self._server.wake_groups}


def _as_docker_says(group: WakeGroup, running: Collection[str]) -> Seen:
    up = _of(group, running)
    down = [name for name in group.containers if name not in up]
    if not up:
        return Seen(False, True, f"asleep: {', '.join(down)}")
    return Seen(True, not down, f"awake: {', '.join(up)}" + f", but not {', '.join(down)}" * bool(down))


def _of(group: WakeGroup, running: Collection[str]) -> list[str]:
    return [name for name in group.containers if name in running]


def in_words(seconds: float) -> str:
    """A time as people say it, roughly."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
