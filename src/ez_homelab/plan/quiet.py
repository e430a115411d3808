"""Changes to what sleeps are made in quiet: its waker neither starts nor stops it meanwhile, and whoever comes waits.

It is held before its first container is changed, its data copied or a new secret told to it, and released after the
last of that. Whether it sleeps or not is the same to the plan: it may do the other thing a moment later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.config.rules import WAKER
from ez_homelab.plan.action import Action
from ez_homelab.plan.copies import MOVE_SECONDS, STOP_SECONDS
from ez_homelab.render.core import NUDGE_PATH, ROUTES_VOLUME
from ez_homelab.render.desired import STACKS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.render.desired import DesiredServer, DesiredService, WakeGroup
    from ez_homelab.render.secrets import DueRotation

LEASE = (300.0, 3600.0)
"""Seconds for which an app is held at least and at most where nobody releases it: a run can be killed."""

TELL_SECONDS = 120.0
"""How long an app may take for a new secret."""


def waker_of(server: DesiredServer) -> DesiredService | None:
    """The service that can hold the apps of this server; None where nothing sleeps, or by Sablier, which cannot."""
    return next((service for service in server.services if service.name == WAKER and server.wake_groups), None)


def routes_to_clear(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    """The routes that a waker leaves, or has left however it went: they would stand beside those that apps get instead.

    A waker that stays sees to its routes itself.
    """
    container = found.container(WAKER)
    goes = container if container and container.fingerprint is not None else None
    there = any(volume.name == ROUTES_VOLUME for volume in found.volumes)
    if waker_of(server) is None and there and (goes or found.left_routes):
        after = (f"{server.name}:service:{goes.project}/{WAKER}",) if goes else ()
        cause = "nothing keeps the routes of what slept any more"
        yield Action(server.name, "volume", ROUTES_VOLUME, "clear", cause, after, settings={"nudge": NUDGE_PATH})


def needed_by(server: DesiredServer, containers: Collection[str]) -> list[DesiredService]:
    """What has to run before these containers can get well: whatever starts before them in their wake groups."""
    found: list[DesiredService] = []
    services = {service.name: service for service in server.services}
    for group in server.wake_groups:
        last = max((at for at, name in enumerate(group.containers) if name in containers), default=0)
        found += [services[name] for name in group.containers[:last] if name in services and name not in containers]
    return found


def in_quiet(
    actions: Sequence[Action],
    server: DesiredServer,
    found: ObservedServer,
    rotations: Iterable[DueRotation],
    left_alone: Collection[str] = (),
) -> list[Action]:
    """One server's actions, with what sleeps held and released around those that change it.

    Where the waker, or the reverse proxy through which it is asked, is among those that are `left_alone` because a
    person stopped them, it is quiet already.
    """
    told = {f"{server.name}:secret:{rotation.name}": rotation.container for rotation in rotations}
    changed = _after_the_old_waker(_in_order_of_start(actions, server), server, found)
    waker = waker_of(server)
    for group in server.wake_groups if waker and not _is_stopped(waker, server, left_alone) else ():
        changed = _held(changed, server, group, told)
    return changed


def _is_stopped(waker: DesiredService, server: DesiredServer, left_alone: Collection[str]) -> bool:
    """Whether nobody gets to the waker: it says so of no app whose way to it Traefik does not confirm."""
    needed = (waker.name, waker.network_of)
    return any(service.key in left_alone for service in server.services if service.name in needed)


def _held(actions: list[Action], server: DesiredServer, group: WakeGroup, told: dict[str, str]) -> list[Action]:
    services = [service for service in server.services if service.name in group.containers]
    own = {action.id for action in actions if _changes(action, services, told)}
    if not own:
        return actions
    hold = _hold(actions, server, group, services, own)
    after = [action.id for action in actions if action.id in own or _connects(action, services)]
    cause = "whoever waited gets in, and what slept sleeps again"
    release = Action(server.name, "on-demand", group.name, "release", cause, waits_for=(hold.id, *after))
    waiting = [replace(one, waits_for=(hold.id, *one.waits_for)) if one.id in own else one for one in actions]
    first = next(at for at, action in enumerate(waiting) if action.id in own)
    last = max(at for at, action in enumerate(waiting) if action.id in {*after})
    return [*waiting[:first], hold, *waiting[first : last + 1], release, *waiting[last + 1 :]]


def _hold(
    actions: list[Action], server: DesiredServer, group: WakeGroup, services: list[DesiredService], own: set[str]
) -> Action:
    """It waits for the waker, for what the waker knows of the app, and for images: nobody is to wait for a download."""
    images = {service.image_name for service in services}
    waits = [action.id for action in actions
             if _is_the_wakers(action, server) or (action.kind == "image" and action.name in images)]  # fmt: skip
    copies = sum(action.verb == "copy" for action in actions if action.id in own)
    tellings = sum(action.kind == "secret" for action in actions if action.id in own)
    takes = sum(service.ready_within + STOP_SECONDS for service in services)
    least, most = LEASE
    seconds = min(max(takes + copies * MOVE_SECONDS + tellings * TELL_SECONDS, least), most)
    started = "; it is started to be told a new secret" if tellings else ""
    cause = f"{' and '.join(group.apps)} is changed in quiet: whoever comes waits{started}"
    return Action(server.name, "on-demand", group.name, "hold", cause, waits_for=tuple(waits),
                  settings={"seconds": f"{seconds:.0f}"})  # fmt: skip


def _changes(action: Action, services: list[DesiredService], told: dict[str, str]) -> bool:
    """Whether it needs its quiet: a container is made or started, data copied, a secret told."""
    match action.kind:
        case "service":
            return any(action.name == service.key for service in services)
        case "volume":
            return action.verb == "copy" and any(action.name in service.volumes for service in services)
        case "secret":
            return told.get(action.id) in {service.name for service in services}
    return False


def _connects(action: Action, services: list[DesiredService]) -> bool:
    return action.kind == "attachment" and action.settings["container"] in {service.name for service in services}


def _is_the_wakers(action: Action, server: DesiredServer) -> bool:
    """Whether it changes the waker, or what the waker reads."""
    waker = waker_of(server)
    if waker is None:
        return False
    if action.kind == "service":
        return action.name in {service.key for service in server.services if service.app == waker.app}
    return action.kind == "file" and action.verb != "remove" and is_wakers_file(action.name, waker)


def is_wakers_file(path: str, waker: DesiredService) -> bool:
    """Whether the waker reads it: which apps sleep, and how they are reached."""
    return path.startswith(f"{STACKS_FOLDER}/{waker.stack}/config/{waker.app}/")


def _in_order_of_start(actions: Sequence[Action], server: DesiredServer) -> list[Action]:
    """What is changed of a wake group is changed in the order in which it starts: the later need the earlier."""
    keys = {service.name: f"{server.name}:service:{service.key}" for service in server.services}
    ids = {action.id for action in actions}
    before: dict[str, list[str]] = {}
    for group in server.wake_groups:
        order = [keys[name] for name in group.containers if keys.get(name) in ids]
        before |= {identifier: order[:at] for at, identifier in enumerate(order)}
    return [_waiting(action, before.get(action.id, ())) for action in actions]


def _after_the_old_waker(actions: Sequence[Action], server: DesiredServer, found: ObservedServer) -> list[Action]:
    """What sleeps no longer, or by another engine from now on, is changed or removed when no waker knows it any more.

    One that does would stop it again, or wake it while it is removed.
    """
    none_left = waker_of(server) is None
    wanted = {service.name for service in server.services}
    leaving = {service.key for service in server.services
               if (none_left if service.wake_group else _slept(service, found))}  # fmt: skip
    leaving |= {
        f"{one.project}/{one.name}" for one in found.containers if one.sleeps and one.name not in {*wanted, WAKER}
    }
    after = [action.id for action in actions if _takes_away(action, server)]
    return [_waiting(one, after) if one.kind == "service" and one.name in leaving else one for one in actions]


def _slept(service: DesiredService, found: ObservedServer) -> bool:
    container = found.container(service.name)
    return container is not None and container.sleeps


def _takes_away(action: Action, server: DesiredServer) -> bool:
    removed = action.kind == "service" and action.verb == "remove" and action.name.endswith(f"/{WAKER}")
    return removed or action.verb == "clear" or (action.kind == "file" and _is_the_wakers(action, server))


def _waiting(action: Action, earlier: Iterable[str]) -> Action:
    return replace(action, waits_for=(*action.waits_for, *(one for one in earlier if one not in action.waits_for)))
