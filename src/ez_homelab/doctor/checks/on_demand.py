"""Will what is in use be put to sleep?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import Finding, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed


class OnDemand:
    """Apps that speak over open connections and may sleep, where the engine counts requests alone."""

    name = "on-demand"
    about = "which apps fall asleep in use"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """None: the lab file and the catalog say it."""
        return {}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`sleeps-in-use`, for each."""
        return tuple(_cut_off(name, idle) for name, idle in subject.cut_off.items())


def _cut_off(name: str, idle: float) -> Finding:
    return Finding(
        "sleeps-in-use",
        "warning",
        f"{name} falls asleep while somebody has it open",
        evidence=f"it keeps connections open, and sleeps {idle / 60:.0f} minutes after the last request",
        cause="Sablier counts requests that come, and no connection or download that goes on",
        fix=f"a longer `idle` for {name}, `mode: off`, or `on_demand: {{engine: builtin}}` in homelab.yaml",
    )
