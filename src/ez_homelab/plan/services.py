"""Which containers to create, recreate, start, restart, connect or remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ez_homelab.plan.action import Action, Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ez_homelab.observe.observed import ObservedContainer, ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import DesiredServer, DesiredService


class Need(NamedTuple):
    """What a service needs and why."""

    verb: Verb
    cause: str


class ServicePlanner:
    """Plans the containers of one server. `held` is filled by `actions()`."""

    def __init__(self, server: DesiredServer, found: ObservedServer, *, start_held: bool) -> None:
        self._server = server
        self._found = found
        self._start_held = start_held
        self._network_ids = {network.id for network in found.networks}
        self._containers = {container.name: container for container in found.containers}
        self.held: list[Held] = []

    def actions(self, after: Iterable[Action]) -> list[Action]:
        """Actions for every service that is not as desired; each waits for those of `after` that concern it."""
        earlier = list(after)
        needs = {service.name: need for service in self._server.services if (need := self._need(service))}
        actions = [self._change(service, needs[service.name], earlier, needs) for service in self._server.services
                   if service.name in needs]  # fmt: skip
        return actions + list(self._attachments(needs, earlier))

    def removals(self) -> Iterator[Action]:
        """Our containers that no longer belong to the lab."""
        wanted = {service.name for service in self._server.services}
        for container in self._found.containers:
            if container.fingerprint is not None and container.name not in wanted:
                name = f"{container.project}/{container.name}"
                yield Action(self._server.name, "service", name, "remove", "no longer in homelab.yaml (its data stays)")

    def _need(self, service: DesiredService) -> Need | None:
        container = self._containers.get(service.name)
        if container is None:
            return Need("create", "missing")
        if held := container.held:
            if not self._start_held:
                self.held.append(Held(self._server.name, service.key, held))
                return None
            return self._outdated(service, container) or Need("start", f"{held}; --start-held was given")
        return self._outdated(service, container) or _unwell(container)

    def _outdated(self, service: DesiredService, container: ObservedContainer) -> Need | None:
        if container.fingerprint != service.fingerprint:
            return Need("recreate", _what_changed(service, container))
        if any(identifier not in self._network_ids for identifier in container.networks.values()):
            return Need("recreate", "a network it was made with is gone")
        return None

    def _change(self, service: DesiredService, need: Need, earlier: list[Action], needs: dict[str, Need]) -> Action:
        concerned = (action.id for action in earlier if _concerns(action, service))
        before = (
            f"{self._server.name}:service:{service.stack}/{other}" for other in service.depends_on if other in needs
        )
        downtime = 0.0 if need.verb in ("create", "start") else service.expected_downtime
        return Action(
            self._server.name, "service", service.key, need.verb, need.cause,
            waits_for=(*concerned, *before), downtime=downtime,
        )  # fmt: skip

    def _attachments(self, needs: dict[str, Need], earlier: list[Action]) -> Iterator[Action]:
        """Networks that a container which stays as it is must join or leave while it runs."""
        for service in self._server.services:
            container = self._containers.get(service.name)
            if container is None or service.name in needs or container.state != "running":
                continue
            yield from self._joins(service, container, earlier)
            for network in sorted(container.networks.keys() - {*service.networks, *service.live_networks}):
                if network.startswith("edge-"):
                    yield self._attachment(service, network, "disconnect", "the app behind it is gone", ())

    def _joins(self, service: DesiredService, container: ObservedContainer, earlier: list[Action]) -> Iterator[Action]:
        for network in (*service.networks, *service.live_networks):
            if network not in container.networks:
                waits = tuple(action.id for action in earlier if action.kind == "network" and action.name == network)
                yield self._attachment(service, network, "connect", "not connected", waits)

    def _attachment(
        self, service: DesiredService, network: str, verb: Verb, cause: str, waits_for: tuple[str, ...]
    ) -> Action:
        settings = {"container": service.name, "network": network}
        name = f"{service.key} on {network}"
        return Action(self._server.name, "attachment", name, verb, cause, waits_for=waits_for, settings=settings)


def _concerns(action: Action, service: DesiredService) -> bool:
    match action.kind:
        case "image":
            return action.name == service.image
        case "network":
            return action.name in (*service.networks, *service.live_networks)
        case "volume":
            return action.name in service.volumes
        case "file":
            return action.name.startswith(f"/opt/stacks/{service.stack}/")
        case _:
            # The certificate lies in the folder that the reverse proxy watches; the proxy publishes the ports.
            return bool(service.published)


def _what_changed(service: DesiredService, container: ObservedContainer) -> str:
    if container.image != service.image:
        return f"image {container.image} -> {service.image}"
    return "definition changed"


def _unwell(container: ObservedContainer) -> Need | None:
    match container.state, container.health:
        case "created" | "exited", _:
            return Need("start", f"did not start: {container.error}" if container.error else "never started")
        case "dead" | "removing", _:
            return Need("recreate", f"Docker calls it {container.state}")
        case "restarting", _:
            return Need("restart", f"crashes at its start (exit status {container.exit_code})")
        case "running", "unhealthy":
            return Need("restart", "its health check fails")
    return None
