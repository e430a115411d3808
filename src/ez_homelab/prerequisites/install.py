"""Carry out one installation step on a server. Every step can be interrupted and done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError
from ez_homelab.prerequisites.apt import install_packages
from ez_homelab.prerequisites.engine import start_engine
from ez_homelab.prerequisites.links import make_links
from ez_homelab.prerequisites.steps import (
    ComposeBinaryStep,
    InstallStep,
    LinkStep,
    PackagesStep,
    RepositoryStep,
    StartEngineStep,
)
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Host

DOCKER_KEY = "/etc/apt/keyrings/docker.asc"
DOCKER_SOURCE = "/etc/apt/sources.list.d/docker.sources"


async def install(host: Host, step: InstallStep, say: Callable[[str], None]) -> None:
    """Do it; `say` is called with a line now and then. Raises `PrerequisiteError` where it cannot be done."""
    match step:
        case PackagesStep():
            await install_packages(host, step.packages, say)
        case RepositoryStep():
            await _add_repository(host, step)
        case ComposeBinaryStep():
            from ez_homelab.prerequisites.compose_binary import install_compose

            await install_compose(host, step.architecture, say)
        case StartEngineStep():
            await start_engine(host, say, systemd=step.systemd)
        case LinkStep():
            await make_links(host, step.paths, step.program)
        case _:
            raise TypeError(f"not a step that can be installed: {step!r}")


def repository_source(step: RepositoryStep) -> str:
    """The apt source, in deb822 form, as https://docs.docker.com/engine/install/debian/ has it."""
    return (
        "Types: deb\n"
        f"URIs: {step.address}\n"
        f"Suites: {step.codename}\n"
        "Components: stable\n"
        f"Architectures: {step.architecture}\n"
        f"Signed-By: {DOCKER_KEY}\n"
    )


async def _add_repository(host: Host, step: RepositoryStep) -> None:
    key = await host.run(looking("curl", "--silent", "--show-error", "--fail", "--location", f"{step.address}/gpg"))
    if not key.ok or "-----BEGIN PGP PUBLIC KEY BLOCK-----" not in key.stdout:
        raise PrerequisiteError(
            f"docker.com's signing key could not be fetched on {host.name}",
            evidence=key.last_line,
            cause="the server does not reach download.docker.com, or a proxy answers in its place",
            fix="see that it does and run this again, or install Docker by hand",
        )
    await host.write(DOCKER_KEY, key.stdout.encode())
    await host.write(DOCKER_SOURCE, repository_source(step).encode())
