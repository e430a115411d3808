"""One look at one server: files, Docker, certificate and our own record, all asked for at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError, UnreachableError
from ez_homelab.hosts import Command
from ez_homelab.observe import docker
from ez_homelab.observe.engine_start import with_engine_stops
from ez_homelab.observe.observed import ObservedCertificate, ObservedServer, ObservedVolume, Unknown
from ez_homelab.observe.record import parse_applied
from ez_homelab.render.core import ROUTES_VOLUME
from ez_homelab.render.desired import MARKER, STACKS_FOLDER, STATE_FOLDER
from ez_homelab.tls.authority import read_authority
from ez_homelab.tls.served import read_served

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts import FileState, Host
    from ez_homelab.observe.observed import AppliedRecord, ObservedContainer, ObservedNetwork
    from ez_homelab.render.desired import DesiredServer

    VolumesAndRoutes = tuple[tuple[ObservedVolume, ...], tuple[str, ...]]
    """And the route files that a waker has written into one of them."""

APPLIED_RECORD = f"{STATE_FOLDER}/applied.json"
AUTHORITY_CERTIFICATE = f"{STATE_FOLDER}/tls/ca.crt"
LIST_ROUTES = Command(("ip", "-4", "route", "show"), changes=False, timeout=20)

# -H: an administrator may have moved the folder to another disk. The type and the path of each, with NUL between.
LIST_STACK_FOLDERS = Command(
    ("find", "-H", STACKS_FOLDER, "-mindepth", "1", "-maxdepth", "2", "(", "-type", "d", "-o", "-name", MARKER, ")",
     "-printf", "%y %P\\0"),
    changes=False, timeout=20,
)  # fmt: skip


ROUTE_FILES = ("-maxdepth", "1", "-name", "app-*.yml")
"""What `find` is told to find the files that a waker writes."""


async def look(
    host: Host, desired: DesiredServer, now: Callable[[], datetime] | None = None
) -> ObservedServer | Unknown:
    """What is on the server now, or `Unknown` with the reason where it cannot be reached.

    Raises `PrerequisiteError` where the server answers and has no Docker engine to ask.
    """
    at = now() if now else datetime.now(UTC)
    try:
        return await _look(host, desired, at)
    except UnreachableError as error:
        return Unknown(host.name, error.what, at)


async def _look(host: Host, desired: DesiredServer, at: datetime) -> ObservedServer:
    (
        (applied, files),
        containers,
        (networks, (volumes, routed)),
        images,
        certificate,
        (routes, folders),
    ) = await asyncio.gather(
        _files(host, desired),
        _containers(host),
        _networks_and_volumes(host),
        _ask(host, docker.LIST_IMAGES),
        _certificate(host, desired),
        _routes_and_folders(host),
    )
    return ObservedServer(
        name=host.name,
        at=at,
        files=files,
        foreign_stacks=await _foreign_stacks(host, desired, files),
        containers=await with_engine_stops(host, containers, networks),
        networks=networks,
        volumes=volumes,
        images=docker.parse_images(images) | docker.parse_digests(images),
        routed_subnets=routes,
        certificate=certificate,
        applied=applied,
        unmarked=folders,
        left_routes=routed,
    )


def parse_routes(output: str) -> tuple[str, ...]:
    """The subnets the server already routes somewhere (`ip -4 route show`), for choosing ours beside them.

    A route to one machine has no `/`; one that leads nowhere has a word (`blackhole`) before its subnet.
    """
    words = (next((word for word in line.split() if word[:1].isdigit()), "") for line in output.splitlines()
             if not line.startswith("default"))  # fmt: skip
    return tuple(word for word in words if word)


def parse_unmarked(output: str) -> tuple[str, ...]:
    """The folders in what `LIST_STACK_FOLDERS` prints that hold no marker of ours; hidden ones are no stacks."""
    rows = [row.split(" ", 1) for row in output.split("\0") if " " in row]
    marked = {path.partition("/")[0] for _, path in rows if path.endswith(f"/{MARKER}")}
    folders = (path for kind, path in rows if kind == "d" and "/" not in path)
    return tuple(sorted(name for name in folders if name not in marked and name[0] != "." and name != "lost+found"))


async def _files(host: Host, desired: DesiredServer) -> tuple[AppliedRecord, dict[str, FileState | None]]:
    applied = parse_applied(await host.read(APPLIED_RECORD))
    return applied, await host.states(sorted({file.path for file in desired.files} | applied.files.keys()))


async def _foreign_stacks(host: Host, desired: DesiredServer, states: dict[str, FileState | None]) -> tuple[str, ...]:
    """Stack folders that hold files and not our marker: somebody else's, never written."""
    unmarked = [stack for stack in desired.stacks if states.get(f"{stack.folder}/{MARKER}") is None]
    contents = [await host.list_files(stack.folder) for stack in unmarked]
    return tuple(stack.name for stack, files in zip(unmarked, contents, strict=True) if files)


