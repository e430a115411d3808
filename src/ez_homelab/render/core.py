"""The stacks that no lab file names: the reverse proxy, the filter through which it sees Docker, sign-on, what wakes
apps, the mirror.

What these need beyond other apps stands here and nowhere else: the network on which nothing but the first two is, the
networks that Traefik joins while it runs, what must be well before it starts, what the waker shares with Traefik, the
one address at which the mirror answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ez_homelab.config.model import CORE, MIRROR, AppInstance, Stack
from ez_homelab.config.rules import CORE_APPS, WAKER
from ez_homelab.render.desired import STACKS_FOLDER, DesiredCertificate, DesiredNetwork, PublishedPort
from ez_homelab.render.traefik import NUDGE_FILE, SHARED_NETWORKS, SOCKET_PROXY_NETWORK
from ez_homelab.tls.certificate import wanted_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.config.model import Lab, Server
    from ez_homelab.lazy import Engine
    from ez_homelab.render.instance import Instance
    from ez_homelab.route import Route

SOCKET_PROXY, TRAEFIK = CORE_APPS

LOOPBACK = "127.0.0.1"
"""Where the mirror answers: Docker speaks to a registry without TLS only there, and nobody else is to reach it."""

MAIL_NETWORK = "sign-on-mail"
"""By which Authelia reaches the mail server; its other networks lead nowhere."""

CONTROL_NETWORK = "docker-control"
"""On which what wakes apps asks Docker, where that is more than one app."""

TRAEFIK_USER = (65532, 65532)
"""Must be the `user` of traefik's compose.yaml: the certificate's key is readable to it alone."""

ROUTES_FOLDER = "/routes"
"""Where the waker writes the route files that Traefik reads; must be the WAKER_ROUTES of its compose.yaml."""

ROUTES_VOLUME = f"{TRAEFIK}-routes"
"""The volume that this is, which Traefik sees below its watched folder."""

NUDGE_PATH = f"{STACKS_FOLDER}/{CORE}/config/{TRAEFIK}/dynamic/{NUDGE_FILE}"
"""The file on the server by whose touch Traefik reads the routes again."""

NUDGE = "/nudge.yml"
"""The one file of Traefik's watched folder that the waker sees, and touches."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server's core stack has besides Traefik and the filter before Docker.

    `sign_on` are the apps that ask who somebody is, `mails` says whether they send mail. `on_demand` is what wakes
    apps, None where none of the server sleeps.
    """

    sign_on: tuple[str, ...] = ()
    mails: bool = False
    on_demand: Engine | None = None

    @property
    def wakers(self) -> tuple[str, ...]:
        """The apps that wake others."""
        return self.on_demand.apps if self.on_demand else ()

    @property
    def wakers_network(self) -> str:
        """The network on which Traefik asks the first of them; empty where it needs none."""
        return self.on_demand.network if self.on_demand else ""

    @property
    def control_network(self) -> str:
        """The network on which nobody but they are; empty where there are not several."""
        return CONTROL_NETWORK if len(self.wakers) > 1 else ""


@dataclass(frozen=True, slots=True)
class ExtraMount:
    """What a container sees of another app: a volume by Docker's name, or a file by its place below the stack."""

    kind: Literal["volume", "bind"]
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Extras:
    """What a container gets beyond what its app's own files say.

    `network_mode` (Compose's) stands for all networks; `arguments` come behind the container's command.
    """

    networks: tuple[str, ...] = ()
    live_networks: tuple[str, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    depends_on: tuple[str, ...] = ()
    network_mode: str = ""
    mounts: tuple[ExtraMount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    @property
    def network_of(self) -> str:
        """The container whose network it shares; empty where it shares none."""
        return self.network_mode.partition("service:")[2]


def core_stack(server: str, parts: Parts) -> Stack:
    """The stack as if a person had written it into the lab file."""
    names = (SOCKET_PROXY, *parts.sign_on, TRAEFIK, *parts.wakers)
    return Stack(CORE, server, tuple(AppInstance(name, name) for name in names))


def mirror_stack(server: str) -> Stack:
    """The stack of the lab's own image registry."""
    return Stack(MIRROR, server, (AppInstance(MIRROR, MIRROR),))


def extras(instance: Instance, service: str, server: Server, routes: Iterable[Route], parts: Parts) -> Extras:
    """The extras of the core stack's containers; for any other app at most the ports that it publishes.

    Traefik waits until sign-on answers: it would be closed without, but people would see errors instead of apps. Where
    sign-on mails, it alone is on a network that leads out.
    """
    if instance.app.id == WAKER:
        return _waker(instance, service)
    if service != instance.main_service:
        return Extras()
    if instance.app.id == SOCKET_PROXY:
        return Extras(networks=(SOCKET_PROXY_NETWORK,))
    if instance.app.id in parts.sign_on:
        return Extras(networks=(MAIL_NETWORK,) if parts.mails else ())
    if instance.app.id in parts.wakers:
        return _of_engine(instance, parts)
    address = LOOPBACK if instance.app.id == MIRROR else server.address
    ports = instance.app.manifest.network.publish
    published = tuple(PublishedPort(address, port.port, port.protocol, port.container_port or 0) for port in ports)
    if instance.app.id != TRAEFIK:
        return Extras(published=published)
    edges = sorted(route.edge_network for route in routes if route.server == server.name)
    return Extras(
        networks=(SOCKET_PROXY_NETWORK,),
        live_networks=(*edges, *([parts.wakers_network] if parts.wakers_network else [])),
        published=published,
        depends_on=(SOCKET_PROXY, *parts.sign_on),
    )


def _of_engine(instance: Instance, parts: Parts) -> Extras:
    """Traefik asks the first of the apps, which asks Docker through the others: no two of the three share more."""
    first, *others = parts.wakers
    asked = [parts.wakers_network] if instance.app.id == first else []
    networks = tuple(name for name in (*asked, parts.control_network) if name)
    return Extras(networks=networks, depends_on=tuple(others) if instance.app.id == first else ())


def _waker(instance: Instance, service: str) -> Extras:
    """The waker counts what Traefik has open and is reached by nobody but Traefik: it lives in Traefik's network.

    What asks Docker for it is on no network at all.
    """
    if service != instance.main_service:
        return Extras(network_mode="none")
    return Extras(
        network_mode=f"service:{TRAEFIK}",
        mounts=(
            ExtraMount("volume", ROUTES_VOLUME, ROUTES_FOLDER),
            ExtraMount("bind", f"config/{TRAEFIK}/dynamic/{NUDGE_FILE}", NUDGE),
        ),
        environment={"WAKER_NUDGE": NUDGE},
    )


def networks(instances: Iterable[Instance], routes: Iterable[Route], parts: Parts) -> tuple[DesiredNetwork, ...]:
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
    shared = [DesiredNetwork(name) for name in (*SHARED_NETWORKS, *([MAIL_NETWORK] if parts.mails else []))]
    names = (SOCKET_PROXY_NETWORK, parts.wakers_network, parts.control_network)
    closed = [DesiredNetwork(name, internal=True) for name in names if name]
    return (*closed, *shared, *sorted(own, key=lambda item: item.name))


def certificate(lab: Lab) -> DesiredCertificate:
    """One certificate for every name of the lab, in the folder that Traefik watches."""
    path = f"{STACKS_FOLDER}/{CORE}/config/{TRAEFIK}/dynamic/certificate.yml"
    return DesiredCertificate(path, wanted_names(lab.domain, [server.name for server in lab.servers]), *TRAEFIK_USER)
