"""An app's log, as its containers wrote it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.hosts import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ez_homelab.hosts import Host

A_DAY = 86400.0


async def read_logs(
    host: Host, containers: Sequence[str], on_line: Callable[[str], None], *, tail: int, follow: bool
) -> None:
    """Hand over the last `tail` lines of each container, named in front where there are several.

    With `follow` it goes on with the coming lines until it is cancelled, for a day at most.
    """
    named = len(containers) > 1
    await asyncio.gather(
        *(_read(host, name, _prefixed(on_line, name) if named else on_line, tail, follow) for name in containers)
    )


def _prefixed(on_line: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda line: on_line(f"{name}: {line}")


async def _read(host: Host, name: str, on_line: Callable[[str], None], tail: int, follow: bool) -> None:
    wanted = ("docker", "logs", "--tail", str(tail), *(("--follow",) if follow else ()), name)
    completed = await host.run(Command(wanted, changes=False, timeout=A_DAY if follow else 60), on_line=on_line)
    if not completed.ok:
        raise CommandError(
            f"the log of {name} could not be read on {host.name}",
            evidence=completed.last_line,
            cause="its container is not there",
            fix="ez-homelab status",
        )
