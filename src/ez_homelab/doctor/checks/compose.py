"""Is Docker Compose there, as a plugin of docker, and new enough?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import Finding, Subject
from ez_homelab.prerequisites.survey import looking
from ez_homelab.prerequisites.versions import MINIMUM_COMPOSE, parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

FIX = "sudo ./ez-homelab.sh up installs a newer one"


class Compose:
    """`docker compose`, which starts every stack. Says nothing where docker itself is missing."""

    name = "compose"
    about = "Docker Compose"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """One question."""
        return {"version": looking("docker", "compose", "version", "--short")}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`compose-missing`, `compose-too-old`."""
        answer = answers["version"]
        if answer.status == 127:
            return ()
        version = answer.stdout.strip() if answer.ok else ""
        if not parse_version(version):
            return (
                Finding(
                    "compose-missing",
                    "error",
                    "Docker Compose is not installed as a plugin of docker",
                    evidence="docker knows no command called compose",
                    cause="Docker's package came without it, or only the old docker-compose (v1) is there",
                    fix=FIX.replace("a newer one", "it"),
                ),
            )
        if parse_version(version) >= MINIMUM_COMPOSE:
            return ()
        oldest = ".".join(map(str, MINIMUM_COMPOSE))
        return (
            Finding(
                "compose-too-old",
                "error",
                f"Docker Compose {version} is too old",
                evidence=f"version {version}; {oldest} is the oldest that will do",
                cause="it was installed long ago and is not kept up to date",
                fix=FIX,
            ),
        )
