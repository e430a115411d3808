"""Pulling an image, on a host in memory. From a real registry: tests/e2e/test_registry_pull.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from ez_homelab.errors import CommandError
from ez_homelab.images.registry import pull
from ez_homelab.testing.fake_host import FakeHost

OUTPUTS = Path(__file__).parent / "outputs"


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
