"""The stack every server has: the reverse proxy and the filter through which it sees Docker.

What these two need beyond other apps stands here and nowhere else: the published ports, the network on which nothing
but them is, and the networks that Traefik joins while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.config.model import CORE, AppInstance, Stack
from ez_homelab.config.rules import CORE_APPS
from ez_homelab.render.desired import STACKS_FOLDER, DesiredCertificate, DesiredNetwork, PublishedPort
from ez_homelab.render.traefik import SHARED_NETWORKS, SOCKET_PROXY_NETWORK
from ez_homelab.tls.certificate import wanted_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.config.model import Lab, Server
    from ez_homelab.render.instance import Instance
    from ez_homelab.route import Route

SOCKET_PROXY, TRAEFIK = CORE_APPS

TRAEFIK_USER = (65532, 65532)
"""Must be the `user` of traefik's compose.yaml: the certificate's key is readable to it alone."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a container gets beyond what its app's own files say."""

    networks: tuple[str, ...] = ()
    live_networks: tuple[str, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    depends_on: tuple[str, ...] = ()


def core_stack(server: str) -> Stack:
    """The stack as if a person had written it into the lab file."""
    return Stack(CORE, server, tuple(AppInstance(name, name) for name in CORE_APPS))


def extras(instance: Instance, server: Server, routes: Iterable[Route]) -> Extras:
    """The extras of the two; none for any other app."""
    if instance.app.id == SOCKET_PROXY:
        return Extras(networks=(SOCKET_PROXY_NETWORK,))
    if instance.app.id != TRAEFIK:
        return Extras()
    ports = instance.app.manifest.network.publish
    return Extras(
        networks=(SOCKET_PROXY_NETWORK,),
        live_networks=tuple(sorted(route.edge_network for route in routes if route.server == server.name)),
        published=tuple(PublishedPort(server.address, port.port, port.protocol) for port in ports),
        depends_on=(SOCKET_PROXY,),
    )


def networks(instances: Iterable[Instance], routes: Iterable[Route]) -> tuple[DesiredNetwork, ...]:
    """Every network of a server: the three shared ones, the socket proxy's, an edge per route, the private ones.

    The networks of an app that may not reach the outside are internal.
    """
    edges = {route.name: route.edge_network for route in routes}
    own = [
        DesiredNetwork(network, internal=instance.app.manifest.network.egress == "none")
        for instance in instances
        for network in (edges.get(instance.name), instance.private_network)
        if network
    ]
    shared = [DesiredNetwork(name) for name in SHARED_NETWORKS]
    return (DesiredNetwork(SOCKET_PROXY_NETWORK, internal=True), *shared, *sorted(own, key=lambda item: item.name))


def certificate(lab: Lab) -> DesiredCertificate:
    """One certificate for every name of the lab, in the folder that Traefik watches."""
    path = f"{STACKS_FOLDER}/{CORE}/config/{TRAEFIK}/dynamic/certificate.yml"
    return DesiredCertificate(path, wanted_names(lab.domain, [server.name for server in lab.servers]), *TRAEFIK_USER)
