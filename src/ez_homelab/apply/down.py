"""Takes a lab down: containers go, data, networks and files stay, so that the next apply brings everything back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.apply.containers import compose, remove
from ez_homelab.apply.wakers import WAKERS
from ez_homelab.config.model import CORE
from ez_homelab.hosts import Command, run_checked
from ez_homelab.observe import docker
from ez_homelab.render.desired import FINGERPRINT_LABEL, MARKER

if TYPE_CHECKING:
    from ez_homelab.hosts import Host
    from ez_homelab.progress import Progress
    from ez_homelab.render.desired import DesiredServer


async def take_down(host: Host, server: DesiredServer, progress: Progress) -> tuple[str, ...]:
    """Stop and remove the containers of every stack of ours, the one that the others are reached through last.

    Returns the stacks, and single containers of ours that belong to none of them any longer.
    """
    await _remove_wakers(host)
    markers = [f"{stack.folder}/{MARKER}" for stack in server.stacks]
    present = await host.states([*markers, *(f"{stack.folder}/compose.yaml" for stack in server.stacks)])
    taken = []
    for stack, marker in reversed(list(zip(server.stacks, markers, strict=True))):
        if present[marker] and present[f"{stack.folder}/compose.yaml"]:
            with progress.step(f"stop stack {stack.name}") as say:
                await compose(host, stack.name, "down", what=f"cannot stop the stack {stack.name}", say=say)
            taken.append(stack.name)
    for name in await _left_over(host):
        with progress.step(f"remove container {name}"):
            await remove(host, name)
        taken.append(name)
    return tuple(taken)


async def _remove_wakers(host: Host) -> None:
    """Whoever comes while the lab is taken down would have an app started again that is just being removed.

    What wakes apps now counts: homelab.yaml may name another engine since the last apply, or let nothing sleep.
    """
    names = await _ours(host, f"com.docker.compose.project={CORE}")
    wakers = sorted(name for name in names if any(f"{name}-".startswith(f"{app}-") for app in WAKERS))
    if wakers:
        # Removed and not stopped, so that after half a `down` none looks as if a person had stopped it.
        order = Command(("docker", "container", "rm", "--force", *wakers), timeout=60)
        await run_checked(host, order, what=f"cannot remove {', '.join(wakers)}")


async def _left_over(host: Host) -> list[str]:
    """Containers of ours that are still there: of apps or stacks that were taken out of homelab.yaml meanwhile."""
    return await _ours(host)


async def _ours(host: Host, *labels: str) -> list[str]:
    filters = [word for label in (FINGERPRINT_LABEL, *labels) for word in ("--filter", f"label={label}")]
    question = docker.probe("container", "ls", "--all", *filters, "--format", "{{.Names}}")
    return (await run_checked(host, question, what="cannot list containers")).stdout.split()
