"""Desired and Observed in, Plan out. Pure: no disk, no network, no clock but the observation's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.observe.observed import Unknown
from ez_homelab.plan.action import Action, Held, Plan
from ez_homelab.plan.certificates import certificate_actions
from ez_homelab.plan.files import file_actions
from ez_homelab.plan.services import ServicePlanner
from ez_homelab.plan.subnets import free_subnets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import Desired, DesiredImage, DesiredServer


def make_plan(desired: Desired, observed: Mapping[str, ObservedServer | Unknown], *, start_held: bool = False) -> Plan:
    """What to do so that every server that could be looked at is as desired.

    `start_held` also starts what a person stopped. Raises `PrerequisiteError` where something of somebody else's is in
    the way: a stack folder without our marker, a container or network with a name that we need.
    """
    actions: list[Action] = []
    held: list[Held] = []
    unknown: list[tuple[str, str]] = []
    for name, server in desired.servers.items():
        found = observed[name]
        if isinstance(found, Unknown):
            unknown.append((name, found.reason))
            continue
        _refuse_what_is_not_ours(server, found)
        server_actions, server_held = _plan_server(desired.domain, server, found, start_held=start_held)
        actions += server_actions
        held += server_held
    return Plan(tuple(actions), tuple(held), tuple(unknown), desired.warnings)


def _plan_server(
    domain: str, server: DesiredServer, found: ObservedServer, *, start_held: bool
) -> tuple[list[Action], list[Held]]:
    before = [
        *_images(server, found),
        *_networks(server, found),
        *_volumes(server, found),
        *certificate_actions(domain, server, found),
    ]
    files = list(file_actions(server, found))
    services = ServicePlanner(server, found, start_held=start_held)
    written = [action for action in files if action.verb != "remove"]
    changed = services.actions(after=[*before, *written])
    gone = list(services.removals())
    cleared = _removed_files(files, gone)
    return [*before, *written, *changed, *gone, *cleared, *_unneeded_networks(server, found, gone)], services.held


def _images(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    missing = [image for image in server.images if image.reference not in found.images]
    base: tuple[str, ...] = ()
    if any(image.source == "packages" for image in missing) and BASE_TAG not in found.images:
        made = Action(server.name, "image", BASE_TAG, "build", "package editions are built on it")
        base = (made.id,)
        yield made
    for image in missing:
        verb, waits_for = _image_verb(image, base)
        yield Action(server.name, "image", image.reference, verb, "not on the server", waits_for)


def _image_verb(image: DesiredImage, base: tuple[str, ...]) -> tuple[Verb, tuple[str, ...]]:
    return ("build", base) if image.source == "packages" else ("pull", ())


def _networks(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    present = {network.name for network in found.networks}
    subnets = free_subnets(
        [subnet for network in found.networks for subnet in network.subnets] + [*found.routed_subnets]
    )
    for network in server.networks:
        if network.name not in present:
            settings = {"subnet": next(subnets), "internal": "yes" if network.internal else "no"}
            yield Action(server.name, "network", network.name, "create", "missing", settings=settings)


def _volumes(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    """Volumes to make, and those whose owner is not the app's. None is ever removed: that is data."""
    present = {volume.name: volume for volume in found.volumes}
    for volume in server.volumes:
        settings = {"owner": volume.owner}
        if volume.name not in present:
            yield Action(server.name, "volume", volume.name, "create", "missing", settings=settings)
        elif volume.owner and present[volume.name].owner != volume.owner:
            cause = f"its folder belongs to {present[volume.name].owner}, the app runs as {volume.owner}"
            yield Action(server.name, "volume", volume.name, "own", cause, settings=settings)


def _unneeded_networks(server: DesiredServer, found: ObservedServer, gone: list[Action]) -> Iterator[Action]:
    wanted = {network.name for network in server.networks}
    after = tuple(action.id for action in gone)
    for network in found.networks:
        if network.managed and network.name not in wanted and not _used_by_others(network.name, found):
            yield Action(server.name, "network", network.name, "remove", "nothing in the lab uses it", waits_for=after)


def _used_by_others(network: str, found: ObservedServer) -> bool:
    return any(network in container.networks and not container.fingerprint for container in found.containers)


def _removed_files(files: list[Action], gone: list[Action]) -> Iterator[Action]:
    """File removals wait for the containers that may still read them."""
    after = tuple(action.id for action in gone if action.kind == "service")
    for action in files:
        if action.verb == "remove":
            yield Action(action.server, "file", action.name, "remove", action.cause, waits_for=after)


def _refuse_what_is_not_ours(server: DesiredServer, found: ObservedServer) -> None:
    for stack in found.foreign_stacks:
        raise PrerequisiteError(
            f"the stack folder /opt/stacks/{stack} on {server.name} was not made by EZ-Homelab",
            cause="a stack of that name was there before, or its marker file .ez-homelab was removed",
            fix=f"rename the stack `{stack}` in homelab.yaml, or move the folder away",
        )
    for service in server.services:
        container = found.container(service.name)
        if container and container.fingerprint is None:
            raise PrerequisiteError(
                f"a container called {service.name} on {server.name} was not made by EZ-Homelab",
                evidence=f"image {container.image}, {container.state}",
                cause="an app of that name was there before",
                fix=f"remove it (docker rm {service.name}) or name the app differently in homelab.yaml",
            )
    internal = {network.name for network in server.networks if network.internal}
    for network in found.networks:
        if network.name in internal and not network.internal:
            raise PrerequisiteError(
                f"the network {network.name} on {server.name} must be internal and is not",
                cause="it was made by hand or by another program; anything on it could reach the outside",
                fix=f"docker network rm {network.name}",
            )
