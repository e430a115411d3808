"""Desired and Observed in, Plan out. Pure: no disk, no network, no clock but the observation's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError
from ez_homelab.observe.observed import Unknown
from ez_homelab.plan.action import Action, Held, Kept, Plan
from ez_homelab.plan.certificates import certificate_actions
from ez_homelab.plan.copies import after_copies, after_rotations, copy_actions
from ez_homelab.plan.files import OVERWRITE, Choices, file_actions, kept_files, marker_of
from ez_homelab.plan.images import after_the_mirror, image_actions, named_by_digest
from ez_homelab.plan.quiet import in_quiet, routes_to_clear
from ez_homelab.plan.services import ServicePlanner, unneeded_networks
from ez_homelab.plan.subnets import free_subnets
from ez_homelab.render.desired import MARKER, STACKS_FOLDER, stack_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.render.desired import Desired, DesiredServer
    from ez_homelab.render.secrets import DueRotation


def make_plan(
    desired: Desired,
    observed: Mapping[str, ObservedServer | Unknown],
    *,
    start_held: bool = False,
    choices: Choices = OVERWRITE,
    rotations: Sequence[DueRotation] = (),
) -> Plan:
    """What to do so that every server that could be looked at is as desired.

    `start_held` also starts what a person stopped; `choices` says what becomes of files that a person edited;
    `rotations` are secrets whose new value an app has to be told. Raises `PrerequisiteError` where something of
    somebody else's is in the way: a stack folder without our marker, a container or network with a name that we need.
    """
    actions: list[Action] = []
    held: list[Held] = []
    kept: list[Kept] = []
    unknown: list[tuple[str, str]] = []
    for name, server in desired.servers.items():
        found = observed[name]
        if isinstance(found, Unknown):
            unknown.append((name, found.reason))
            continue
        _refuse_what_is_not_ours(server, found)
        own_kept = kept_files(server, found, choices)
        kept += own_kept
        services = ServicePlanner(server, found, start_held=start_held, kept={item.path for item in own_kept})
        own = [rotation for rotation in rotations if rotation.server == name]
        copies = copy_actions(server, found, services.left_alone)
        files = [*file_actions(server, found, choices)]
        files += named_by_digest(server, found, {action.name for action in files} | {item.path for item in own_kept})
        planned = _plan_server(desired.domain, server, found, services, files, own)
        copies = after_rotations(copies, planned, server)
        whole = [*copies, *after_the_mirror(after_copies(planned, copies, server), server)]
        actions += in_quiet(whole, server, found, own, {item.name for item in services.held})
        held += services.held
    return Plan(tuple(actions), tuple(held), tuple(unknown), desired.warnings, tuple(kept))


def _plan_server(
    domain: str,
    server: DesiredServer,
    found: ObservedServer,
    services: ServicePlanner,
    files: list[Action],
    rotations: Sequence[DueRotation],
) -> list[Action]:
    images = list(image_actions(server, found))
    before = [
        *images,
        *_networks(server, found),
        *_volumes(server, found),
        *routes_to_clear(server, found),
        *certificate_actions(domain, server, found, after=marker_of(files, server.certificate.path)),
        *_rotations(rotations, images),
    ]
    written = [_after_what_is_new(action, server, before) for action in files if action.verb != "remove"]
    changed = services.actions(after=[*before, *written])
    gone = list(services.removals())
    after = [*changed, *gone]
    return [*before, *written, *after, *_removed_files(files, after), *_removed_networks(server, found, after)]


def _rotations(rotations: Iterable[DueRotation], images: list[Action]) -> Iterator[Action]:
    """An app that has to be told a new value is told before the stack's files name it, by the version that runs now."""
    for rotation in rotations:
        cause = f"a new value was asked for; {rotation.container} is told it"
        settings = {"app": rotation.app, "id": rotation.id, "stack": rotation.stack}
        waits_for = tuple(image.id for image in images)
        yield Action(rotation.server, "secret", rotation.name, "rotate", cause, waits_for, settings=settings)


def _after_what_is_new(action: Action, server: DesiredServer, before: list[Action]) -> Action:
    """A stack that is there keeps its files until the images that the new ones name are there too."""
    if action.verb != "replace":
        return action
    stack = next((stack for stack in server.stacks if action.name.startswith(f"{stack.folder}/")), None)
    if stack is None:
        return action
    names = {service.image_name for service in stack.services}
    earlier = [other.id for other in before if other.kind == "image" and other.name in names]
    earlier += [other.id for other in before if other.kind == "secret" and other.settings["stack"] == stack.name]
    return replace(action, waits_for=(*action.waits_for, *earlier))


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


def _removed_networks(server: DesiredServer, found: ObservedServer, changed: list[Action]) -> Iterator[Action]:
    """A network goes when nothing of ours is on it any longer: Docker refuses to remove one that is in use."""
    for network in unneeded_networks(server, found):
        users = {container.name for container in found.containers if network.name in container.networks}
        after = tuple(action.id for action in changed if _takes_off(action, network.name, users))
        yield Action(server.name, "network", network.name, "remove", "nothing in the lab uses it", waits_for=after)


def _takes_off(action: Action, network: str, users: set[str]) -> bool:
    if action.kind == "service":
        return action.name.partition("/")[2] in users
    return action.settings.get("network") == network


def _removed_files(files: list[Action], changed: list[Action]) -> Iterator[Action]:
    """A file goes when no container of its stack can read it any longer, and the stack's marker goes last.

    A folder with files and without the marker would count as somebody else's after a run that was cut off.
    """
    removed = [action for action in files if action.verb == "remove"]
    for action in removed:
        folder = stack_folder(action.name)
        readers = [other.id for other in changed if other.kind == "service" and folder in _folders(other)]
        last = [other.id for other in removed if other is not action and stack_folder(other.name) == folder]
        yield replace(action, waits_for=(*readers, *(last if action.name == f"{folder}/{MARKER}" else ())))


def _folders(action: Action) -> tuple[str, ...]:
    """The folders of the stacks that a service's action concerns: its own, and the one it comes from."""
    stacks = (action.name.partition("/")[0], action.settings.get("replaces"))
    return tuple(f"{STACKS_FOLDER}/{stack}" for stack in stacks if stack)


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
    _refuse_other_networks(server, found)


def _refuse_other_networks(server: DesiredServer, found: ObservedServer) -> None:
    wanted = {network.name: network.internal for network in server.networks}
    for network in found.networks:
        if network.internal != wanted.get(network.name, network.internal):
            words = "is internal and must not be" if network.internal else "must be internal and is not"
            harm = (
                "apps on it could not reach the outside" if network.internal else "apps on it could reach the outside"
            )
            raise PrerequisiteError(
                f"the network {network.name} on {server.name} {words}",
                cause=f"it was made by hand, or for other apps than those on it now; {harm}",
                fix=f"ez-homelab down, docker network rm {network.name}, ez-homelab apply",
            )
