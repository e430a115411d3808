"""Does the engine of sign-on run? While it does not, every app is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

STATE = "{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}"


class SignOn:
    """The container that is asked about every request."""

    name = "sign-on"
    about = "whether sign-on runs"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """Docker's word on the container."""
        return {"container": looking("docker", "container", "inspect", "--format", STATE, subject.sign_on)}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`sign-on-stopped`, `sign-on-unhealthy`; nothing before the first apply."""
        answer = answers["container"]
        if is_not_there(answer):
            return ()
        if not answer.ok:
            raise CouldNotLook(answer.last_line)
        state, _, health = answer.stdout.strip().partition(" ")
        if state != "running":
            return (_stopped(subject, state),)
        return (_unhealthy(subject),) if health == "unhealthy" else ()


def is_not_there(answer: Completed) -> bool:
    """Whether there is no such container, or no engine that could run one, which is another check's to tell."""
    words = ("no such container", "cannot connect to the docker daemon")
    return answer.status == 127 or any(word in answer.stderr.lower() for word in words)


def _stopped(subject: Subject, state: str) -> Finding:
    return Finding(
        "sign-on-stopped",
        "warning",
        "sign-on does not run, so every app is closed",
        evidence=f"container {subject.sign_on}: {state}",
        cause="somebody stopped it, or it ended and could not be started again",
        fix=f"ez-homelab logs {subject.sign_on}" if state == "restarting" else "ez-homelab apply --start-held",
    )


def _unhealthy(subject: Subject) -> Finding:
    return Finding(
        "sign-on-unhealthy",
        "warning",
        "sign-on runs and does not answer as it should",
        evidence=f"container {subject.sign_on}: unhealthy",
        cause="its own log says why",
        fix=f"ez-homelab logs {subject.sign_on}",
    )
