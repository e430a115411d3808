"""Each kind of step does what it says; docker.com's repository is written whole or not at all."""

from __future__ import annotations

import pytest

from ez_homelab.errors import PrerequisiteError
from ez_homelab.prerequisites import InstallStep, PackagesStep, RepositoryStep, install
from ez_homelab.prerequisites.install import DOCKER_KEY, DOCKER_SOURCE
from ez_homelab.testing.fake_host import FakeHost

STEP = RepositoryStep("add", "why", "https://download.docker.com/linux/debian", "bookworm", "arm64")
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBFit...\n-----END PGP PUBLIC KEY BLOCK-----\n"


async def test_repository() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] == "curl" and command.argv[-1] == f"{STEP.address}/gpg", stdout=KEY)
    await install(host, STEP, print)
    assert await host.read(DOCKER_KEY) == KEY.encode()
    assert (await host.read(DOCKER_SOURCE) or b"").decode() == (
        "Types: deb\n"
        "URIs: https://download.docker.com/linux/debian\n"
        "Suites: bookworm\n"
        "Components: stable\n"
        "Architectures: arm64\n"
        "Signed-By: /etc/apt/keyrings/docker.asc\n"
    )


@pytest.mark.parametrize(("status", "answer"), [(22, ""), (0, "<html>sign in to the hotel</html>")])
async def test_no_key_no_repository(status: int, answer: str) -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] == "curl", status=status, stdout=answer, stderr="curl: (22) 403\n")
    with pytest.raises(PrerequisiteError, match="signing key could not be fetched"):
        await install(host, STEP, print)
    assert host.files == {}


async def test_packages() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] in {"apt-get", "dpkg"})
    await install(host, PackagesStep("install", "why", ("curl",)), print)
    assert host.commands[-1].argv[-1] == "curl"


async def test_a_step_of_no_kind_is_a_bug() -> None:
    with pytest.raises(TypeError):
        await install(FakeHost(), InstallStep("do", "why"), print)
