"""Pulling from a real registry (Debian's docker-registry), and every way in which it says no.

Only the step that pulls runs here; a whole lab from a registry is the last thing in test_purge.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from ez_homelab.errors import CommandError
from ez_homelab.hosts import Command, Completed, Host
from ez_homelab.images.build import present
from ez_homelab.images.registry import pull
from ez_homelab.testing.fleet import Server, engine_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import NewServer

REGISTRY = "localhost:5050"
IMAGE = f"{REGISTRY}/hello:1"
PACKAGES = (*engine_packages("bookworm"), "busybox-static", "docker-registry")
_MAKE_IMAGE = f"tar -C / -c bin/busybox | docker import - {IMAGE}"
_CONFIGURATION = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5050"}
"""
# Beside the one that Debian starts, whose settings ask for a password.
_SERVE = "exec setsid --fork docker-registry serve /root/registry.yml </dev/null >/dev/null 2>&1"


class InServer:
    """As much of a `Host` as pulling needs: it runs commands in a server of the fleet."""

    def __init__(self, server: Server) -> None:
        self.name = server.name
        self._server = server

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run it in the server, and hand its lines over when it has ended."""
        ended = await asyncio.to_thread(self._server.run, command.argv, check=False, timeout=command.timeout)
        for line in (ended.stdout + ended.stderr).splitlines():
            if on_line:
                on_line(line)
        return Completed(command, ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def server(new_server: NewServer) -> Iterator[Server]:
    """A server with an engine and a registry that has one image."""
    made = new_server(packages=PACKAGES)
    made.start_docker()
    made.write("/root/registry.yml", _CONFIGURATION)
    made.run(["sh", "-c", _SERVE])
    made.run(["sh", "-c", _MAKE_IMAGE])
    push = "for try in 1 2 3 4 5 6 7 8 9 10; do docker push -q $1 && exit; sleep 0.5; done; exit 1"
    made.run(["sh", "-c", push, "push", IMAGE])
    yield made
    made.remove()


@pytest.fixture
def host(server: Server) -> Host:
    """The server without the image."""
    server.docker(["image", "rm", IMAGE], check=False)
    return cast("Host", InServer(server))


async def refusal(host: Host, reference: str) -> CommandError:
    """How the pull of that reference fails."""
    with pytest.raises(CommandError) as refused:
        await pull(host, reference, lambda _: None)
    assert refused.value.what == f"the image {reference} could not be pulled on {host.name}"
    assert refused.value.evidence
    return refused.value


async def test_an_image_is_pulled_line_by_line(host: Host) -> None:
    lines: list[str] = []
    assert await present(host, [IMAGE]) == set()
    await pull(host, IMAGE, lines.append)
    assert await present(host, [IMAGE]) == {IMAGE}
    assert any(line.startswith("Digest: sha256:") for line in lines)
    await pull(host, IMAGE, lines.append)
    assert any("Image is up to date" in line for line in lines)


@pytest.mark.parametrize("reference", [f"{REGISTRY}/hello:2", f"{REGISTRY}/nobody:1"])
async def test_an_image_that_the_registry_lacks(host: Host, reference: str) -> None:
    error = await refusal(host, reference)
    assert error.cause == "the registry has no image of that name and version, or shows it only after a sign-in"
    assert error.fix == "check the name and the version; where the image is private, docker login first"


async def test_a_registry_that_does_not_answer(host: Host) -> None:
    error = await refusal(host, "localhost:5051/hello:1")
    assert "connection refused" in error.evidence
    assert error.cause == "the network, a name server or the other side did not answer"
    assert error.fix


# The last one: the server goes afterwards.
async def test_an_engine_that_does_not_run(host: Host, server: Server) -> None:
    server.run(["sh", "-c", "kill $(pidof dockerd) && while [ -S /run/docker.sock ]; do sleep 0.1; done"])
    error = await refusal(host, IMAGE)
    assert error.cause == "the Docker engine does not answer"
    assert error.fix == "ez-homelab doctor"
