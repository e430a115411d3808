"""Which containers to create, recreate, start, restart, connect or remove."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ez_homelab.config.model import MIRROR
from ez_homelab.images.reference import is_edition, short
from ez_homelab.observe.states import held, is_asleep
from ez_homelab.plan.action import Action, Held
from ez_homelab.plan.copies import image_before, volumes_of_apps, way_back_downtime
from ez_homelab.render.desired import STACKS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ez_homelab.observe.observed import ObservedContainer, ObservedNetwork, ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import DesiredServer, DesiredService


@dataclass(frozen=True, slots=True)
class Need:
    """What a service needs and why; `settings` are those of the action."""

    verb: Verb
    cause: str
    settings: Mapping[str, str] = field(default_factory=dict)
    destructive: bool = False

    @property
    def makes_anew(self) -> bool:
        """Whether a new container comes of it, which is on all its networks from its start."""
        return self.verb in ("create", "recreate")


class ServicePlanner:
    """Plans the containers of one server. `held` are those that a person stopped and that are left alone."""

    def __init__(
        self, server: DesiredServer, found: ObservedServer, *, start_held: bool, kept: Collection[str] = ()
    ) -> None:
        self._server = server
        self._found = found
        self._start_held = start_held
        self._kept = kept
        self._network_ids = {network.id for network in found.networks}
        self._own_networks = {network.name for network in found.networks if network.managed}
        self._unneeded = {network.name for network in unneeded_networks(server, found)}
        self._containers = {container.name: container for container in found.containers}
        wanted = {service.name for service in server.services}
        self._surplus = [one for one in found.containers if one.fingerprint is not None and one.name not in wanted]
        self._halves = {container.name: service.name for container in self._surplus for service in server.services
                        if _is_half_of(container, service)}  # fmt: skip
        self.held: list[Held] = []
        self._needs = self._own_needs()

    @property
    def left_alone(self) -> frozenset[str]:
        """The names of those that are `held`."""
        return frozenset(one.name.rpartition("/")[2] for one in self.held)

    def actions(self, after: Iterable[Action]) -> list[Action]:
        """Actions for every service that is not as desired; each waits for those of `after` that concern it."""
        earlier = list(after)
        needs = self._needs | dict(self._of_single_files(self._needs, earlier))
        needs |= {name: need for name, need in self._of_shared_networks(needs) if name not in self.left_alone}
        actions = [self._change(service, needs[service.name], earlier, needs) for service in self._server.services
                   if service.name in needs]  # fmt: skip
        return actions + list(self._attachments(needs, earlier))

    def removals(self) -> Iterator[Action]:
        """Our containers that no longer belong to the lab."""
        for container in self._surplus:
            name = f"{container.project}/{container.name}"
            half_made = container.name in self._halves
            cause = "left by a run that was cut off" if half_made else "no longer in homelab.yaml (its data stays)"
            yield Action(self._server.name, "service", name, "remove", cause)

    def _own_needs(self) -> dict[str, Need]:
        """What each service needs whatever else is done on the server.

        What is paused in a wake group of which another part is changed is left alone no longer: the waker ends the
        pause when it has the group back.
        """
        needs = {service.name: need for service in self._server.services if (need := self._need(service))}
        touched = {service.wake_group for service in self._server.services if service.name in needs} - {""}
        let_go = [service for service in self._server.services
                  if service.wake_group in touched and service.name in self.left_alone]  # fmt: skip
        self.held = [one for one in self.held if one.name not in {service.key for service in let_go}]
        return needs | {service.name: need for service in let_go if (need := self._need(service, touched=True))}

    def _need(self, service: DesiredService, *, touched: bool = False) -> Need | None:
        """`touched`: another part of its wake group is changed."""
        container = self._containers.get(service.name)
        if container is None:
            before = self._found.applied.images.get(service.name, "")
            return _other_source(service, before, "create", {}) or Need("create", "missing")
        # Docker starts no paused container; it has to go on first.
        settings = {"paused": "yes"} if container.state == "paused" else {}
        by = "" if touched else held(service, container)
        if by:
            if not self._start_held:
                self.held.append(Held(self._server.name, service.key, by))
                return None
            return self._outdated(service, container, settings) or Need(
                "start", f"{by}; --start-held was given", settings
            )
        outdated = self._outdated(service, container, settings)
        return outdated or (None if is_asleep(service, container) else _unwell(container))

    def _of_single_files(self, needs: Mapping[str, Need], earlier: Iterable[Action]) -> Iterator[tuple[str, Need]]:
        """What sees a file by itself that is replaced is started again, unless it is anyway."""
        replaced = {action.name for action in earlier if action.kind == "file"}
        for service in self._server.services:
            names = [path.rpartition("/")[2] for path in service.single_files if path in replaced]
            container = self._containers.get(service.name)
            if names and service.name not in needs and container and container.state == "running":
                yield service.name, Need("restart", f"{', '.join(names)}, which it sees by itself, is replaced")

    def _of_shared_networks(self, needs: Mapping[str, Need]) -> Iterator[tuple[str, Need]]:
        """What shares the network of a container that is made anew is made anew too, and what is started again with it:
        it would be left in a network that nobody is in any longer."""
        for service in self._server.services:
            need, own = needs.get(service.network_of), needs.get(service.name)
            if need is None or service.name not in self._containers or (own and own.makes_anew):
                continue
            if need.makes_anew:
                yield service.name, Need("recreate", "the network it shares is made anew", own.settings if own else {})
            elif own is None and self._containers[service.name].state == "running":
                yield service.name, Need("restart", f"the network it shares is that of {service.network_of}")

    def _outdated(
        self, service: DesiredService, container: ObservedContainer, settings: Mapping[str, str]
    ) -> Need | None:
        if container.project != service.stack:
            # Compose leaves a container of another project alone, and cannot make a second one of that name.
            replaces = {**settings, "replaces": container.project or ""}
            return Need("recreate", f"moves here from the stack {container.project}", replaces)
        if service.image == service.image_name == container.image and service.app != MIRROR:
            return Need("recreate", "its image is given the digest that it has", settings)
        if other := _other_source(service, container.image, "recreate", settings):
            return other
        if container.fingerprint != service.fingerprint and not self._is_kept(service):
            return Need("recreate", _what_changed(service, container), settings)
        if self._found.is_made_by_hand(container) and not self._is_kept(service):
            return Need("recreate", "made by hand from another definition", settings)
        # A container that never started knows its networks by name only.
        if any(identifier and identifier not in self._network_ids for identifier in container.networks.values()):
            return Need("recreate", "a network it was made with is gone", settings)
        shared = self._containers.get(service.network_of)
        if shared and container.shares_network_of and container.shares_network_of != shared.id:
            return Need("recreate", "the network it shares is gone", settings)
        return None

    def _is_kept(self, service: DesiredService) -> bool:
        """Whether a person wants the compose.yaml to stay that the container is made of."""
        return f"{STACKS_FOLDER}/{service.stack}/compose.yaml" in self._kept

    def _change(self, service: DesiredService, need: Need, earlier: list[Action], needs: dict[str, Need]) -> Action:
        concerned = (action.id for action in earlier if _concerns(action, service, self._server.certificate.path))
        depends_on = dict.fromkeys((*service.depends_on, *([service.network_of] if service.network_of else [])))
        halves = [name for name, half_of in self._halves.items() if half_of == service.name]
        names = [*(other for other in depends_on if other in needs), *halves]
        before = (f"{self._server.name}:service:{service.stack}/{name}" for name in names)
        downtime = 0.0 if need.verb in ("create", "start") else service.expected_downtime
        return Action(
            self._server.name, "service", service.key, need.verb, need.cause, waits_for=(*concerned, *before),
            downtime=downtime, worst_downtime=self._worst(service, need, needs),
            destructive=need.destructive, settings=need.settings,
        )  # fmt: skip

    def _worst(self, service: DesiredService, need: Need, needs: dict[str, Need]) -> float:
        """How long the app may be away where its new version fails: all that is made anew in its stack goes back.

        So do the databases of the apps that get another image.
        """
        if need.verb != "recreate" or not image_before(service, self._found):
            return 0.0
        services = [other for other in self._server.services if other.stack == service.stack]
        anew = [other for other in services if other.name in needs and needs[other.name].makes_anew]
        data = volumes_of_apps(services, [other for other in anew if image_before(other, self._found)])
        databases = {one.name for one in self._server.volumes if one.name in data and one.volume_class == "database"}
        away = [other for other in services if other in anew or databases & {*other.volumes}]
        return way_back_downtime(away, len(databases))

    def _attachments(self, needs: dict[str, Need], earlier: list[Action]) -> Iterator[Action]:
        """Networks that a container which is not made anew must join or leave, once it runs again if it has to."""
        for service in self._server.services:
            container, need = self._containers.get(service.name), needs.get(service.name)
            if container is None or (need and need.makes_anew):
                continue
            after = (f"{self._server.name}:service:{service.key}",) if need else ()
            goes_on = container.state == "paused" and service.name not in self.left_alone
            if need or goes_on or container.state == "running" or is_asleep(service, container):
                yield from self._joins(service, container, earlier, after)
            yield from self._leaves(service, container, after)

    def _joins(
        self, service: DesiredService, container: ObservedContainer, earlier: list[Action], after: tuple[str, ...]
    ) -> Iterator[Action]:
        for network in (*service.networks, *service.live_networks):
            if network not in container.networks:
                made = tuple(action.id for action in earlier if action.kind == "network" and action.name == network)
                alias = service.alias if network == service.private_network else service.name
                yield self._attachment(service, network, "connect", "not connected", (*made, *after), alias=alias)

    def _leaves(
        self, service: DesiredService, container: ObservedContainer, after: tuple[str, ...]
    ) -> Iterator[Action]:
        """A held container leaves too: a network with a container on it cannot be removed."""
        for network in sorted(container.networks.keys() - {*service.networks, *service.live_networks}):
            if network in self._unneeded:
                yield self._attachment(service, network, "disconnect", "the app behind it is gone", after)
            elif network in self._own_networks and network.startswith("edge-"):
                yield self._attachment(service, network, "disconnect", "it is another app's own network", after)

    def _attachment(
        self,
        service: DesiredService,
        network: str,
        verb: Verb,
        cause: str,
        waits_for: tuple[str, ...],
        *,
        alias: str = "",
    ) -> Action:
        settings = {"container": service.name, "network": network} | ({"alias": alias} if alias else {})
        name = f"{service.key} on {network}"
        return Action(self._server.name, "attachment", name, verb, cause, waits_for=waits_for, settings=settings)


def unneeded_networks(server: DesiredServer, found: ObservedServer) -> Iterator[ObservedNetwork]:
    """Networks of ours that the lab no longer has; one that a container of somebody else's is on stays."""
    wanted = {network.name for network in server.networks}
    used = {name for container in found.containers if container.fingerprint is None for name in container.networks}
    return (network for network in found.networks
            if network.managed and network.name not in wanted and network.name not in used)  # fmt: skip


