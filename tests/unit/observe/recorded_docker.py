"""A server that answers as Docker Engine 20.10.24 of Debian 12 did when it was recorded (the files in docker-20.10/).

On it: containers in every state that a container can be in, with and without our labels; networks of ours and by hand.
"""

from __future__ import annotations

from pathlib import Path

from ez_homelab.observe import docker
from ez_homelab.observe.look import LIST_ROUTES
from ez_homelab.testing.fake_host import FakeHost

RECORDED = Path(__file__).parent / "docker-20.10"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text()


def recorded_server(files: dict[str, bytes] | None = None) -> FakeHost:
    host = FakeHost("core", files=files)
    volumes = docker.parse_volumes(recorded("volume-inspect.json"))
    for command, name in (
        (docker.LIST_CONTAINERS, "container-ls.txt"),
        (docker.inspect_containers(recorded("container-ls.txt").split()), "container-inspect.json"),
        (docker.LIST_NETWORKS, "network-ls.txt"),
        (docker.inspect_networks(recorded("network-ls.txt").split()), "network-inspect.json"),
        (docker.LIST_VOLUMES, "volume-ls.txt"),
        (docker.inspect_volumes(recorded("volume-ls.txt").split()), "volume-inspect.json"),
        (docker.own_volumes([folder for folder, _ in volumes.values()]), "volume-owners.txt"),
        (docker.LIST_IMAGES, "image-ls.txt"),
        (LIST_ROUTES, "routes.txt"),
    ):
        host.answer(command.argv, stdout=recorded(name))
    return host
