"""Is there a release of everything for this processor?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking
from ez_homelab.prerequisites.versions import docker_architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

SUPPORTED = ("amd64", "arm64")
NARROW = {"armhf", "armel", "i386"}
"""dpkg's names for 32-bit systems: Raspberry Pi OS runs one on a 64-bit kernel, and programs are 32-bit then."""


class Architecture:
    """Whether the server's processor, and its system, are ones that every app has a release for."""

    name = "architecture"
    about = "the processor's architecture"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """The kernel's word, and the system's."""
        return {"kernel": looking("uname", "-m"), "system": looking("dpkg", "--print-architecture")}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`architecture-unsupported`, `architecture-32-bit-system`, `architecture-app`."""
        if not answers["kernel"].ok or not answers["kernel"].stdout.strip():
            raise CouldNotLook(answers["kernel"].last_line)
        kernel = docker_architecture(answers["kernel"].stdout)
        system = answers["system"].stdout.strip() if answers["system"].ok else ""
        if kernel not in SUPPORTED:
            return (_unsupported(kernel, answers["kernel"].stdout.strip()),)
        if system in NARROW:
            return (_narrow(kernel, system),)
        return tuple(
            Finding(
                "architecture-app",
                "error",
                f"{app} does not run on this machine",
                evidence=f"this machine: {kernel}; {app}: {', '.join(runs_on)}",
                cause=f"there is no release of {app} for {kernel}",
                fix=f"take it out of the lab (ez-homelab remove {app}), or give it to another server",
            )
            for app, runs_on in sorted(subject.architectures.items())
            if runs_on and kernel not in runs_on
        )


def _unsupported(kernel: str, machine: str) -> Finding:
    return Finding(
        "architecture-unsupported",
        "error",
        f"a lab runs on amd64 and arm64, and this machine is {kernel}",
        evidence=f"uname -m: {machine}",
        cause="most apps have no release for other processors",
        fix="use a 64-bit PC, or a Raspberry Pi 3 or newer with a 64-bit system",
    )


def _narrow(kernel: str, system: str) -> Finding:
    return Finding(
        "architecture-32-bit-system",
        "error",
        "the processor is 64-bit, and the system on it is 32-bit",
        evidence=f"kernel {kernel}, packages {system}",
        cause="Docker would fetch 32-bit images, and most apps have none",
        fix="install the 64-bit edition of the system",
    )
