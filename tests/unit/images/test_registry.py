"""Pulling, and asking whether a registry answers, on a host in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from ez_homelab.errors import CommandError
from ez_homelab.images.registry import pull, registry_answers
from ez_homelab.testing.fake_host import FakeHost

OUTPUTS = Path(__file__).parent / "outputs"


@pytest.mark.parametrize(
    ("code", "answers"), [("200", True), ("401", True), ("000", False), ("403", False), ("", False)]
)
async def test_registry_answers(code: str, answers: bool) -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] == "curl", stdout=code, status=0 if code else 6)
    assert await registry_answers(host, "registry.example") is answers
    assert host.commands[0].argv[-1] == "https://registry.example/v2/"


async def test_without_curl_it_is_not_known() -> None:
    with pytest.raises(CommandError) as caught:
        await registry_answers(FakeHost())
    assert caught.value.fix == "apt-get install curl"


async def test_a_pull_tells_every_line() -> None:
    host, said = FakeHost(), []
    host.answer(("docker", "pull", "traefik:v3"), stdout="v3: Pulling from library/traefik\nDigest: sha256:1\n")
    await pull(host, "traefik:v3", said.append)
    assert said == ["v3: Pulling from library/traefik", "Digest: sha256:1"]


async def test_a_failed_pull_names_the_cause() -> None:
    host = FakeHost()
    host.answer(("docker", "pull", "a/b:1"), status=1, stderr=(OUTPUTS / "pull-rate-limit.txt").read_text())
    with pytest.raises(CommandError, match="a/b:1") as caught:
        await pull(host, "a/b:1", lambda _: None)
    assert "toomanyrequests" in caught.value.evidence
    assert "docker login" in caught.value.fix
