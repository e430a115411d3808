"""A stack as a Compose project: the text that Dockge shows, and the services as the planner sees them."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ez_homelab.catalog.base import parse_size
from ez_homelab.config.model import Limits as LabLimits
from ez_homelab.render import secrets, traefik
from ez_homelab.render.desired import FINGERPRINT_LABEL, STACKS_FOLDER, DesiredService
from ez_homelab.render.merge import merged_service
from ez_homelab.render.override import service_override, service_volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ez_homelab.catalog.compose_fragment import ComposeService, Healthcheck, Mount
    from ez_homelab.catalog.supplies import Limits
    from ez_homelab.render.core import ExtraMount, Extras
    from ez_homelab.render.desired import DesiredFile
    from ez_homelab.render.instance import Instance
    from ez_homelab.route import Route

CPU_PERIOD = 100_000
"""Microseconds in which `cpu_quota` may be used up (the kernel's usual period)."""

DEFAULT_STOP_SECONDS = 10
"""How long Docker waits for a container to end before it kills it."""

SPARE_SECONDS = 30.0
"""What a slow machine gets on top of the time that an app's own health figures allow for its start."""

NO_LIMITS = LabLimits()

_VARIABLE = re.compile(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Sleep:
    """That a container sleeps: the group it wakes with, its engine's labels, and the files by which it is woken."""

    group: str
    labels: Callable[[str], Mapping[str, str]]
    guarded_by: tuple[str, ...]


class ServiceWriter:
    """Writes one service of one instance, once."""

    def __init__(
        self,
        instance: Instance,
        name: str,
        *,
        route: Route | None,
        extras: Extras,
        files: Mapping[str, Sequence[DesiredFile]],
        variables: Mapping[str, str],
        image: str,
        guarded_by: tuple[str, ...] = (),
        sleep: Sleep | None = None,
    ) -> None:
        self._instance = instance
        self._name = name
        self._source: ComposeService = instance.app.compose.services[name]
        self._is_main = name == instance.main_service
        self._route = route if self._is_main else None
        self._extras = extras
        self._files = files
        self._variables = variables
        self._image = image
        self._guarded_by = (*(guarded_by if self._route else ()), *(sleep.guarded_by if sleep else ()))
        self._sleep = sleep

    def compose(self) -> dict[str, Any]:
        """The service as it stands in compose.yaml."""
        labels = self._definition.get("labels", {})
        wired = self._definition | self._wires([*self.networks, *self._extras.live_networks])
        return wired | {"labels": {**labels, FINGERPRINT_LABEL: self.fingerprint}}

    @property
    def networks(self) -> list[str]:
        """The networks that the container is made with."""
        if self._extras.network_mode:
            return []
        edge = [self._route.edge_network] if self._route else []
        private = [self._instance.private_network] if self._instance.private_network else []
        joined = self._instance.app.manifest.network.join if self._is_main else ()
        return list(dict.fromkeys([*edge, *private, *joined, *self._extras.networks]))

    @cached_property
    def fingerprint(self) -> str:
        """Names everything whose change needs a new container; networks joined while it runs are not part of it."""
        definition = self._definition | self._wires(self.networks)
        facts = [definition, self._used_variables(definition), self._content_read_at_start()]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def volumes_of_others(self) -> list[str]:
        """The volumes that it sees of other apps."""
        return [mount.source for mount in self._extras.mounts if mount.kind == "volume"]

    @property
    def container(self) -> str:
        """The container's name, and the service's in the stack."""
        return self._instance.container(self._name)

    def desired(self) -> DesiredService:
        """The service as the planner and the executor see it."""
        health = self._source.healthcheck
        return DesiredService(
            stack=self._instance.stack,
            name=self.container,
            app=self._instance.name,
            image=self._image,
            image_name=self._instance.image_of(self._name),
            fingerprint=self.fingerprint,
            networks=tuple(self.networks),
            live_networks=self._extras.live_networks,
            private_network=self._instance.private_network or "",
            alias=self._name,
            volumes=tuple(self._volumes()),
            depends_on=tuple(self._depends_on()),
            guarded_by=self._guarded_by,
            published=self._extras.published,
            reserved_memory=self._limits.memory.reserve,
            ready_within=_ready_within(health) if health else SPARE_SECONDS,
            expected_downtime=_usual_downtime(health),
            wake_group=self._sleep.group if self._sleep else "",
            network_of=self._extras.network_of,
            single_files=tuple(self._single_files()),
        )

    def _single_files(self) -> Iterator[str]:
        folder = f"{STACKS_FOLDER}/{self._instance.stack}"
        yield from (f"{folder}/{mount.source}" for mount in self._extras.mounts if mount.kind == "bind")

    def _volumes(self) -> Iterator[str]:
        yield from (self._instance.volume(mount.source) for mount in self._source.volumes if mount.kind == "volume")
        yield from self.volumes_of_others
        yield from service_volumes(self._instance, self._name)

    @property
    def _limits(self) -> Limits:
        resources = self._instance.app.manifest.resources
        return resources.services.get(self._name, resources)

    @cached_property
    def _definition(self) -> dict[str, Any]:
        definition = {
            "image": self._image,
            "container_name": self.container,
            # Otherwise a random one at every new container, which logs and metrics would carry on.
            "hostname": None if self._extras.network_mode else self.container,
            # What sleeps is started by nobody but what wakes it: Docker would do so after a restart of its own.
            "restart": "no" if self._sleep else "unless-stopped",
            **self._program(),
            **self._rights(),
            "environment": self._environment(),
            "volumes": [*map(self._mount, self._source.volumes), *map(_extra_mount, self._extras.mounts)],
            "ports": [port.compose for port in self._extras.published],
            "depends_on": self._depends_on(),
            "healthcheck": _healthcheck(self._source.healthcheck),
            **self._bounds(),
            "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
            "labels": self._labels(),
        }
        kept = {key: value for key, value in definition.items() if value not in (None, {}, [], (), False)}
        return merged_service(kept, service_override(self._instance, self._name))

    def _labels(self) -> dict[str, str]:
        # Traefik forgets the labels of a container that does not run, so the route of one that sleeps is a file.
        if self._sleep:
            return dict(self._sleep.labels(self.container))
        return traefik.labels(self._route) if self._route else {}

    def _program(self) -> dict[str, Any]:
        source = self._source
        grace = source.stop_grace_period
        return {
            "user": source.user,
            "entrypoint": _words(source.entrypoint),
            "command": _with_arguments(_words(source.command), self._extras.arguments),
            "init": source.init,
            "stop_grace_period": f"{grace}s" if grace else None,
        }

    def _rights(self) -> dict[str, Any]:
        source = self._source
        return {
            "cap_drop": [*source.cap_drop],
            "cap_add": [*source.cap_add],
            "security_opt": [*source.security_opt],
            "read_only": source.read_only,
            "tmpfs": [*source.tmpfs],
            "shm_size": source.shm_size,
            "pid": source.pid,
            "devices": [*source.devices],
        }

    def _environment(self) -> dict[str, str]:
        # What a person writes is meant literally; `$` would start a variable for Compose.
        own = {name: value.replace("$", "$$") for name, value in self._instance.settings.environment.items()}
        given = secrets.with_own_variables(self._instance, self._source.environment)
        return {**given, **self._extras.environment, **(own if self._is_main else {})}

    def _bounds(self) -> dict[str, Any]:
        # What a person writes about an app is meant for the container that stands for it, as its environment is.
        limits, wished = self._limits, self._instance.settings.limits if self._is_main else NO_LIMITS
        cpus = float(wished.cpus) if wished.cpus else limits.cpu.limit
        memory = int(parse_size(wished.memory.upper())) if wished.memory else limits.memory.limit
        return {
            "mem_limit": _size(memory),
            # Docker refuses to reserve more than the limit that a person may have lowered.
            "mem_reservation": _size(min(limits.memory.reserve, memory)),
            # Not `cpus`: Docker refuses more of them than the machine has, so a limit of 2 would not start on one core.
            "cpu_period": CPU_PERIOD,
            "cpu_quota": round(cpus * CPU_PERIOD),
            "cpu_shares": round(limits.cpu.reserve * 1024) if limits.cpu.reserve else None,
            "pids_limit": limits.pids.limit,
            "blkio_config": {"weight": limits.io.weight},
        }

    def _depends_on(self) -> dict[str, dict[str, Any]]:
        own = {self._instance.container(name): how for name, how in self._source.depends_on.items()}
        conditions = {**own, **dict.fromkeys(self._extras.depends_on, "service_healthy")}
        waits: dict[str, dict[str, Any]] = {name: {"condition": condition} for name, condition in conditions.items()}
        if network_of := self._extras.network_of:
            # The network goes with the container that it belongs to.
            waits[network_of] = {"condition": "service_started", "restart": True}
        return waits

    def _mount(self, mount: Mount) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "bind", "source": mount.source, "target": mount.target}
        if mount.kind == "volume":
            return self._volume_mount(mount)
        if mount.kind == "file":
            entry["source"] = f"./{self._instance.config_folder}/{mount.source}"
        if mount.kind == "secret":
            entry["source"] = f"./{secrets.FOLDER}/{self.container}/{mount.source}"
        # A source that is not there is an error: an unmounted disk must never fill the root file system.
        bind: dict[str, Any] = {"create_host_path": False}
        if mount.propagation:
            bind["propagation"] = mount.propagation
        return {**entry, **({"read_only": True} if mount.read_only else {}), "bind": bind}

    def _volume_mount(self, mount: Mount) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "type": "volume",
            "source": self._instance.volume(mount.source),
            "target": mount.target,
        }
        owned = any(volume.owner for volume in self._instance.app.manifest.volumes if volume.name == mount.source)
        # Docker would give an empty volume the image's folder and owner, and so undo the owner it was made with.
        return (
            entry | ({"volume": {"nocopy": True}} if owned else {}) | ({"read_only": True} if mount.read_only else {})
        )

    def _wires(self, networks: Iterable[str]) -> dict[str, Any]:
        if self._extras.network_mode:
            return {"network_mode": self._extras.network_mode}
        private = self._instance.private_network
        return {"networks": {name: {"aliases": [self._name]} if name == private else {} for name in networks}}

    def _used_variables(self, definition: dict[str, Any]) -> dict[str, str]:
        used = set(_VARIABLE.findall(json.dumps(definition)))
        return {name: value for name, value in self._variables.items() if name in used}

    def _content_read_at_start(self) -> list[tuple[str, int, str]]:
        """Content of mounted files that the program reads once.

        Only what lies in a watched folder reaches a running program: a mounted file that is replaced by renaming stays
        the old one inside the container.
        """
        watched = {file.mounted_as for file in self._instance.app.manifest.files if file.on_change == "watch"}
        names = [mount.source for mount in self._source.volumes if mount.kind == "file" and mount.source not in watched]
        read = [file for name in names for file in self._files.get(name, ())] + self.secret_files()
        return [(file.path, file.mode, file.sha256) for file in read]

    def secret_files(self) -> list[DesiredFile]:
        """The files through which the container is given its secrets."""
        return secrets.files(self._instance, self._name)


