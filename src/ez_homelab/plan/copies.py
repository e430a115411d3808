"""Which data to copy before a new version first starts on it, and how long the way back may take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.plan.action import Action
from ez_homelab.render.desired import STACKS_FOLDER, stack_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ez_homelab.observe.observed import ObservedContainer, ObservedServer
    from ez_homelab.render.desired import DesiredServer, DesiredService, DesiredStack

COPY_DOWNTIME = 5.0
"""Seconds for stopping an app and copying what most apps hold; how much a volume holds is not looked at for a plan."""

STOP_SECONDS = 10.0
"""Docker's own limit for a stop, where the app declares no other."""

MOVE_SECONDS = 30.0
"""Seconds allowed for copying a volume or putting it back: 3 GB at 100 MB/s."""

_RUNS = ("running", "restarting")


def copy_actions(server: DesiredServer, found: ObservedServer, left_alone: Collection[str] = ()) -> list[Action]:
    """One action for each database volume of an app that gets another image; those of a stack one after the other.

    A new version changes its data over the network as well, in a database beside it that stays as it is: the volumes of
    the whole app count. `left_alone` are containers that stay as a person stopped them. Use
    `after_copies` on the plan's other actions. Settings: `fresh` (`no`: a complete copy that is already there stands),
    `stop` (containers of ours that may run on the volume, or get another image), `again` (those of them that the plan
    leaves as they are), `image` (the version before), `space_for` (volumes of the stack that are still to be copied),
    `touched` (an image that may have changed the data already, so that only a copy from before it will do).
    """
    return [action for stack in server.stacks for action in _chained(_stack(server, stack, found, left_alone))]


def image_before(service: DesiredService, found: ObservedServer) -> str:
    """The image that the service's data was last used by, where the service gets another one; otherwise empty."""
    container = found.container(service.name)
    before = container.image if container else found.applied.images.get(service.name, "")
    if not before or before == service.image:
        return ""
    # The same image may get another name: a digest that is pinned, a mirror that it is pulled from.
    identifier = container.image_id if container else found.image_id(before)
    return "" if identifier and identifier == found.image_id(service.image) else before


def is_of(container: ObservedContainer, image: str, found: ObservedServer) -> bool:
    """Whether the container was made from that image, by whichever name."""
    return container.image == image or container.image_id == found.image_id(image)


def way_back_downtime(services: Sequence[DesiredService], copied: int) -> float:
    """The longest time in seconds that these services of a stack are away when they fail and go back.

    Each is stopped twice, and twice waited for as long as its app may take; `copied` volumes are copied and put back.
    """
    waits = sum(service.ready_within + STOP_SECONDS for service in services)
    return 2 * (waits + copied * MOVE_SECONDS)


def after_copies(actions: Iterable[Action], copies: Iterable[Action], server: DesiredServer) -> list[Action]:
    """The actions, and those of a stack whose data is copied wait for that: its files, its services, its volumes."""
    stacks = {volume: service.stack for service in server.services for volume in service.volumes}
    waits: dict[str, list[str]] = {}
    for copy in copies:
        waits.setdefault(stacks[copy.name], []).append(copy.id)
    return [_waiting(action, waits.get(_stack_of(action, stacks), ())) for action in actions]


def after_rotations(copies: Iterable[Action], actions: Iterable[Action], server: DesiredServer) -> list[Action]:
    """The copies, and each waits until the app was told its new secrets: that takes a running container."""
    stacks = {volume: service.stack for service in server.services for volume in service.volumes}
    told = [action for action in actions if action.kind == "secret"]
    return [_waiting(copy, [one.id for one in told if one.settings["stack"] == stacks[copy.name]]) for copy in copies]


def _waiting(action: Action, copies: Iterable[str]) -> Action:
    return replace(action, waits_for=(*action.waits_for, *(copy for copy in copies if copy not in action.waits_for)))


