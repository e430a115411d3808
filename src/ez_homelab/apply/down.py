"""Takes a lab down: containers go, data, networks and files stay, so that the next apply brings everything back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.apply.containers import compose
from ez_homelab.render.desired import MARKER

if TYPE_CHECKING:
    from ez_homelab.hosts import Host
    from ez_homelab.progress import Progress
    from ez_homelab.render.desired import DesiredServer


async def take_down(host: Host, server: DesiredServer, progress: Progress) -> tuple[str, ...]:
    """Stop and remove the containers of every stack of ours, the one that the others are reached through last."""
    markers = [f"{stack.folder}/{MARKER}" for stack in server.stacks]
    present = await host.states([*markers, *(f"{stack.folder}/compose.yaml" for stack in server.stacks)])
    taken = []
    for stack, marker in reversed(list(zip(server.stacks, markers, strict=True))):
        if present[marker] and present[f"{stack.folder}/compose.yaml"]:
            with progress.step(f"stop stack {stack.name}") as say:
                await compose(host, stack.name, "down", what=f"cannot stop the stack {stack.name}", say=say)
            taken.append(stack.name)
    return tuple(taken)