def project(name: str, services: dict[str, Any], volumes: Iterable[str]) -> dict[str, Any]:
    """The whole Compose project.

    Networks and volumes are made before it and outlive it: stacks can share networks, and no `docker compose down -v`
    takes anybody's data along.
    """
    networks = sorted({network for service in services.values() for network in service.get("networks", ())})
    document: dict[str, Any] = {"name": name, "services": services}
    document["networks"] = {network: {"external": True} for network in networks}
    if named := sorted(volumes):
        document["volumes"] = {volume: {"external": True} for volume in named}
    return document


def _extra_mount(mount: ExtraMount) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": mount.kind, "source": mount.source, "target": mount.target}
    if mount.read_only:
        entry["read_only"] = True
    if mount.kind == "volume":
        return {**entry, "volume": {"nocopy": True}}
    return {**entry, "source": f"./{mount.source}", "bind": {"create_host_path": False}}


def _size(count: int) -> str:
    """Bytes as a person reads them in compose.yaml."""
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return f"{count}b"


def _words(value: str | tuple[str, ...] | None) -> str | list[str] | None:
    return [*value] if isinstance(value, tuple) else value


def _with_arguments(command: str | list[str] | None, more: Sequence[str]) -> str | list[str] | None:
    if isinstance(command, str) and more:
        return " ".join([command, *map(shlex.quote, more)])
    return [*(command or ()), *more] if more else command


def _healthcheck(health: Healthcheck | None) -> dict[str, Any] | None:
    if health is None:
        return None
    times = {"interval": health.interval, "timeout": health.timeout, "start_period": health.start_period}
    seconds = {name: f"{value}s" for name, value in times.items() if value is not None}
    return {"test": [*health.test], **seconds, "retries": health.retries}


def _ready_within(health: Healthcheck) -> float:
    looks = (health.retries or 3) * ((health.interval or 30) + (health.timeout or 30))
    return float((health.start_period or 0) + looks) + SPARE_SECONDS


def _usual_downtime(health: Healthcheck | None) -> float:
    """Docker first looks at a new container's health when one interval has passed; stopping usually takes seconds."""
    return 2.0 + float((health.interval if health else 0) or 0)
