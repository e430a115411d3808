"""Is this root? Stacks, certificates and Docker belong to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed


class Root:
    """Whether the server is reached as root."""

    name = "root"
    about = "which user this is"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """One question."""
        return {"user": looking("id", "-u")}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`not-root`."""
        user = answers["user"].stdout.strip()
        if not user.isdecimal():
            raise CouldNotLook(answers["user"].last_line)
        if user == "0":
            return ()
        return (
            Finding(
                "not-root",
                "error",
                "this is not root, and a lab is set up by root",
                evidence=f"user id {user}",
                cause="folders under /opt/stacks and /var/lib/ez-homelab, and Docker itself, belong to root",
                fix="put sudo in front: sudo ./ez-homelab.sh up",
            ),
        )
