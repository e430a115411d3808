"""Pulling images from a registry, and asking whether one is in reach. Everything happens on the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.hosts.protocol import Command
from ez_homelab.images.causes import PULL_CAUSES, recognise

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Host

PULL_TIMEOUT = 3600.0
ANSWER_TIMEOUT = 8


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


async def registry_answers(host: Host, registry: str = "registry-1.docker.io") -> bool:
    """Whether the registry speaks to this server, in seconds: 200 and 401 ("sign in") are both an answer.

    Raises `CommandError` where the server has no curl: not being able to look is not an answer either.
    """
    wanted = Command(
        (
            "curl",
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "--max-time",
            str(ANSWER_TIMEOUT),
            f"https://{registry}/v2/",
        ),
        timeout=ANSWER_TIMEOUT * 2,
    )
    completed = await host.run(wanted)
    if completed.status == 127:
        raise CommandError(
            f"{host.name} cannot be asked whether {registry} answers",
            evidence=completed.last_line,
            cause="curl is not installed",
            fix="apt-get install curl",
        )
    return completed.stdout.strip() in ("200", "401")
