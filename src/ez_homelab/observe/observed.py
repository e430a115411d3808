"""What one look at a server found. "Could not look" is a value of its own and never reads as "is not there"."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ez_homelab.render.desired import FINGERPRINT_LABEL, PublishedPort

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ez_homelab.hosts import FileState
    from ez_homelab.tls.authority import AuthorityFacts
    from ez_homelab.tls.certificate import CertificateFacts, DamagedCertificate

CRASHES = 3
"""Restarts by Docker after which a start counts as failed without waiting longer."""

ContainerState = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Health = Literal["none", "starting", "healthy", "unhealthy"]


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    """One container of the server's Docker engine, ours or not."""

    id: str
    name: str
    image: str
    image_id: str
    state: ContainerState
    health: Health
    exit_code: int
    out_of_memory: bool
    error: str
    restarts: int
    started_at: str
    networks: Mapping[str, str]
    published: tuple[PublishedPort, ...]
    labels: Mapping[str, str]
    finished_at: str = ""
    network_mode: str = ""
    """As Docker says it: `container:ID` where it shares the network of another one."""
    restart_policy: str = ""
    """Docker's word; `no` for what sleeps (a waker starts and stops it, nothing else does), or where an override says
    so."""
    stopped_by: str = ""
    """Who stopped it, where that was no person: the engine (`observe/engine_start.py`), a run (`apply/cut_off.py`)."""

    @property
    def fingerprint(self) -> str | None:
        """The definition it was created from; None where it is not ours."""
        return self.labels.get(FINGERPRINT_LABEL)

    @property
    def definition(self) -> str:
        """Compose's own hash of the definition it was made from, whoever asked for that; empty where it has none."""
        return self.labels.get("com.docker.compose.config-hash", "")

    @property
    def project(self) -> str | None:
        """The Compose project (our stack) it belongs to."""
        return self.labels.get("com.docker.compose.project")

    @property
    def compose_service(self) -> str | None:
        """The Compose service that it was made for."""
        return self.labels.get("com.docker.compose.service")

    @property
    def held(self) -> str:
        """How a person stopped it; empty where nobody did.

        Docker restarts whatever ends by itself (`restart: unless-stopped`), so what stays ended was stopped by someone.
        What an override keeps Docker from restarting may have ended by itself, and is as it is wanted all the same.
        `observe.states.held` also knows of what sleeps.
        """
        if self.state == "paused":
            return "paused by a person"
        if self.state != "exited" or self.error or self.stopped_by:
            return ""
        by_itself = ", or ended by itself (`restart: no`)" if self.restart_policy == "no" else ""
        return f"stopped by a person{by_itself}"

    @property
    def sleeps(self) -> bool:
        """Whether it looks as if it was made to sleep: Docker is not to start it, and no route leads to it by labels.

        An override can say the first of what never sleeps.
        """
        return self.restart_policy == "no" and not any(label.startswith("traefik.") for label in self.labels)

    @property
    def shares_network_of(self) -> str:
        """The id of the container whose network it shares; empty where it has networks of its own."""
        kind, _, identifier = self.network_mode.partition(":")
        return identifier if kind == "container" else ""

    @property
    def crashes(self) -> bool:
        """Whether it keeps ending soon after its start. Between two starts Docker calls it running, for a moment."""
        again = self.state == "running" and self.health == "starting" and self.restarts >= CRASHES
        return self.state == "restarting" or again

    @property
    def well(self) -> bool:
        """Whether it runs and, where it has a health check, passes it."""
        return self.state == "running" and self.health in ("none", "healthy")


@dataclass(frozen=True, slots=True)
class ObservedNetwork:
    """One Docker network."""

    id: str
    name: str
    subnets: tuple[str, ...]
    internal: bool
    managed: bool
    created: str = ""


@dataclass(frozen=True, slots=True)
class ObservedVolume:
    """One Docker volume, and whom its folder belongs to (`uid:gid`)."""

    name: str
    owner: str
    managed: bool


@dataclass(frozen=True, slots=True)
class ObservedCertificate:
    """The certificate that Traefik is given, and the lab's authority; None where there is none yet."""

    served: CertificateFacts | DamagedCertificate | None
    authority: AuthorityFacts | None


@dataclass(frozen=True, slots=True)
class AppliedRecord:
    """What earlier applies wrote: for each path the hashes we ever left there and may still find; for which lab folder.

    `lab` is empty before the first apply. `images` has the image reference that each container was made from, `kept`
    the SHA-256 of each text that a person wrote on the server and wants to stay, `definitions` Compose's hash of what
    each container was made from: a person who edits a Compose file and uses it copies our fingerprint along.
    """

    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lab: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)

    def keeping(self, path: str, live: str, desired: str | None) -> AppliedRecord:
        """The record after a person chose to keep the text with the hash `live` instead of the lab's, `desired`.

        `desired` becomes a text of ours, so that a later change of it is one that the person has not seen.
        """
        known = self.files.get(path, ())
        ours = tuple(dict.fromkeys([*known, *((desired,) if desired else ())]))
        return replace(self, files={**self.files, path: ours}, kept={**self.kept, path: live})

    def not_keeping(self, path: str) -> AppliedRecord:
        """The record after a person gave up the text that was kept there."""
        return replace(self, kept={other: live for other, live in self.kept.items() if other != path})


@dataclass(frozen=True, slots=True)
class ObservedServer:
    """One server at one moment (`at`, in UTC).

    `foreign_stacks` are stacks of the lab whose folder is somebody else's; `unmarked` are all folders below the stacks'
    folder that do not hold our marker. `left_routes` are the files by which a waker leads to what sleeps: its own while
    there is one, and left behind by it where there is none. `images` maps `name:tag` and `name@digest` to the image's
    id.
    """

    name: str
    at: datetime
    files: Mapping[str, FileState | None]
    foreign_stacks: tuple[str, ...]
    containers: tuple[ObservedContainer, ...]
    networks: tuple[ObservedNetwork, ...]
    volumes: tuple[ObservedVolume, ...]
    images: Mapping[str, str]
    routed_subnets: tuple[str, ...]
    certificate: ObservedCertificate
    applied: AppliedRecord
    unmarked: tuple[str, ...] = ()
    left_routes: tuple[str, ...] = ()

    def container(self, name: str) -> ObservedContainer | None:
        """The container of that name."""
        return next((container for container in self.containers if container.name == name), None)

    def is_made_by_hand(self, container: ObservedContainer) -> bool:
        """Whether a person made it anew from something else than the last apply did."""
        known = self.applied.definitions.get(container.name)
        return bool(known and container.definition) and container.definition != known

    def has_image(self, reference: str) -> bool:
        """Whether the image is there."""
        return self.image_id(reference) is not None

    def image_id(self, reference: str) -> str | None:
        """The id of the image that the reference names now; None where there is none. A digest counts, not its tag."""
        # Docker lists those of Docker Hub without the registry's name.
        name = reference.removeprefix("docker.io/").removeprefix("library/")
        tagged, at, digest = name.partition("@")
        return self.images.get(f"{without_tag(tagged)}@{digest}" if at else tagged)


def without_tag(name: str) -> str:
    """`registry:5000/team/app:2` -> `registry:5000/team/app`."""
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name


@dataclass(frozen=True, slots=True)
class Unknown:
    """A server that could not be looked at, why, and since when nothing is known of it."""

    name: str
    reason: str
    at: datetime
