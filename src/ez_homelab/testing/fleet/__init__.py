"""The test fleet: real Debian servers on one Linux machine, made of namespaces. See docs/concepts/test-fleet.md.

`Fleet` is what tests use. The functions here are what `ez-homelab fleet up | list | shell | down` needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError
from ez_homelab.testing.fleet.base import base_root, engine_packages
from ez_homelab.testing.fleet.fleet import ROOT, Fleet
from ez_homelab.testing.fleet.network import DOMAIN
from ez_homelab.testing.fleet.programs import (
    check_prerequisites,
    install_prerequisites,
    missing_packages,
    why_no_fleet,
)
from ez_homelab.testing.fleet.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DOMAIN",
    "ROOT",
    "Fleet",
    "FleetSummary",
    "Server",
    "ServerSummary",
    "base_root",
    "check_prerequisites",
    "engine_packages",
    "fleet_down",
    "fleet_list",
    "fleet_server",
    "fleet_up",
    "install_prerequisites",
    "missing_packages",
    "shell_command",
    "why_no_fleet",
]

DEFAULT_NAME = "lab"
"""The name of the fleet that the command line makes when none is given."""


@dataclass(frozen=True, slots=True)
class ServerSummary:
    """One server, for a person: `ports` are the machine's ports of 127.0.0.1 and where in the server they lead."""

    name: str
    address: str
    domain: str
    running: bool
    ports: dict[int, int]


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """One fleet, for a person. `owner` is the process it goes with, None for one that stays until `down`."""

    name: str
    folder: str
    subnet: str
    owner: int | None
    servers: tuple[ServerSummary, ...]


def fleet_up(
    servers: int = 1,
    *,
    name: str = DEFAULT_NAME,
    suite: str = "bookworm",
    ports: dict[int, int] | None = None,
    say: Callable[[str], None] | None = None,
) -> FleetSummary:
    """Start a fleet that stays until `fleet_down`; `ports` of the machine lead into its first server.

    Raises `PrerequisiteError` (see `install_prerequisites`), `UsageError`, `CommandError`; nothing is left behind then.
    """
    if not name or "/" in name or name.startswith("."):
        raise UsageError(f"{name!r} cannot be a fleet's name", fix="use letters, digits and hyphens")
    fleet = Fleet.up(servers, suite=suite, folder=ROOT / name, keep=True, say=say)
    try:
        first = next(iter(fleet.servers.values()))
        for host_port, server_port in (ports or {}).items():
            first.open_port(host_port, server_port)
    except BaseException:
        fleet.down()
        raise
    return _summary(fleet)


def fleet_list() -> list[FleetSummary]:
    """Every fleet of this machine, those of running tests too."""
    return [_summary(fleet) for fleet in Fleet.all_in()]


def fleet_server(server: str = "core", *, fleet: str = DEFAULT_NAME) -> Server:
    """A server of a fleet. Raises `UsageError` for a fleet or server that is not there."""
    found = Fleet.load(fleet)
    if server not in found.servers:
        names = ", ".join(found.servers)
        raise UsageError(f"the fleet {fleet} has no server called {server}", fix=f"it has: {names}")
    return found.servers[server]


def shell_command(server: str = "core", *, fleet: str = DEFAULT_NAME) -> list[str]:
    """The command that opens a shell in a server, over SSH on a terminal of its own; for `os.execvp`.

    Raises `UsageError` for a fleet or server that is not there.
    """
    return fleet_server(server, fleet=fleet).ssh_command(terminal=True)


def fleet_down(name: str = DEFAULT_NAME) -> None:
    """End a fleet and remove all of it. Raises `UsageError` where there is none of that name."""
    Fleet.load(name).down()


def _summary(fleet: Fleet) -> FleetSummary:
    servers = tuple(
        ServerSummary(server.name, server.address, server.domain, server.running, server.ports)
        for server in fleet.servers.values()
    )
    owner = fleet.state.owner
    return FleetSummary(fleet.state.name, str(fleet.folder), fleet.state.subnet, owner.pid if owner else None, servers)