def _is_half_of(container: ObservedContainer, service: DesiredService) -> bool:
    """Whether Compose was making it for the service, under a name for the time being, when it was killed.

    Compose works on all containers of a service, and fails where one of them goes meanwhile.
    """
    return container.project == service.stack and container.compose_service == service.name != container.name


def _concerns(action: Action, service: DesiredService, certificate: str) -> bool:
    match action.kind:
        case "image":
            return action.name == service.image_name
        case "network":
            return action.name in (*service.networks, *service.live_networks)
        case "volume":
            return action.name in service.volumes
        case "file":
            return action.name.startswith(f"{STACKS_FOLDER}/{service.stack}/") or action.name in service.guarded_by
        case _:
            # The certificate lies in the folder that the reverse proxy watches.
            return certificate.startswith(f"{STACKS_FOLDER}/{service.stack}/config/{service.app}/")


def _other_source(service: DesiredService, before: str, verb: Verb, settings: Mapping[str, str]) -> Need | None:
    """What the service needs whose data a version of another source has used last."""
    if not before or is_edition(before) == is_edition(service.image):
        return None
    cause = f"image source {short(before)} -> {service.image_name}; the other version may not read its data"
    return Need(verb, cause, settings, destructive=True)


def _what_changed(service: DesiredService, container: ObservedContainer) -> str:
    if container.image == service.image:
        return "definition changed"
    before = short(container.image)
    if before != service.image_name:
        return f"image {before} -> {service.image_name}"
    return f"image {before} with another digest"


def _unwell(container: ObservedContainer) -> Need | None:
    if container.crashes:
        # Without its exit status, which Docker forgets at every new try: the same fault has to give the same plan.
        return Need("restart", "crashes at its start")
    match container.state, container.health:
        case "exited", _ if container.stopped_by:
            return Need("start", f"stopped by {container.stopped_by}")
        case "created" | "exited", _:
            return Need("start", f"did not start: {container.error}" if container.error else "never started")
        case "dead" | "removing", _:
            return Need("recreate", f"Docker calls it {container.state}")
        case "running", "unhealthy":
            return Need("restart", "its health check fails")
    return None
