"""Finds and removes every trace of a lab on a server: what is listed is what goes, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.hosts import Command, command, run_checked
from ez_homelab.images.reference import is_base, is_edition
from ez_homelab.observe import docker
from ez_homelab.observe.look import APPLIED_RECORD
from ez_homelab.observe.record import parse_applied
from ez_homelab.render.desired import MANAGED_LABEL, MARKER, STATE_FOLDER, stack_folder

if TYPE_CHECKING:
    from ez_homelab.hosts import Host
    from ez_homelab.progress import Progress
    from ez_homelab.render.desired import DesiredServer


@dataclass(frozen=True, slots=True)
class Purgeable:
    """What is there to remove."""

    volumes: tuple[str, ...]
    networks: tuple[str, ...]
    folders: tuple[str, ...]
    images: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """One line for each thing, data first."""
        return (
            *(f"volume {name} with all data in it" for name in self.volumes),
            *(f"folder {folder}" for folder in self.folders),
            *(f"network {name}" for name in self.networks),
            *(f"image {name}" for name in self.images),
        )

    async def remove(self, host: Host, progress: Progress) -> None:
        """Remove it. Raises `CommandError` at the first thing that cannot be removed; the rest stays."""
        for kind, names in (("volume", self.volumes), ("network", self.networks), ("image", self.images)):
            for name in names:
                await _remove(host, progress, command("docker", kind, "rm", name), f"{kind} {name}")
        for folder in self.folders:
            await _remove(host, progress, command("rm", "--recursive", "--one-file-system", "--", folder), folder)


async def _remove(host: Host, progress: Progress, order: Command, what: str) -> None:
    with progress.step(f"remove {what}"):
        await run_checked(host, order, what=f"cannot remove {what}")


async def find_purgeable(host: Host, server: DesiredServer) -> Purgeable:
    """What the lab left on the server: its volumes, networks and folders, and the images built for it."""
    volumes, networks, images = await asyncio.gather(_volumes(host), _networks(host), _images(host))
    applied = parse_applied(await host.read(APPLIED_RECORD))
    folders = list(dict.fromkeys([*(stack.folder for stack in server.stacks), *map(stack_folder, applied.files)]))
    markers = await host.states([f"{folder}/{MARKER}" for folder in folders])
    marked = [folder for folder in folders if markers[f"{folder}/{MARKER}"]]
    state = [STATE_FOLDER] if await host.list_files(STATE_FOLDER) is not None else []
    return Purgeable(volumes, networks, (*marked, *state), images)


async def _volumes(host: Host) -> tuple[str, ...]:
    order = docker.probe("volume", "ls", "--quiet", "--filter", f"label={MANAGED_LABEL}")
    return tuple(sorted((await run_checked(host, order, what="cannot list volumes")).stdout.split()))


async def _networks(host: Host) -> tuple[str, ...]:
    ids = docker.parse_ids((await run_checked(host, docker.LIST_NETWORKS, what="cannot list networks")).stdout)
    found = docker.parse_networks((await host.run(docker.inspect_networks(ids))).stdout)
    return tuple(network.name for network in found if network.managed)


async def _images(host: Host) -> tuple[str, ...]:
    found = docker.parse_images((await run_checked(host, docker.LIST_IMAGES, what="cannot list images")).stdout)
    return tuple(sorted(reference for reference in found if is_edition(reference) or is_base(reference)))
