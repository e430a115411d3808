"""The command on everybody's PATH: a link to the checkout that it was set up from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.hosts.protocol import command, run_checked

if TYPE_CHECKING:
    from ez_homelab.hosts.protocol import Host

FOLDER = "/usr/local/bin"
NAMES = ("ez-homelab", "ez")


async def missing_links(host: Host) -> tuple[str, ...]:
    """Which of the names lead nowhere yet. What stands there already, of whomever, is left alone."""
    found = await host.states([f"{FOLDER}/{name}" for name in NAMES])
    return tuple(path for path, state in found.items() if state is None)


async def make_links(host: Host, paths: tuple[str, ...], program: str) -> None:
    """Make the links. Raises `CommandError` where one cannot be made."""
    for path in paths:
        await run_checked(host, command("ln", "--symbolic", "--", program, path), what=f"cannot make the link {path}")
