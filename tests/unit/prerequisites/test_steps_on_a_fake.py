"""From what a machine answers to what would be installed on it: machines/<case>.json, one machine each."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ez_homelab.errors import PrerequisiteError
from ez_homelab.hosts.local import LocalHost
from ez_homelab.prerequisites import InstallStep, steps, survey
from ez_homelab.testing.fake_host import FakeHost

CASES = sorted((Path(__file__).parent / "machines").glob("*.json"))
OFF = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_machine(path: Path) -> None:
    machine = json.loads(path.read_text())
    host = machine_of(machine)
    found = await survey(host)
    assert not any(command.changes for command in host.commands)
    if "refused" in machine:
        with pytest.raises(PrerequisiteError) as raised:
            steps(found, need_debootstrap=machine.get("need_debootstrap", False))
        assert raised.value.to_dict() == machine["refused"]
    else:
        todo = steps(found, need_debootstrap=machine.get("need_debootstrap", False))
        assert [told(step) for step in todo] == machine["steps"]


async def test_docker_com_is_asked_only_where_something_is_missing() -> None:
    complete = machine_of(json.loads((CASES[0].parent / "complete.json").read_text()))
    assert (await survey(complete)).docker_com is None
    assert not any("download.docker.com" in str(command) for command in complete.commands)


async def test_this_machine_can_be_surveyed() -> None:
    found = await survey(LocalHost())
    assert found.architecture in {"amd64", "arm64"}
    assert "python3" in found.programs


def told(step: InstallStep) -> dict[str, Any]:
    """A step as the case files write it."""
    fields = asdict(step)
    packages = list(fields.get("packages", ()))
    return {"kind": type(step).__name__, "what": step.what, "why": step.why, "packages": packages}


def machine_of(machine: dict[str, Any]) -> FakeHost:
    """A server that answers every question of a survey as the case says."""
    host = FakeHost(files={"/etc/os-release": "\n".join(machine["os_release"]).encode()})
    host.answer(("uname", "-m"), stdout=f"{machine['machine']}\n")
    host.answer(("id", "-u"), stdout="0\n")
    host.answer(("test", "-d", "/run/systemd/system"), status=0 if machine["systemd"] else 1)
    host.answer(_program("sh", "curl"), stdout="".join(f"/usr/bin/{name}\n" for name in machine["programs"]))
    host.answer(_program("sh", "/root/.docker/cli-plugins/docker-compose"), stdout=machine.get("plugin", ""))
    host.answer(_program("dpkg-query"), stdout="".join(f"{name} installed\n" for name in machine["packages"]))
    reached = 0 if machine["docker_com"] else 22
    host.answer(_program("curl"), status=reached)
    host.answer(_program("python3"), status=reached)
    if "docker" in machine:
        versions = {"Client": machine["docker"]["client"], "Server": machine["docker"]["server"]}
        document = {side: version and {"Version": version} for side, version in versions.items()}
        running = versions["Server"] is not None
        host.answer(
            _program("docker", "version"),
            status=int(not running),
            stdout=json.dumps(document),
            stderr="" if running else OFF,
        )
        compose = machine.get("compose", "")
        host.answer(("docker", "compose", "version", "--short"), status=0 if compose else 125, stdout=compose)
    return host


def _program(*words: str) -> Any:
    return lambda command: command.argv[0] == words[0] and set(words) <= set(command.argv)