async def _containers(host: Host) -> tuple[ObservedContainer, ...]:
    return docker.parse_containers(await _inspected(host, docker.LIST_CONTAINERS, docker.inspect_containers))


async def _networks(host: Host) -> tuple[ObservedNetwork, ...]:
    return docker.parse_networks(await _inspected(host, docker.LIST_NETWORKS, docker.inspect_networks))


async def _networks_and_volumes(host: Host) -> tuple[tuple[ObservedNetwork, ...], VolumesAndRoutes]:
    return await asyncio.gather(_networks(host), _volumes(host))


async def _routes_and_folders(host: Host) -> tuple[tuple[str, ...], tuple[str, ...]]:
    routes, folders = await asyncio.gather(host.run(LIST_ROUTES), host.run(LIST_STACK_FOLDERS))
    return parse_routes(routes.stdout), parse_unmarked(folders.stdout)


async def _volumes(host: Host) -> VolumesAndRoutes:
    found = docker.parse_volumes(await _inspected(host, docker.LIST_VOLUMES, docker.inspect_volumes))
    if not found:
        return (), ()
    owners = docker.parse_owners((await host.run(docker.own_volumes([folder for folder, _ in found.values()]))).stdout)
    volumes = tuple(ObservedVolume(name, owners.get(folder, ""), managed) for name, (folder, managed) in found.items())
    return volumes, await _left_routes(host, found[ROUTES_VOLUME][0]) if ROUTES_VOLUME in found else ()


async def _left_routes(host: Host, folder: str) -> tuple[str, ...]:
    listed = await host.run(Command(("find", folder, *ROUTE_FILES), changes=False, timeout=20))
    return tuple(sorted(path.rpartition("/")[2] for path in listed.stdout.splitlines()))


async def _inspected(host: Host, listing: Command, inspect: Callable[[list[str]], Command]) -> str:
    """What the engine says of everything it lists."""
    names = docker.parse_ids(await _ask(host, listing))
    if not names:
        return ""
    completed = await host.run(inspect(names))
    if not completed.ok:
        # Something of the list has just gone, and the rest was told; or the engine has, and then nothing is known.
        await _ask(host, listing)
    return completed.stdout


async def _certificate(host: Host, desired: DesiredServer) -> ObservedCertificate:
    served, authority = await asyncio.gather(host.read(desired.certificate.path), host.read(AUTHORITY_CERTIFICATE))
    return ObservedCertificate(read_served(served), read_authority(authority) if authority else None)


async def _ask(host: Host, question: Command) -> str:
    completed = await host.run(question)
    if completed.ok:
        return completed.stdout
    if "permission denied" in completed.stderr:
        raise PrerequisiteError(
            f"Docker on {host.name} does not answer this user",
            evidence=completed.last_line,
            cause="only root and members of the group docker may ask it",
            fix="run it as root (sudo)",
        )
    missing = completed.status == 127
    raise PrerequisiteError(
        f"Docker is not {'installed' if missing else 'running'} on {host.name}",
        evidence=completed.last_line,
        cause="the server was never set up, or its Docker engine was stopped",
        fix="ez-homelab up" if missing else "ez-homelab doctor",
    )
