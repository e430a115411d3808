"""Containers of an apply. Compose runs in the stack's folder on the server itself, as a person would run it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ez_homelab.errors import HealthError
from ez_homelab.hosts import Command, run_checked
from ez_homelab.observe import docker
from ez_homelab.observe.look import ROUTE_FILES
from ez_homelab.observe.observed import CRASHES
from ez_homelab.render.desired import STACKS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ez_homelab.hosts import Host
    from ez_homelab.observe.observed import ObservedContainer
    from ez_homelab.plan.action import Action
    from ez_homelab.render.desired import DesiredServer, DesiredService

LOOK_EVERY = 0.5
"""Seconds between two looks at a starting container."""

# Compose never builds, pulls or touches neighbours here: each of those is an action of its own.
_UP = ("up", "--detach", "--no-deps", "--no-build", "--pull", "never")
_COMPOSE_ARGUMENTS = {
    "create": (*_UP, "--no-recreate"),
    "start": (*_UP, "--no-recreate"),
    "recreate": (*_UP, "--force-recreate"),
    "restart": ("restart", "--no-deps"),
}


async def perform(host: Host, server: DesiredServer, action: Action, say: Callable[[str], None]) -> None:
    """Create, recreate, start, restart or remove a service, and wait until it is healthy.

    Raises `CommandError` or `HealthError`, the latter with the container's own last words as evidence.
    """
    stack, _, name = action.name.partition("/")
    if action.verb == "remove":
        await remove(host, name)
        return
    service = next(service for service in server.services if service.key == action.name)
    await _make_way(host, action, name)
    await compose(
        host, stack, *_COMPOSE_ARGUMENTS[action.verb], name, what=f"cannot {action.verb} {action.name}", say=say
    )
    await wait_until_well(host, service, say)


async def _make_way(host: Host, action: Action, container: str) -> None:
    """What Compose does not do by itself: let a paused container go on, take away one of another project."""
    if action.settings.get("paused") == "yes" and await _is_paused(host, container):
        order = Command(("docker", "container", "unpause", container))
        await run_checked(host, order, what=f"cannot let the container {container} go on")
    if "replaces" in action.settings:
        await remove(host, container)


async def _is_paused(host: Host, container: str) -> bool:
    """What was paused when the plan was made may have been stopped since, for a copy of its data."""
    found = await find(host, container)
    return bool(found and found.state == "paused")


async def compose(host: Host, stack: str, *arguments: str, what: str, say: Callable[[str], None] | None = None) -> None:
    """`docker compose` in the stack's folder. Raises `CommandError` with `what` and the last line it said."""
    # Plain progress: Compose would otherwise paint a moving screen into the lines that we pass on.
    order = Command(("docker", "compose", "--progress", "plain", *arguments), f"{STACKS_FOLDER}/{stack}", timeout=600)
    await run_checked(host, order, what=what, on_line=say)


async def attach(host: Host, action: Action) -> None:
    """Connect a container to a network under the name that it goes by there, or disconnect it."""
    container, network = action.settings["container"], action.settings["network"]
    alias = ("--alias", action.settings["alias"]) if action.verb == "connect" else ()
    order = Command(("docker", "network", action.verb, *alias, network, container))
    await run_checked(host, order, what=f"cannot {action.verb} {container} and {network}")


async def remove(host: Host, container: str) -> None:
    """Stop the container, with the time that its app declares for that, and remove it; its volumes stay."""
    what = f"cannot remove the container {container}"
    await run_checked(host, Command(("docker", "container", "stop", container), timeout=150), what=what)
    await run_checked(host, Command(("docker", "container", "rm", container)), what=what)


async def clear_routes(host: Host, volume: str, nudge: str) -> None:
    """Take away the routes that a waker has left, and make Traefik read what is there."""
    what = "cannot take away the routes of apps that slept"
    asked = docker.probe("volume", "inspect", "--format", "{{.Mountpoint}}", volume)
    folder = (await run_checked(host, asked, what=what)).stdout.strip()
    await run_checked(host, Command(("find", folder, *ROUTE_FILES, "-delete")), what=what)
    await run_checked(host, Command(("touch", "--no-create", "--", nudge)), what=what)


async def put_back(host: Host, service: DesiredService, say: Callable[[str], None]) -> None:
    """Make the service's container of what its stack's folder says, and wait until it is healthy.

    Raises `CommandError` or `HealthError`.
    """
    what = f"cannot put back {service.key}"
    await compose(host, service.stack, *_COMPOSE_ARGUMENTS["recreate"], service.name, what=what, say=say)
    await wait_until_well(host, service, say)


async def wait_until_well(host: Host, service: DesiredService, say: Callable[[str], None]) -> None:
    """Return when its container runs and passes its health check.

    Raises `HealthError` with the container's own last words: at once where it ended or keeps ending, and otherwise
    when the time that its app declares is over. One that Docker calls unhealthy still has that time: that is said
    after a few failed looks, and a database that is upgrading its files answers none of them until it is done.
    """
    deadline = time.monotonic() + service.ready_within
    told = ""
    while True:
        container = await find(host, service.name)
        if container and container.well:
            return
        state = _state(container)
        if state != told:
            say(state)
            told = state
        if container is None or _has_failed(container):
            raise await _unhealthy(host, service, state, "")
        if time.monotonic() > deadline:
            raise await _unhealthy(host, service, state, f" within {service.ready_within:.0f} s")
        await asyncio.sleep(LOOK_EVERY)


async def present(host: Host, names: Iterable[str]) -> tuple[ObservedContainer, ...]:
    """Those of the containers (by name or id) that are there. Raises `CommandError` where the engine does not say."""
    wanted = [*names]
    if not wanted:
        return ()
    shown = await host.run(docker.inspect_containers(wanted))
    if not shown.ok:
        # One of them is not there, and the rest was told; or the engine is not, and then nothing is known.
        await run_checked(host, docker.LIST_CONTAINERS, what="cannot list containers")
    return docker.parse_containers(shown.stdout)


async def find(host: Host, name: str) -> ObservedContainer | None:
    """The container; None where it is not there. Raises as `present` does."""
    return next(iter(await present(host, [name])), None)


def _has_failed(container: ObservedContainer) -> bool:
    return container.state in ("exited", "dead") or container.restarts >= CRASHES


def _state(container: ObservedContainer | None) -> str:
    if container is None:
        return "not there"
    if container.out_of_memory:
        return "ended: out of memory"
    if container.state in ("restarting", "exited", "dead"):
        return f"{container.state}, exit status {container.exit_code}"
    return f"{container.state}, health check {container.health}"


async def _unhealthy(host: Host, service: DesiredService, state: str, in_time: str) -> HealthError:
    logs = await host.run(Command(("docker", "logs", "--tail", "15", service.name), changes=False))
    said = (logs.stdout + logs.stderr).strip()
    return HealthError(
        f"{service.key} did not become healthy{in_time} on {host.name}: {state}",
        evidence=said or "the container said nothing",
        cause="it exceeded its memory limit" if "memory" in state else "the app itself reports why in its log above",
        fix=f"ez-homelab logs {service.name}",
    )
