"""Is there memory enough for what all apps together reserve?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject, content_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

MB = 1_000_000
SYSTEM_BYTES = 400 * MB
"""What the system and Docker's engine take (dockerd 94 MB, containerd 50 MB, measured; the rest is the kernel's)."""


class Memory:
    """The machine's memory beside the sum of all reservations."""

    name = "memory"
    about = "how much memory there is"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """One file."""
        return {"meminfo": content_of("/proc/meminfo")}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`memory-too-little`."""
        total = re.search(r"^MemTotal:\s+(\d+) kB$", answers["meminfo"].stdout, re.MULTILINE)
        if total is None:
            raise CouldNotLook(answers["meminfo"].last_line)
        there = int(total[1]) * 1024
        if subject.reserved_bytes + SYSTEM_BYTES <= there:
            return ()
        return (
            Finding(
                "memory-too-little",
                "warning",
                "the apps reserve more memory than there is",
                evidence=f"{subject.reserved_bytes // MB} MB reserved and {SYSTEM_BYTES // MB} MB for the system; "
                f"{there // MB} MB there",
                cause="when all apps work at once, the kernel ends one of them",
                fix="take an app out of the lab (ez-homelab remove APP), or add memory",
            ),
        )
