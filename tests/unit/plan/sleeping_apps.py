"""Labs in which some apps sleep, made by hand: what rendering makes of an app's lazy settings, as values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.render.desired import DesiredFile, DesiredService, WakeGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.render.desired import Desired, DesiredStack

LAZY = "/opt/stacks/core/config/waker/lazy.json"


def with_sleeping(desired: Desired, groups: Mapping[str, tuple[str, ...]], *, waker: bool = True) -> Desired:
    """The lab, in which these containers sleep: wake group -> its containers, in the order in which they start."""
    server = desired.servers["core"]
    group_of = {name: group for group, names in groups.items() for name in names}
    stacks = [_with(stack, group_of, waker=waker) for stack in server.stacks]
    known = {service.name: service.app for service in server.services}
    wake_groups = tuple(
        WakeGroup(group, tuple(dict.fromkeys(known[name] for name in names)), names, 60.0)
        for group, names in groups.items()
    )
    files = server.files if not waker else (*server.files, DesiredFile(LAZY, str(sorted(groups)).encode()))
    made = replace(server, stacks=tuple(stacks), wake_groups=wake_groups, files=files)
    return replace(desired, servers={**desired.servers, "core": made})


def _with(stack: DesiredStack, group_of: Mapping[str, str], *, waker: bool) -> DesiredStack:
    services = [replace(one, wake_group=group_of[one.name], fingerprint=f"lazy {one.fingerprint}")
                if one.name in group_of else one for one in stack.services]  # fmt: skip
    if stack.name == "core" and waker:
        services.append(waker_in(services))
    return replace(stack, services=tuple(services))


def waker_in(services: list[DesiredService]) -> DesiredService:
    """The waker's container, of the image that its neighbour has."""
    image = services[0]
    return DesiredService(
        "core", "waker", "waker", image.image, image.image_name, "waker", (), depends_on=("traefik",),
        network_of="traefik",
    )  # fmt: skip


def with_service(desired: Desired, service: DesiredService) -> Desired:
    """The lab with another container in the service's stack."""
    server = desired.servers["core"]
    stacks = tuple(
        replace(stack, services=(service, *stack.services)) if stack.name == service.stack else stack
        for stack in server.stacks
    )
    return replace(desired, servers={"core": replace(server, stacks=stacks)})
