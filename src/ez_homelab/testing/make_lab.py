"""Labs as values, and servers on which everything is just as a lab wants it: for tests, benchmarks, users' catalogs.

lab = make_lab(servers=50, apps=1000)
desired = desired_of(lab)
make_plan(desired, observed_as(desired))  # nothing to do
make_plan(desired, observed_as(desired, missing={"dokuwiki"}))  # creates that one container
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import TYPE_CHECKING

from ez_homelab.catalog.loader import Catalog
from ez_homelab.config.load import LAB_FILE, lab_from_text
from ez_homelab.config.model import CORE, AppInstance, Images, Lab, LazySettings, Server, Stack
from ez_homelab.config.starter import starter_lab
from ez_homelab.hosts import FileState
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.images.reference import as_listed
from ez_homelab.observe.observed import (
    AppliedRecord,
    ObservedCertificate,
    ObservedContainer,
    ObservedNetwork,
    ObservedServer,
    ObservedVolume,
)
from ez_homelab.plan.subnets import free_subnets
from ez_homelab.render import NOTHING_GIVEN, Given, make_instances, render
from ez_homelab.render.desired import FINGERPRINT_LABEL
from ez_homelab.secrets.value import Secret
from ez_homelab.tls.authority import AuthorityFacts
from ez_homelab.tls.certificate import CertificateFacts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ez_homelab.config.model import ImageSource
    from ez_homelab.render.desired import Desired, DesiredNetwork, DesiredServer, DesiredService

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment at which `observed_as` looks, unless it is told another."""

KEY_ID = "00" * 20
"""The id of the key of the authority that `observed_as` finds."""

_WEB_APPS = ("dokuwiki", "glances")
_APPS_PER_STACK = 5


def make_lab(
    *,
    servers: int = 1,
    apps: int | None = None,
    domain: str = "lab.localhost",
    images: ImageSource = "registry",
    stacks: Iterable[Stack] | None = None,
) -> Lab:
    """A lab: the starter lab, or one with `apps` web apps spread evenly over `servers`, or one with these `stacks`.

    All apps of the starter lab are awake here, so that what is said of one holds for each.
    The lab file takes one server for now; the model holds any number, and so does everything behind it.
    """
    if stacks is None and apps is None:
        stacks = map(_awake, lab_from_text(starter_lab(domain, images)[LAB_FILE]).stacks)
    names = [CORE, *(f"server{number}" for number in range(1, servers))]
    # 127.0.0.1 is every server's own; `role` has one value as long as the lab file takes one server.
    machines = tuple(Server(name) for name in names)
    chosen = _spread(names, apps or 0) if stacks is None else tuple(stacks)
    return Lab(domain, images=Images(images), servers=machines, stacks=chosen)


def _awake(stack: Stack) -> Stack:
    return replace(stack, apps=tuple(replace(app, lazy=LazySettings()) for app in stack.apps))


def desired_of(
    lab: Lab, *, catalog: Catalog | None = None, overrides: Mapping[str, Mapping[str, object]] | None = None
) -> Desired:
    """What `render` makes of the lab with the shipped apps (or these); editions are tagged `ez-homelab/APP:edition`."""
    apps = catalog or Catalog.shipped()
    packages = lab.images.source == "packages"
    tags = _edition_tags(apps) if packages else {}
    return render(lab, apps.app, Given(tags, overrides or {}, made_up_secrets(lab, apps), pinned))


def made_up_secrets(lab: Lab, apps: Catalog) -> dict[str, dict[str, Secret]]:
    """A value for each secret of each app in the lab, which names it."""
    return {
        instance.name: {secret.id: Secret(f"value-of-{secret.id}") for secret in instance.app.manifest.secrets}
        for instance in make_instances(lab, apps.app, NOTHING_GIVEN)
    }


def pinned(reference: str) -> str:
    """The reference as if the lab had locked it: the digest is made of the name."""
    return f"{reference}@sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


def _edition_tags(apps: Catalog) -> dict[str, dict[str, str]]:
    tags: dict[str, dict[str, str]] = {}
    for app in map(apps.app, apps.ids()):
        others = {name: f"ez-homelab/{app.id}-{name}:edition" for name in app.compose.services}
        tags[app.id] = {**others, app.main_service: f"ez-homelab/{app.id}:edition"}
    return tags


