"""The stacks that no lab file names: the reverse proxy, the filter through which it sees Docker, sign-on, the mirror.

What these need beyond other apps stands here and nowhere else: the network on which nothing but the first two is, the
networks that Traefik joins while it runs, what must be well before it starts, the one address at which the mirror
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.config.model import CORE, MIRROR, AppInstance, Stack
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

LOOPBACK = "127.0.0.1"
"""Where the mirror answers: Docker speaks to a registry without TLS only there, and nobody else is to reach it."""

MAIL_NETWORK = "sign-on-mail"
"""By which Authelia reaches the mail server; its other networks lead nowhere."""

TRAEFIK_USER = (65532, 65532)
"""Must be the `user` of traefik's compose.yaml: the certificate's key is readable to it alone."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a container gets beyond what its app's own files say."""

    networks: tuple[str, ...] = ()
    live_networks: tuple[str, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    depends_on: tuple[str, ...] = ()


def core_stack(server: str, sign_on: Iterable[str]) -> Stack:
    """The stack as if a person had written it into the lab file. `sign_on` are the apps that the server has for it."""
    return Stack(CORE, server, tuple(AppInstance(name, name) for name in (SOCKET_PROXY, *sign_on, TRAEFIK)))


def mirror_stack(server: str) -> Stack:
    """The stack of the lab's own image registry."""
    return Stack(MIRROR, server, (AppInstance(MIRROR, MIRROR),))


def extras(
    instance: Instance, server: Server, routes: Iterable[Route], sign_on: Iterable[str], *, mails: bool = False
) -> Extras:
    """The extras of the core stack's apps; for any other app at most the ports that it publishes.

    Traefik waits until sign-on answers: it would be closed without, but people would see errors instead of apps. Where
    sign-on `mails`, it alone is on a network that leads out.
    """
    if instance.app.id == SOCKET_PROXY:
        return Extras(networks=(SOCKET_PROXY_NETWORK,))
    if instance.app.id in sign_on:
        return Extras(networks=(MAIL_NETWORK,) if mails else ())
    address = LOOPBACK if instance.app.id == MIRROR else server.address
    ports = instance.app.manifest.network.publish
    published = tuple(PublishedPort(address, port.port, port.protocol, port.container_port or 0) for port in ports)
    if instance.app.id != TRAEFIK:
        return Extras(published=published)
    return Extras(
        networks=(SOCKET_PROXY_NETWORK,),
        live_networks=tuple(sorted(route.edge_network for route in routes if route.server == server.name)),
        published=published,
        depends_on=(SOCKET_PROXY, *sign_on),
    )


def networks(
    instances: Iterable[Instance], routes: Iterable[Route], *, mails: bool = False
) -> tuple[DesiredNetwork, ...]:
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
    shared = [DesiredNetwork(name) for name in (*SHARED_NETWORKS, *([MAIL_NETWORK] if mails else []))]
    return (DesiredNetwork(SOCKET_PROXY_NETWORK, internal=True), *shared, *sorted(own, key=lambda item: item.name))


def certificate(lab: Lab) -> DesiredCertificate:
    """One certificate for every name of the lab, in the folder that Traefik watches."""
    path = f"{STACKS_FOLDER}/{CORE}/config/{TRAEFIK}/dynamic/certificate.yml"
    return DesiredCertificate(path, wanted_names(lab.domain, [server.name for server in lab.servers]), *TRAEFIK_USER)
