"""Pulling images from a registry, and asking whether one is in reach."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.hosts.protocol import Command
from ez_homelab.images.causes import PULL_CAUSES, recognise

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Host

PULL_TIMEOUT = 3600.0
ANSWER_SECONDS = 8.0
REGISTRY = "https://registry-1.docker.io/v2/"


async def pull(host: Host, reference: str, say: Callable[[str], None]) -> None:
    """Pull an image; `say` gets each line as it comes. Raises `CommandError` with the cause where it is a known one."""
    wanted = Command(("docker", "pull", reference), timeout=PULL_TIMEOUT)
    completed = await host.run(wanted, on_line=say)
    if completed.ok:
        return
    finding = recognise(f"{completed.stdout}\n{completed.stderr}", PULL_CAUSES)
    raise CommandError(
        f"the image {reference} could not be pulled on {host.name}",
        evidence=finding.evidence,
        cause=finding.meaning,
        fix=finding.fix or f"run it by hand on {host.name} to see more: {wanted}",
    )


async def registry_answers(address: str = REGISTRY) -> bool:
    """Whether an image registry can be reached from this machine, in seconds; 401 ("sign in first") is an answer too.

    Asked by this program itself, because it is asked before anything is installed.
    """
    import httpx

    try:
        # The system's own store: a company's inspecting proxy is trusted there and nowhere else.
        async with httpx.AsyncClient(verify=ssl.create_default_context(), timeout=ANSWER_SECONDS) as client:
            return (await client.get(address)).status_code in (200, 401)
    except httpx.HTTPError:
        return False
