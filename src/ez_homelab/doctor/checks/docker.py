"""Is Docker's engine there, does it answer, is it new enough, may it reach /opt/stacks?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking, parse_docker_version
from ez_homelab.prerequisites.versions import MINIMUM_ENGINE, parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed


class Docker:
    """Docker's engine, as its own command line sees it."""

    name = "docker"
    about = "Docker"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """The versions, and where the engine keeps its data (which tells a snap from a package)."""
        return {
            "version": looking("docker", "version", "--format", "{{json .}}"),
            "data": looking("docker", "info", "--format", "{{.DockerRootDir}}"),
        }

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`docker-missing`, `docker-is-podman`, `docker-not-running`, `docker-too-old`, `docker-is-snap`."""
        version = answers["version"]
        if version.status == 127:
            return (_missing(),)
        for line in (version.stdout + version.stderr).splitlines():
            if "podman" in line.lower():
                return (_podman(line.strip()),)
        client, engine, evidence = parse_docker_version(version)
        if not client or "permission denied" in evidence.lower():
            raise CouldNotLook(evidence or version.last_line, fix="run it as root: sudo ./ez-homelab.sh doctor")
        if not engine:
            return (_not_running(evidence),)
        if parse_version(engine) < MINIMUM_ENGINE:
            return (_too_old(engine),)
        data = answers["data"].stdout.strip()
        return (_snap(data),) if data.startswith("/var/snap/") else ()


def _missing() -> Finding:
    return Finding(
        "docker-missing",
        "error",
        "Docker is not installed",
        evidence="there is no program called docker",
        cause="this is a new machine, or Docker was removed",
        fix="sudo ./ez-homelab.sh up installs it",
    )


def _podman(evidence: str) -> Finding:
    return Finding(
        "docker-is-podman",
        "error",
        "the program called docker is Podman's",
        evidence=evidence,
        cause="the package podman-docker stands in Docker's place",
        fix="remove podman-docker (apt-get remove podman-docker); then sudo ./ez-homelab.sh up installs Docker",
    )


def _not_running(evidence: str) -> Finding:
    return Finding(
        "docker-not-running",
        "error",
        "Docker's engine does not answer",
        evidence=evidence,
        cause="it is stopped, or could not start",
        fix="sudo ./ez-homelab.sh up starts it, and shows the engine's own words where it cannot",
    )


def _too_old(engine: str) -> Finding:
    return Finding(
        "docker-too-old",
        "error",
        f"Docker Engine {engine} is too old",
        evidence=f"version {engine}; {'.'.join(map(str, MINIMUM_ENGINE))} is the oldest that will do",
        cause="it was installed long ago and is not kept up to date",
        fix="upgrade it as https://docs.docker.com/engine/install/ says; containers and volumes stay",
    )


def _snap(data: str) -> Finding:
    return Finding(
        "docker-is-snap",
        "error",
        "Docker comes from a snap, which may not read /opt/stacks",
        evidence=f"its data lies in {data}",
        cause="a snap only reaches files under /home",
        fix="snap remove docker (its containers and volumes go with it); then sudo ./ez-homelab.sh up installs Docker",
    )
