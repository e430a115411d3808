"""What a lab should be, as values: the output of `render`, the input of `plan`, `apply` and `verify`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.route import Route

STACKS_FOLDER = "/opt/stacks"
STATE_FOLDER = "/var/lib/ez-homelab"
MARKER = ".ez-homelab"
FINGERPRINT_LABEL = "ez-homelab.fingerprint"
MANAGED_LABEL = "ez-homelab.managed"

ImageSource = Literal["registry", "packages"]


def stack_folder(path: str) -> str:
    """The folder of the stack that a file below `STACKS_FOLDER` belongs to."""
    return "/".join(path.split("/")[: STACKS_FOLDER.count("/") + 2])


@dataclass(frozen=True)
class DesiredFile:
    """A file with its whole content, its mode and its owner."""

    path: str
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0

    @cached_property
    def sha256(self) -> str:
        """The content's SHA-256 in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class DesiredImage:
    """An image that must be on the server before a service can start.

    `reference` is what the catalog or the edition calls it; `pinned` is what containers are made from: the same with
    the digest that the lab has locked, where it has.
    """

    reference: str
    app: str
    source: ImageSource
    pinned: str


@dataclass(frozen=True, slots=True)
class DesiredNetwork:
    """A Docker network; its subnet is chosen by the plan, which knows what is taken."""

    name: str
    internal: bool = False


@dataclass(frozen=True, slots=True)
class DesiredVolume:
    """A Docker volume.

    `owner` (`uid:gid`) is whom its folder must belong to, empty where the image sees to that. `volume_class` is the
    catalog's: `database` volumes are copied before a new version first starts.
    """

    name: str
    owner: str = ""
    volume_class: str = ""


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of the server that a container answers on; `target` is its own port, 0 where that is the same."""

    address: str
    port: int
    protocol: str = "tcp"
    target: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.address}:{self.port}/{self.protocol}"

    @property
    def compose(self) -> str:
        """As a Compose file says it."""
        return f"{self.address}:{self.port}:{self.target or self.port}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class DesiredService:
    """One container.

    `image` is what the container is made from, with its digest where the lab has locked one; `image_name` is what plans
    call it. `fingerprint` covers everything whose change needs a new container: its definition, its image, and the
    content of the mounted files that it reads only at its start. `live_networks` are joined and left while it runs. On
    the app's `private_network` (empty: it has none) its neighbours know it as `alias`. `guarded_by` are the files that
    say who may open it: they are written before it starts. `wake_group` names what it sleeps and wakes with (empty: it
    is always on), `network_of` the container whose network it shares (empty: it has networks of its own).
    `single_files` are files of other apps that it sees by themselves: one that is replaced stays the old one for it
    until it is started again.
    `ready_within` is how long it may take to become healthy, `expected_downtime` what a new container usually costs
    (both in seconds).
    """

    stack: str
    name: str
    app: str
    image: str
    image_name: str
    fingerprint: str
    networks: tuple[str, ...]
    live_networks: tuple[str, ...] = ()
    private_network: str = ""
    alias: str = ""
    volumes: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    guarded_by: tuple[str, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    reserved_memory: int = 0
    ready_within: float = 60.0
    expected_downtime: float = 10.0
    wake_group: str = ""
    network_of: str = ""
    single_files: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The service's name as people read it."""
        return f"{self.stack}/{self.name}"


@dataclass(frozen=True, slots=True)
class DesiredStack:
    """A Compose project in a folder of its own."""

    name: str
    services: tuple[DesiredService, ...]

    @property
    def folder(self) -> str:
        """Where its files lie on the server."""
        return f"{STACKS_FOLDER}/{self.name}"


@dataclass(frozen=True, slots=True)
class DesiredCertificate:
    """The names the server's certificate must be good for, and the file Traefik watches for it."""

    path: str
    names: tuple[str, ...]
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class WakeGroup:
    """What sleeps and wakes as one: an app, or several that belong together.

    `apps` are their names in the lab, `containers` are in the order in which they start. `timeout` is how long a start
    may take, in seconds. `memory` is what is free while each of the containers sleeps, in bytes.
    """

    name: str
    apps: tuple[str, ...]
    containers: tuple[str, ...]
    timeout: float
    memory: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredServer:
    """Everything one server should have."""

    name: str
    files: tuple[DesiredFile, ...]
    images: tuple[DesiredImage, ...]
    networks: tuple[DesiredNetwork, ...]
    volumes: tuple[DesiredVolume, ...]
    stacks: tuple[DesiredStack, ...]
    certificate: DesiredCertificate
    wake_groups: tuple[WakeGroup, ...] = ()

    @property
    def services(self) -> tuple[DesiredService, ...]:
        """All services of all stacks, in the order in which they are declared."""
        return tuple(service for stack in self.stacks for service in stack.services)


@dataclass(frozen=True, slots=True)
class Desired:
    """The whole lab as it should be. `warnings` are plain sentences for the person who wrote the lab file."""

    domain: str
    servers: Mapping[str, DesiredServer]
    routes: tuple[Route, ...]
    warnings: tuple[str, ...] = field(default=())