def _stack_of(action: Action, stacks: Mapping[str, str]) -> str:
    """The stack whose files, service or volume the action changes; empty for every other action."""
    match action.kind:
        case "file":
            return stack_folder(action.name).removeprefix(f"{STACKS_FOLDER}/")
        case "service":
            return action.name.partition("/")[0]
        case "volume" if action.verb == "own":
            return stacks.get(action.name, "")
    return ""


def _stack(
    server: DesiredServer, stack: DesiredStack, found: ObservedServer, left_alone: Collection[str]
) -> Iterator[Action]:
    databases = {volume.name for volume in server.volumes if volume.volume_class == "database"}
    present = databases & {volume.name for volume in found.volumes}
    changing = {service.name: service for service in stack.services
                if image_before(service, found) and service.name not in left_alone}  # fmt: skip
    owners = {volume: service for service in reversed(changing.values())
              for volume in volumes_of_apps(stack.services, [service]) if volume in present}  # fmt: skip
    for volume in sorted(owners):
        yield _copy(server, volume, owners[volume], found, changing.keys())


def volumes_of_apps(services: Iterable[DesiredService], some: Iterable[DesiredService]) -> set[str]:
    """The volumes of all services of the apps that some of them belong to."""
    apps = {service.app for service in some}
    return {volume for service in services if service.app in apps for volume in service.volumes}


def _copy(
    server: DesiredServer, volume: str, service: DesiredService, found: ObservedServer, changing: Collection[str]
) -> Action:
    writers = [other for other in server.services
               if other.app == service.app and other.name in changing and volume not in other.volumes]  # fmt: skip
    users = [*writers, *(other for other in server.services if volume in other.volumes)]
    running = [user.name for user in users if _runs(user, found)]
    settings = _versions(service, users, found)
    settings |= {"stop": ",".join(running), "again": ",".join(name for name in running if name not in changing)}
    old = settings["image"].partition("@")[0]
    stopped = f"; {service.app} is stopped for it" if running else ""
    cause = f"before {service.name} goes from {old} to {service.image_name}{stopped}"
    named = {other.image_name for other in server.services if other.stack == service.stack}
    images = (f"{server.name}:image:{image.reference}" for image in server.images
              if image.reference in named and not found.has_image(image.pinned))  # fmt: skip
    return Action(
        server.name, "volume", volume, "copy", cause,
        waits_for=tuple(images), downtime=COPY_DOWNTIME if running else 0.0, settings=settings,
    )  # fmt: skip


def _versions(service: DesiredService, users: Iterable[DesiredService], found: ObservedServer) -> dict[str, str]:
    """The version whose data is to be kept, and whether the volume still holds what that version left there."""
    kept = found.applied.images.get(service.name) or image_before(service, found)
    containers = [(found.container(user.name), found.applied.images.get(user.name)) for user in users]
    others = [container.image for container, applied in containers
              if container and applied and not is_of(container, applied, found)]  # fmt: skip
    gone = any(applied and container is None for container, applied in containers)
    settings = {"image": kept, "fresh": "no" if others or gone else "yes"}
    return settings | ({"touched": others[0]} if others else {})


def _chained(copies: Iterator[Action]) -> Iterator[Action]:
    """Each after the one before it, so that space that was looked for is not taken, and no container runs meanwhile."""
    waiting = list(copies)
    for number, action in enumerate(waiting):
        before = (waiting[number - 1].id,) if number else ()
        rest = ",".join(other.name for other in waiting[number:])
        yield replace(
            action, waits_for=(*action.waits_for, *before), settings={**action.settings, "space_for": rest},
            downtime=0.0 if number else action.downtime,
        )  # fmt: skip


def _runs(service: DesiredService, found: ObservedServer) -> bool:
    """Whether it may run when the data is copied. What sleeps now may be awake by then; what wakes sleeps by then."""
    container = found.container(service.name)
    if container is None or container.fingerprint is None:
        return False
    return bool(service.wake_group) or container.state in _RUNS
