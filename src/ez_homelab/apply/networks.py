"""Networks that a stack on its way back needs and that are gone: made again, and joined by their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.apply.containers import present
from ez_homelab.hosts import Command, run_checked
from ez_homelab.observe import docker
from ez_homelab.observe.look import LIST_ROUTES, parse_routes
from ez_homelab.plan.subnets import free_subnets
from ez_homelab.render.desired import MANAGED_LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ez_homelab.hosts import Host
    from ez_homelab.observe.observed import ObservedNetwork
    from ez_homelab.render.desired import DesiredServer, DesiredService


async def make_missing(host: Host, server: DesiredServer, services: Sequence[DesiredService]) -> None:
    """Make the networks of these services that are not there. Raises `CommandError`."""
    wanted = {name for service in services for name in (*service.networks, *service.live_networks)}
    found = await _networks(host)
    missing = [network for network in server.networks if network.name in wanted - {one.name for one in found}]
    taken = [subnet for network in found for subnet in network.subnets]
    taken += parse_routes((await host.run(LIST_ROUTES)).stdout)
    for network, subnet in zip(missing, free_subnets(taken), strict=False):
        await make_network(host, network.name, subnet, internal=network.internal)


async def make_network(host: Host, name: str, subnet: str, *, internal: bool) -> None:
    """Make one network. Raises `CommandError`."""
    closed = ("--internal",) if internal else ()
    options = ("--driver", "bridge", "--subnet", subnet, *closed, "--label", f"{MANAGED_LABEL}=true")
    order = Command(("docker", "network", "create", *options, name))
    await run_checked(host, order, what=f"cannot create the network {name}")


async def join_neighbours(host: Host, server: DesiredServer, names: Collection[str]) -> None:
    """Connect who joins the networks of these services while it runs, such as the reverse proxy, where it has left."""
    networks = {network for service in server.services if service.name in names for network in service.networks}
    neighbours = {one.name: one for one in server.services if networks & {*one.live_networks}}
    for container in await present(host, neighbours):
        for network in sorted(networks & {*neighbours[container.name].live_networks} - container.networks.keys()):
            order = Command(("docker", "network", "connect", "--alias", container.name, network, container.name))
            await run_checked(host, order, what=f"cannot connect {container.name} and {network}")


async def _networks(host: Host) -> tuple[ObservedNetwork, ...]:
    listed = await run_checked(host, docker.LIST_NETWORKS, what="cannot list networks")
    return docker.parse_networks((await host.run(docker.inspect_networks(docker.parse_ids(listed.stdout)))).stdout)