def observed_as(
    desired: Desired,
    *,
    missing: Collection[str] = (),
    containers: Mapping[str, Mapping[str, object]] | None = None,
    extra_containers: Iterable[ObservedContainer] = (),
    missing_networks: Collection[str] = (),
    extra_networks: Iterable[ObservedNetwork] = (),
    missing_volumes: Collection[str] = (),
    missing_images: Collection[str] = (),
    files: Mapping[str, FileState | None] | None = None,
    applied: Mapping[str, tuple[str, ...]] | None = None,
    at: datetime = NOW,
) -> dict[str, ObservedServer]:
    """Every server as desired, with the changes that are named; each change concerns every server that it fits.

    `missing` containers, networks, volumes and images are not there. `containers` maps a container's name to fields of
    `ObservedContainer` that are otherwise; `files` and `applied` map a path to its state and to the contents that we
    left there, beside those that are as desired.
    """
    found = {}
    for name, server in desired.servers.items():
        whole = _as_desired(desired.domain, server, at)
        kept = [replace_fields(item, (containers or {}).get(item.name, {})) for item in whole.containers
                if item.name not in missing]  # fmt: skip
        found[name] = replace(
            whole,
            containers=tuple(sorted([*kept, *extra_containers], key=lambda item: item.name)),
            networks=(*(net for net in whole.networks if net.name not in missing_networks), *extra_networks),
            volumes=tuple(volume for volume in whole.volumes if volume.name not in missing_volumes),
            images={image: one for image, one in whole.images.items() if image not in missing_images},
            files={**whole.files, **(files or {})},
            applied=AppliedRecord({**whole.applied.files, **(applied or {})}),
        )
    return found


def observed_bare(desired: Desired, *, at: datetime = NOW) -> dict[str, ObservedServer]:
    """Every server with a Docker engine and nothing of any lab on it."""
    return {
        name: replace(
            _as_desired(desired.domain, server, at), files={file.path: None for file in server.files}, containers=(),
            networks=(), volumes=(), images={}, certificate=ObservedCertificate(None, None), applied=AppliedRecord(),
        )
        for name, server in desired.servers.items()
    }  # fmt: skip


def replace_fields(container: ObservedContainer, fields: Mapping[str, object]) -> ObservedContainer:
    """The container with these fields; `fingerprint` stands for the label that holds it, None for no such label."""
    changed = dict(fields)
    if "fingerprint" in changed:
        wanted = changed.pop("fingerprint")
        others = {name: value for name, value in container.labels.items() if name != FINGERPRINT_LABEL}
        changed["labels"] = others if wanted is None else {**others, FINGERPRINT_LABEL: wanted}
    return replace(container, **changed)  # type: ignore[arg-type]


def network_id(name: str) -> str:
    """The id of the network of that name on a server of `observed_as`."""
    return f"id-of-{name}"


def container_of(service: DesiredService, *, at: datetime = NOW) -> ObservedContainer:
    """The container that Compose would make of the service: running and healthy."""
    return ObservedContainer(
        id=f"id-of-{service.name}",
        name=service.name,
        image=service.image,
        image_id=f"sha256:{service.image}",
        state="running",
        health="healthy",
        exit_code=0,
        out_of_memory=False,
        error="",
        restarts=0,
        started_at=at.isoformat(),
        networks={name: network_id(name) for name in (*service.networks, *service.live_networks)},
        published=service.published,
        labels={FINGERPRINT_LABEL: service.fingerprint, "com.docker.compose.project": service.stack},
        network_mode=f"container:id-of-{service.network_of}" if service.network_of else "",
        restart_policy="no" if service.wake_group else "unless-stopped",
    )


def _spread(servers: list[str], apps: int) -> tuple[Stack, ...]:
    instances = [AppInstance(f"{app}{number}", app) for number, app in enumerate(islice(cycle(_WEB_APPS), apps))]
    groups = [instances[start : start + _APPS_PER_STACK] for start in range(0, apps, _APPS_PER_STACK)]
    return tuple(
        Stack(f"stack{number}", server, tuple(group))
        for number, (group, server) in enumerate(zip(groups, cycle(servers), strict=False))
    )


def _as_desired(domain: str, server: DesiredServer, at: datetime) -> ObservedServer:
    references = [image.pinned for image in server.images]
    base = [BASE_TAG] if any(image.source == "packages" for image in server.images) else []
    return ObservedServer(
        name=server.name,
        at=at,
        files={file.path: FileState(file.sha256, file.mode, file.uid, file.gid) for file in server.files},
        foreign_stacks=(),
        containers=tuple(sorted((container_of(service, at=at) for service in server.services), key=lambda c: c.name)),
        networks=_networks(server.networks),
        volumes=tuple(ObservedVolume(item.name, item.owner or "0:0", managed=True) for item in server.volumes),
        images={as_listed(reference): f"sha256:{reference}" for reference in (*base, *references)},
        routed_subnets=(),
        certificate=_certificate(domain, server, at),
        applied=AppliedRecord({file.path: (file.sha256,) for file in server.files}),
    )


def _networks(networks: Iterable[DesiredNetwork]) -> tuple[ObservedNetwork, ...]:
    subnets = free_subnets(())
    return tuple(
        ObservedNetwork(network_id(network.name), network.name, (next(subnets),), network.internal, managed=True)
        for network in networks
    )


def _certificate(domain: str, server: DesiredServer, at: datetime) -> ObservedCertificate:
    begin, life = at - timedelta(days=1), timedelta(days=90)
    served = CertificateFacts(server.certificate.names, begin, begin + life, KEY_ID, "")
    return ObservedCertificate(served, AuthorityFacts(domain, KEY_ID, begin, begin + timedelta(days=3650)))
