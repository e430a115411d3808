"""What Docker says, as values. Each probe is a command and a pure parser; recorded output is the parser's test.

JSON shapes: `docker container inspect` and `docker network inspect` (Engine API 1.41 and later).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ez_homelab.hosts import Command
from ez_homelab.observe.observed import ObservedContainer, ObservedNetwork
from ez_homelab.render.desired import MANAGED_LABEL, PublishedPort


def probe(*argv: str) -> Command:
    """A docker command that only looks."""
    return Command(("docker", *argv), changes=False, timeout=60)


LIST_CONTAINERS = probe("container", "ls", "--all", "--quiet", "--no-trunc")
LIST_NETWORKS = probe("network", "ls", "--quiet", "--no-trunc")
# --digests: a line for each pair of tag and digest. Without it, an image that was pulled by digest is told without one.
LIST_IMAGES = probe(
    "image", "ls", "--no-trunc", "--digests", "--format", "{{.Repository}}:{{.Tag}}\t{{.ID}}\t{{.Digest}}"
)


LIST_VOLUMES = probe("volume", "ls", "--quiet")


def inspect_volumes(names: list[str]) -> Command:
    """Everything about these volumes."""
    return probe("volume", "inspect", *names)


def own_volumes(folders: list[str]) -> Command:
    """Whom these folders belong to: a line `uid:gid path` for each that is there."""
    return Command(("stat", "--format", "%u:%g %n", "--", *folders), changes=False)


def inspect_containers(ids: list[str]) -> Command:
    """Everything about these containers."""
    return probe("container", "inspect", *ids)


def inspect_networks(ids: list[str]) -> Command:
    """Everything about these networks."""
    return probe("network", "inspect", *ids)


def parse_ids(output: str) -> list[str]:
    """The identifiers of a `ls --quiet`, in its order."""
    return output.split()


def parse_images(output: str) -> dict[str, str]:
    """Image reference (`name:tag`) -> image id, tagged images only."""
    return {row[0]: row[1] for row in _image_rows(output) if "<none>" not in row[0]}


def parse_digests(output: str) -> dict[str, str]:
    """Image reference (`name@digest`) -> image id, for images that came from a registry or went to one."""
    rows = ((*row, "") for row in _image_rows(output))
    found = ((name.rpartition(":")[0], image_id, digest) for name, image_id, digest, *_ in rows)
    return {f"{name}@{digest}": image_id for name, image_id, digest in found if ":" in digest and name != "<none>"}


def parse_time(text: str) -> datetime | None:
    """A moment as Docker writes it (RFC 3339, with nanoseconds); None for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _image_rows(output: str) -> list[list[str]]:
    return [line.split("\t") for line in output.splitlines() if "\t" in line]


def parse_containers(output: str) -> tuple[ObservedContainer, ...]:
    """The containers of an inspect, sorted by name."""
    return tuple(sorted(map(_container, _documents(output)), key=lambda container: container.name))


def parse_networks(output: str) -> tuple[ObservedNetwork, ...]:
    """The networks of an inspect, sorted by name."""
    return tuple(sorted(map(_network, _documents(output)), key=lambda network: network.name))


def parse_volumes(output: str) -> dict[str, tuple[str, bool]]:
    """Volume -> its folder on the server and whether it is ours."""
    return {
        document["Name"]: (document["Mountpoint"], MANAGED_LABEL in (document.get("Labels") or {}))
        for document in _documents(output)
    }


def parse_owners(output: str) -> dict[str, str]:
    """Folder -> `uid:gid`."""
    pairs = (line.split(" ", 1) for line in output.splitlines() if " " in line)
    return {folder: owner for owner, folder in pairs}


def _documents(output: str) -> list[dict[str, Any]]:
    # An inspect of several things prints those it found and exits 1 for one that has just gone: still a good list.
    return list(json.loads(output)) if output.strip() else []


def _container(document: dict[str, Any]) -> ObservedContainer:
    state = document["State"]
    return ObservedContainer(
        id=document["Id"],
        name=document["Name"].removeprefix("/"),
        image=document["Config"]["Image"],
        image_id=document["Image"],
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "none"),
        exit_code=state["ExitCode"],
        out_of_memory=bool(state["OOMKilled"]),
        error=state.get("Error") or "",
        restarts=document["RestartCount"],
        started_at=state["StartedAt"],
        networks={name: end["NetworkID"] for name, end in document["NetworkSettings"]["Networks"].items()},
        published=_published(document["HostConfig"].get("PortBindings") or {}),
        labels=document["Config"].get("Labels") or {},
        finished_at=state.get("FinishedAt") or "",
        network_mode=document["HostConfig"].get("NetworkMode") or "",
        restart_policy=(document["HostConfig"].get("RestartPolicy") or {}).get("Name") or "",
    )


def _published(bindings: dict[str, list[dict[str, str]] | None]) -> tuple[PublishedPort, ...]:
    ports = {
        PublishedPort(binding.get("HostIp") or "0.0.0.0", int(binding["HostPort"] or 0), target.rsplit("/", 1)[-1])  # noqa: S104 - what Docker means by an empty address
        for target, ends in bindings.items()
        for binding in ends or ()
    }
    return tuple(sorted(ports, key=str))


def _network(document: dict[str, Any]) -> ObservedNetwork:
    configurations = (document.get("IPAM") or {}).get("Config") or []
    return ObservedNetwork(
        id=document["Id"],
        name=document["Name"],
        subnets=tuple(entry["Subnet"] for entry in configurations if "Subnet" in entry),
        internal=bool(document.get("Internal")),
        managed=MANAGED_LABEL in (document.get("Labels") or {}),
        created=document.get("Created") or "",
    )
